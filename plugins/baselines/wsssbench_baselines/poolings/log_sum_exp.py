"""Log-sum-exp pooling: a maximum of a class map that is smooth."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from wsssbench.interfaces import Pooled, Pooling


class LogSumExp(Pooling):
    """Log-sum-exp pooling, LSE (Pinheiro & Collobert, CVPR 2015): s_k = log(mean of exp(r f_k)) / r.

    The mean is that over the places of the map f_k, so a constant map has this constant as logit. The gradient spreads
    over the map as softmax(r f_k): for r to infinity s_k is the maximum, for r to 0 the average.

    Args:
        num_classes: K; supplied by the toolkit, not needed here.
        r: sharpness, in 1 / unit of the maps. 5 is what implementations have; whether the paper has it, too, could not
            be verified [?].
    """

    def __init__(
        self, num_classes: int, *, r: Annotated[float, Field(ge=1e-3, le=1000)] = 5.0
    ) -> None:
        super().__init__()
        self.r = r

    def forward(self, maps: Tensor) -> Pooled:
        """Pool `maps` (N, K, h, w) to logits (N, K), half precision in float32; no attention."""
        flat = maps.flatten(2).to(torch.promote_types(maps.dtype, torch.float32))  # (N, K, h * w)
        total = torch.logsumexp(self.r * flat, dim=2)
        return Pooled((total - math.log(flat.shape[2])) / self.r)
