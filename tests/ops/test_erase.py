from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from wsssbench.ops.cam import normalise
from wsssbench.ops.erase import foreground, hard_masked_image, masked_image


def test_foreground_is_equation_6_over_all_or_present_classes() -> None:
    cam = torch.rand(3, 4, 5, 6)
    labels = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]).float()
    everything, present = foreground(cam), foreground(cam, labels)
    assert everything.shape == present.shape == (3, 1, 5, 6)
    for n in range(3):
        for y in range(5):
            for x in range(6):
                assert everything[n, 0, y, x] == max(cam[n, k, y, x] for k in range(4))
                values = [cam[n, k, y, x] for k in range(4) if labels[n, k]]
                assert present[n, 0, y, x] == max(values, default=0)


def test_masked_image_is_equation_7() -> None:
    images, fg = torch.randn(2, 3, 12, 10), torch.rand(2, 1, 4, 5)
    at_pixels = F.interpolate(fg, (12, 10), mode="bilinear", align_corners=False).numpy()
    expected = np.where(at_pixels >= 0.6, 0, at_pixels * images.numpy())
    assert (at_pixels >= 0.6).any()
    np.testing.assert_allclose(masked_image(images, fg, 0.6).numpy(), expected, atol=1e-7)
    rigid = np.where(at_pixels >= 0.6, 0, images.numpy())
    np.testing.assert_array_equal(hard_masked_image(images, fg, 0.6).numpy(), rigid)


def test_threshold_itself_is_erased() -> None:
    images, fg = torch.ones(1, 3, 2, 2), torch.tensor([[[[0.5, 0.25], [0.75, 0.5]]]])
    soft, hard = masked_image(images, fg, 0.5), hard_masked_image(images, fg, 0.5)
    assert soft[0, 0].tolist() == [[0, 0.25], [0, 0]]
    assert hard[0, 0].tolist() == [[0, 1], [0, 0]]


def test_gradient_reaches_the_maps_below_the_threshold_only() -> None:
    fg = torch.tensor([[[[0.2, 0.9]]]], requires_grad=True)
    masked_image(torch.full((1, 3, 1, 2), 2.0), fg, 0.6).sum().backward()
    assert fg.grad is not None
    assert fg.grad.flatten().tolist() == [6, 0]


def test_whole_chain_has_finite_gradients_for_all_zero_maps() -> None:
    maps = torch.zeros(2, 3, 4, 4, requires_grad=True)
    images = torch.randn(2, 3, 8, 8)
    masked_image(images, foreground(normalise(maps)), 0.6).square().sum().backward()
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()
