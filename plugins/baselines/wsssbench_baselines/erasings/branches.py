"""What erasings of features have in common: a further head, and the attention of the present classes."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.interfaces import Output

# of a hidden layer
Width = Annotated[int, Field(ge=1, le=2048)]
Weight = Annotated[float, Field(ge=0, le=1000)]


def branch(channels: int, width: int, num_classes: int) -> nn.Sequential:
    """Make a head of two 3 x 3 convolutions with ReLU and a 1 x 1 to the classes, each with a bias."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, num_classes, 1),
    )


def min_max(maps: Tensor) -> Tensor:
    """(f - min f) / (max f - min f) of each map of `maps` (..., h, w), at least in float32; a constant one is 0."""
    maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
    low, high = (extreme(maps, dim=(-2, -1), keepdim=True) for extreme in (torch.amin, torch.amax))
    constant = high == low
    return torch.where(constant, 0, maps - low) / torch.where(constant, 1, high - low)


def present(output: Output) -> Tensor:
    """The classes of each image, (N, K) of bool: its labels, or where these are not known what it is classified as."""
    return output.logits > 0 if output.labels is None else output.labels > 0


def strongest(cam: Tensor, classes: Tensor) -> Tensor:
    """The maximum of `cam` (N, K, h, w) >= 0 over the `classes` (N, K) of an image, (N, 1, h, w); 0 if it has none."""
    return torch.where(classes[:, :, None, None], cam, 0).amax(dim=1, keepdim=True)


def classification_loss(maps: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of the spatial means of `maps` (N, K, h, w) with `labels` (N, K), the mean of both."""
    maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
    logits = maps.mean(dim=(2, 3))
    return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
