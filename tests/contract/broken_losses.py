"""Losses that keep their contract, and such that break it at one point each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.interfaces import IGNORE, SegmentationBatch, SegmentationLoss


class Good(SegmentationLoss):
    """The cross-entropy over the pixels that count.

    Args:
        weight: of it.
    """

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        total = F.cross_entropy(logits, batch.labels, ignore_index=IGNORE, reduction="sum")
        return self.weight * total / (batch.labels != IGNORE).sum().clamp(min=1)


class Learning(Good):
    """With a parameter and a buffer of its own."""

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        self.factor = nn.Parameter(torch.ones(()))
        self.register_buffer("shift", torch.rand(()))

    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        return self.factor * super().forward(logits, batch) + self.shift


class PerPixel(Good):
    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        return F.cross_entropy(logits, batch.labels, ignore_index=IGNORE, reduction="none")


class SizeOfImages(Good):
    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        grey = batch.images.mean(dim=1)
        return super().forward(logits + 0 * grey[:, None], batch)


class NeedsPairs(Good):
    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        return super().forward(logits, batch) + (logits[0] - logits[1]).square().mean()


class MeanOfClasses(Good):
    """NaN without foreground, and where all is ignored."""

    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        each = F.cross_entropy(logits, batch.labels, ignore_index=IGNORE, reduction="none")
        return each[(batch.labels > 0) & (batch.labels != IGNORE)].mean()


class PlainMean(Good):
    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        return F.cross_entropy(logits, batch.labels, ignore_index=IGNORE)


class LogOfSoftmax(Good):
    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        log = logits.softmax(dim=1).log()
        total = F.nll_loss(log, batch.labels, ignore_index=IGNORE, reduction="sum")
        return total / (batch.labels != IGNORE).sum().clamp(min=1)


class Detached(Good):
    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        return super().forward(logits.detach(), batch) + 0 * logits.sum()


class RandomByNumpy(Good):
    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        import numpy as np

        return super().forward(logits, batch) * (1 + np.random.default_rng().random())


class ChangesLabels(Good):
    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        batch.labels[batch.labels == IGNORE] = 0
        return super().forward(logits, batch)


class SinglePrecision(Good):
    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        mixed = F.conv2d(logits, torch.eye(logits.shape[1])[..., None, None].to(logits))
        assert mixed.dtype == torch.float32
        return super().forward(mixed, batch)


class LostState(Good):
    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        self.shift: Any = torch.rand(())

    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        return super().forward(logits, batch) + self.shift
