"""The contract of the segmenter's loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class SegmentationBatch:
    """What a loss may look at beside the logits.

    Attributes:
        labels: the label maps to learn from, (N, h, w) int64: 0, 1..K, and 255 where they are ignored.
        images: what the network saw, (N, 3, H, W), ImageNet-normalised; h x w is H x W, or smaller where the segmenter
            reduces the labels to its logits.
        ids: of the N images.
        progress: share of the schedule that is done, in [0, 1).
    """

    labels: Tensor
    images: Tensor
    ids: tuple[str, ...]
    progress: float = 0.0


class SegmentationLoss(nn.Module, ABC):
    """What a segmenter minimises. ``__init__(*, ...)``.

    Under torchrun every rank computes the loss of its own images, and their gradients are averaged.
    """

    @abstractmethod
    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        """Return the loss, a scalar, of `logits` (N, 1 + K, h, w) float32, which are as large as ``batch.labels``."""
