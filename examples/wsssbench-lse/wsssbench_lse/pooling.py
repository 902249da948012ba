"""The maximum of a class map, smooth or not."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from wsssbench.interfaces import Pooled, Pooling


class LSE(Pooling):
    """Log-sum-exp pooling (Pinheiro & Collobert, CVPR 2015): log(mean(exp(r f))) / r.

    Its gradient is spread over the map by softmax(r f). It lies between the average, to which it
    tends for small `r`, and the maximum, for large `r`.

    Args:
        num_classes: K; supplied by the toolkit, not needed here.
        r: sharpness, greater than 0.

    Raises:
        ValueError: `r` is out of range.
    """

    def __init__(
        self, num_classes: int, *, r: Annotated[float, Field(gt=0, le=1000)] = 5.0
    ) -> None:
        super().__init__()
        if not 0 < r < math.inf:
            raise ValueError(f"r={r} has to be a number greater than 0")
        self.r = r

    def forward(self, maps: Tensor) -> Pooled:
        """Pool `maps` (N, K, h, w) to logits (N, K), half precision in float32."""
        flat = maps.flatten(2).to(torch.promote_types(maps.dtype, torch.float32))  # (N, K, h * w)
        total = torch.logsumexp(self.r * flat, dim=2)
        return Pooled((total - math.log(flat.shape[2])) / self.r)


class GMP(Pooling):
    """Global max pooling (Oquab et al., CVPR 2015): the logit of a class is the maximum of its map.

    Args:
        num_classes: K; supplied by the toolkit, not needed here.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()

    def forward(self, maps: Tensor) -> Pooled:
        """Pool `maps` (N, K, h, w) to logits (N, K); equal maxima share the gradient."""
        return Pooled(maps.amax(dim=(2, 3)))
