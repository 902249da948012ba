from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from wsssbench.models.same_padding import SamePadConv2d, same_padding


def naive(image: np.ndarray, kernel: np.ndarray, stride: int, dilation: int) -> np.ndarray:
    """TensorFlow's "same" convolution of one channel, tap by tap."""
    size, taps = image.shape[0], kernel.shape[0]
    out = -(-size // stride)
    total = max((out - 1) * stride + (taps - 1) * dilation + 1 - size, 0)
    before = total // 2
    result = np.zeros((out, out))
    for y, x, i, j in np.ndindex(out, out, taps, taps):
        v, u = y * stride - before + i * dilation, x * stride - before + j * dilation
        if 0 <= v < size and 0 <= u < size:
            result[y, x] += kernel[i, j] * image[v, u]
    return result


@pytest.mark.parametrize("size", [1, 4, 7, 8])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), (1, 4)])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_convolution_equals_the_naive_one(size, stride, dilation, kernel):
    torch.manual_seed(size)
    layer = SamePadConv2d(1, 1, kernel, stride, dilation=dilation, bias=False)
    image = torch.randn(1, 1, size, size)
    expected = naive(image[0, 0].numpy(), layer.weight[0, 0].detach().numpy(), stride, dilation)
    np.testing.assert_allclose(layer(image)[0, 0].detach().numpy(), expected, atol=1e-5)


def test_odd_padding_goes_after_and_even_padding_is_symmetric():
    assert same_padding(224, 3, 2, 1) == (0, 1)
    assert same_padding(225, 3, 2, 1) == (1, 1)
    assert same_padding(17, 5, 1, 2) == (4, 4)


def test_like_shares_the_weights_and_forgets_the_padding():
    layer = nn.Conv2d(4, 8, 3, stride=2, padding=7, groups=4)
    new = SamePadConv2d.like(layer)
    assert new.weight is layer.weight
    assert new.bias is layer.bias
    assert new(torch.zeros(1, 4, 9, 6)).shape == (1, 8, 5, 3)
