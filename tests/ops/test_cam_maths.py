from __future__ import annotations

import numpy as np
import pytest
import torch

from wsssbench.ops.cam import background_alpha, normalise, upsample


def test_normalise_is_equation_1() -> None:
    maps = torch.randn(3, 4, 7, 5)
    expected = np.zeros(maps.shape, np.float32)
    for n in range(3):
        for k in range(4):
            positive = np.maximum(maps[n, k].numpy(), 0)
            expected[n, k] = positive / positive.max()
    np.testing.assert_array_equal(normalise(maps).numpy(), expected)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e20])
def test_maximum_is_exactly_one_at_any_scale(scale: float) -> None:
    cam = normalise(torch.rand(6, 9, 11) * scale)
    assert (cam.amax(dim=(1, 2)) == 1).all()
    assert cam.min() >= 0


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-38])
def test_map_without_activation_is_zero_with_finite_gradient(value: float) -> None:
    maps = torch.randn(2, 3, 4, 4)
    maps[0, 1] = value
    maps.requires_grad_()
    cam = normalise(maps)
    assert (cam[0, 1] == 0).all()
    (cam * torch.randn_like(cam)).sum().backward()
    assert torch.isfinite(maps.grad).all()
    assert (maps.grad[0, 1] == 0).all()
    assert (maps.grad[0, 0] != 0).any()


def test_normalise_gradient() -> None:
    maps = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(normalise, maps)


def test_half_precision_is_computed_in_float32() -> None:
    maps = (torch.rand(1, 2, 5, 5) * 1e-6).half()
    assert normalise(maps).dtype == torch.float32
    assert normalise(maps).max() == 1


def naive_bilinear(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    h, w = plane.shape
    out = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            v = min(max((y + 0.5) * h / size[0] - 0.5, 0), h - 1)
            u = min(max((x + 0.5) * w / size[1] - 0.5, 0), w - 1)
            top, left = int(v), int(u)
            bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
            a, b = v - top, u - left
            out[y, x] = (1 - a) * ((1 - b) * plane[top, left] + b * plane[top, right]) + a * (
                (1 - b) * plane[bottom, left] + b * plane[bottom, right]
            )
    return out


@pytest.mark.parametrize("size", [(9, 13), (4, 6), (1, 1), (17, 6)])
def test_upsample_is_bilinear_about_pixel_centres(size: tuple[int, int]) -> None:
    maps = np.random.default_rng(0).random((3, 4, 6)).astype(np.float32)
    resized = upsample(maps, size)
    assert resized.dtype == np.float32
    assert resized.flags.c_contiguous
    for plane, expected in zip(resized, maps, strict=True):
        np.testing.assert_allclose(plane, naive_bilinear(expected, size), atol=1e-6)


def test_upsample_takes_no_maps_views_and_read_only_arrays() -> None:
    assert upsample(np.zeros((0, 3, 3), np.float32), (5, 7)).shape == (0, 5, 7)
    maps = np.random.default_rng(1).random((2, 6, 4))
    view = maps.transpose(0, 2, 1)[:, ::-1]
    np.testing.assert_array_equal(upsample(view, (9, 9)), upsample(view.copy(), (9, 9)))
    maps.flags.writeable = False
    assert upsample(maps, (8, 8)).shape == (2, 8, 8)
    with pytest.raises(ValueError, match=r"\(C, h, w\)"):
        upsample(maps[0], (8, 8))


def test_background_alpha() -> None:
    maps = np.random.default_rng(2).random((3, 5, 4)).astype(np.float32)
    maps[0, 0, 0] = 1
    expected = (1 - maps.max(axis=0).astype(np.float64)) ** 4
    result = background_alpha(maps, 4)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-7)
    assert result.dtype == np.float32
    assert result[0, 0] == 0
    assert (background_alpha(maps, 24) <= result).all()
    assert (background_alpha(np.zeros((0, 5, 4), np.float32), 4) == np.ones((5, 4))).all()


def test_a_map_that_is_no_number_does_not_become_an_empty_one() -> None:
    maps = torch.randn(2, 3, 4, 4)
    maps[0, 1, 2, 3], maps[1, 0, 0, 0] = float("nan"), float("inf")
    bad = normalise(maps).isfinite().logical_not().flatten(2).any(2)
    assert bad.tolist() == [[False, True, False], [True, False, False]]
