"""Global average pooling: every pixel of a class map counts alike."""

from __future__ import annotations

import torch
from torch import Tensor

from wsssbench.interfaces import Pooled, Pooling


class GAP(Pooling):
    """Global average pooling (Zhou et al., CVPR 2016).

    Args:
        num_classes: K; supplied by the toolkit, not needed here.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()

    def forward(self, maps: Tensor) -> Pooled:
        """Pool `maps` (N, K, h, w) to logits (N, K), half precision in float32; no attention."""
        return Pooled(maps.mean(dim=(2, 3), dtype=torch.promote_types(maps.dtype, torch.float32)))
