"""PAMR against its formula by loops, and against what its released code computed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from golden import golden
from torch.nn import functional as F
from wsssbench_baselines.refinements.pamr import PAMR, pamr

from wsssbench.interfaces import Cam, Scores, photo_of


def naive_pamr(image: np.ndarray, masks: np.ndarray, dilations, iterations: int) -> np.ndarray:
    """The formula pixel by pixel: `image` (3, H, W) in [0, 1], `masks` (C, H, W)."""
    height, width = image.shape[1:]

    def window(y, x, d):
        for dy, dx in itertools.product((-d, 0, d), repeat=2):
            yield dy or dx, min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)

    for _ in range(iterations):
        refined = np.zeros_like(masks)
        for y, x in np.ndindex(height, width):
            places = [place for d in dilations for place in window(y, x, d)]
            colours = np.array([image[:, v, u] for _, v, u in places])
            width_of = 1e-8 + 0.1 * colours.std(axis=0, ddof=1)
            others = [(v, u) for neighbour, v, u in places if neighbour]
            k = [np.mean(-abs(image[:, v, u] - image[:, y, x]) / width_of) for v, u in others]
            weights = np.exp(np.array(k) - max(k))
            for (v, u), w in zip(others, weights / weights.sum(), strict=True):
                refined[:, y, x] += w * masks[:, v, u]
        masks = refined
    return masks


@pytest.mark.parametrize("seed", [0, 1])
def test_the_released_code(seed):
    """Its results, also in float32, and the gradient of its masks."""
    given, wanted, parameters = golden(f"pamr-{seed}")
    image = torch.from_numpy(given["image"])
    mask = torch.from_numpy(given["mask"]).requires_grad_()
    enlarged = F.interpolate(mask, image.shape[2:], mode="bilinear", align_corners=True)
    for name in ("release", "one_iteration", "small"):
        setting = tuple(parameters[name]["dilations"]), parameters[name]["iterations"]
        refined = pamr(image, enlarged, *setting)
        np.testing.assert_allclose(refined.detach(), wanted[f"{name}_float64"], atol=1e-12)
        single = pamr(image.float(), enlarged.float(), *setting).detach()
        np.testing.assert_allclose(single, wanted[f"{name}_float32"], atol=1e-5)
    (refined**2).sum().backward()
    np.testing.assert_allclose(mask.grad, wanted["small_grad_mask"], rtol=1e-9, atol=1e-9)
    flat = (torch.from_numpy(given[f"flat_{name}"]) for name in ("image", "mask"))
    np.testing.assert_allclose(pamr(*flat, (1,), 1), wanted["flat_float64"], atol=1e-12)


@pytest.mark.parametrize("classes", [2, 0])
def test_a_cam_gets_a_background_that_is_refined_with_it(classes):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    maps = rng.random((classes, 9, 11), np.float32)
    cam = Cam(np.array([2, 4], np.uint8)[:classes], maps, (9, 11))
    seen = PAMR(alpha=3, dilations=(1, 4), iterations=2).refine(photo_of(image), cam)
    background = (1 - maps.max(axis=0, initial=0)) ** 3
    planes = np.concatenate([background[None], maps]).astype(np.float64)
    wanted = naive_pamr(image.transpose(2, 0, 1) / 255, planes, (1, 4), 2)
    assert seen.classes.tolist() == [2, 4][:classes] and seen.planes.dtype == np.float32
    np.testing.assert_allclose(seen.planes, wanted, atol=2e-6)
    again = PAMR(dilations=(1, 4), iterations=2).refine(
        photo_of(image), Scores(cam.classes, planes.astype(np.float32), (9, 11))
    )
    np.testing.assert_array_equal(again.planes, seen.planes)


def test_it_is_linear_in_the_masks_and_keeps_constants():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 7, 8, generator=generator, dtype=torch.float64)
    a, b = torch.rand(2, 1, 1, 7, 8, generator=generator, dtype=torch.float64)
    setting = ((1, 30), 3)
    both = pamr(image, 2 * a - b, *setting)
    torch.testing.assert_close(both, 2 * pamr(image, a, *setting) - pamr(image, b, *setting))
    constant = torch.full_like(a, 0.3)
    torch.testing.assert_close(pamr(image, constant, *setting), constant)
    assert pamr(image, a, *setting).max() <= a.max() and pamr(image, a, *setting).min() >= a.min()


def test_a_colour_edge_stops_it():
    """Far from an edge, where both sides are noisy, masks of one side do not reach the other."""
    rng = np.random.default_rng(1)
    left = np.arange(24) < 12
    image = np.where(left[None, :, None], 60, 200) + rng.integers(-3, 4, (20, 24, 3))
    seed = np.where(np.arange(24) < 9, 1.0, 0.1).astype(np.float32)  # three columns short
    planes = np.stack([np.tile(1 - seed, (20, 1)), np.tile(seed, (20, 1))])
    scores = Scores(np.array([1], np.uint8), planes, (20, 24))
    made = PAMR(dilations=(1, 2, 4)).refine(photo_of(image.astype(np.uint8)), scores)
    label = made.planes.argmax(axis=0)
    assert label[:, left].mean() > 0.95 and label[:, ~left].mean() < 0.05
