"""Pretended under-fitting (Li et al., ICCV 2021): once the network fits, the pixels it finds hardest count less."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from wsssbench.interfaces import IGNORE, SegmentationBatch, SegmentationLoss


class PretendedUnderfitting(SegmentationLoss):
    """The cross-entropy, with a limit on each pixel's once its mean is low: those that stay high are taken for noise.

    Y. Li et al., *Pseudo-mask Matters in Weakly-supervised Semantic Segmentation*, ICCV 2021. The defaults are those of
    VOC; COCO has 0.8 for both. As in the released code an ignored pixel counts as one without loss in both means.

    Args:
        below: the mean cross-entropy of a rank's pixels below which the rule holds.
        limit: of a pixel's cross-entropy, or its exponent.
        rule: ``clamp``: more than `limit` counts as `limit`, without a gradient; ``ignore``: as nothing; ``power``:
            every pixel's is raised to the power `limit`.
    """

    def __init__(
        self,
        *,
        below: Annotated[float, Field(ge=0, le=100)] = 0.5,
        limit: Annotated[float, Field(gt=0, le=100)] = 0.5,
        rule: Literal["clamp", "ignore", "power"] = "clamp",
    ) -> None:
        super().__init__()
        self.below = below
        self.limit = limit
        self.rule = rule

    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        pixels = F.cross_entropy(logits, batch.labels, ignore_index=IGNORE, reduction="none")
        return underfitted(pixels, self.below, self.limit, self.rule).mean()


def underfitted(pixels: Tensor, below: float, limit: float, rule: str) -> Tensor:
    """Return the losses of `pixels` (N, h, w) as they count."""
    if pixels.mean() >= below:
        return pixels
    if rule == "clamp":
        return pixels.clamp(max=limit)
    if rule == "ignore":
        return torch.where(pixels > limit, torch.zeros_like(pixels), pixels)
    return (pixels + 1e-9) ** limit  # the root of 0 has no gradient
