"""TensorFlow's "same" padding, computed for the image at hand."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Padding (before, after) that makes a convolution's result ceil(size / stride) long.

    What is odd goes after, as in TensorFlow.
    """
    reach = (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1
    total = max(reach - size, 0)
    return total // 2, total - total // 2


class SamePadConv2d(nn.Conv2d):
    """A square convolution with "same" padding for any image size, stride and dilation."""

    @classmethod
    def like(cls, layer: nn.Conv2d) -> SamePadConv2d:
        """A convolution that shares the weights of `layer`, whose own padding is ignored."""
        new = cls(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            (layer.stride[0], layer.stride[1]),  # the library stores a list
            groups=layer.groups,
            bias=layer.bias is not None,
        )
        new.weight, new.bias = layer.weight, layer.bias
        return new

    def forward(self, x: Tensor) -> Tensor:
        """Convolve `x` (N, C, H, W) to (N, C', ceil(H / stride), ceil(W / stride))."""
        kernel, stride, dilation = self.kernel_size[0], self.stride[0], self.dilation[0]
        top, bottom = same_padding(x.shape[-2], kernel, stride, dilation)
        left, right = same_padding(x.shape[-1], kernel, stride, dilation)
        if (top, left) != (bottom, right):
            x = F.pad(x, (left, right, top, bottom))
            top = left = 0
        return F.conv2d(
            x, self.weight, self.bias, self.stride, (top, left), self.dilation, self.groups
        )
