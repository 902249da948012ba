"""A registered loss in the place of mmseg's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.structures import SegDataSample
from torch import Tensor, nn

from wsssbench.interfaces import SegmentationBatch, SegmentationLoss
from wsssbench.interfaces.requirements import need_loss
from wsssbench.plugins import load


class HeadLoss(nn.Module):
    """A `SegmentationLoss` as mmseg's decode heads call one, which is with the logits and labels of one input scale.

    Args:
        loss: built.
    """

    loss_name = "loss_segmentation"  # mmengine adds up what has "loss" in its name

    def __init__(self, loss: SegmentationLoss) -> None:
        super().__init__()
        self.loss = loss
        self._images: Tensor | None = None
        self._ids: tuple[str, ...] = ()
        self._progress = 0.0

    def hand_over(self, images: Tensor, samples: Sequence[SegDataSample], progress: float) -> None:
        """Take what the next calls may look at: the batch, and the share of the schedule that is done."""
        self._images, self._progress = images, progress
        self._ids = tuple(sample.metainfo["id"] for sample in samples)

    def forward(self, logits: Tensor, labels: Tensor, **_: Any) -> Tensor:
        """Return the loss of `logits` (N, 1 + K, h, w) and `labels` (N, h, w)."""
        assert self._images is not None  # handed over before each step
        batch = SegmentationBatch(labels, self._images, self._ids, self._progress)
        loss: Tensor = self.loss(logits.float(), batch)
        need_loss(loss, f"loss {type(self.loss).__name__}")
        return loss


def head_loss(config: Mapping[str, Any]) -> HeadLoss:
    """Build the loss that a config has as ``segmenter.loss``."""
    return HeadLoss(load().registries.loss.build(config, where="segmenter.loss"))
