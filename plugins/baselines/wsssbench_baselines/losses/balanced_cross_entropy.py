"""Balanced cross-entropy (DSRG, Huang et al., CVPR 2018): background and foreground count alike, of whatever size."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from wsssbench.interfaces import IGNORE, SegmentationBatch, SegmentationLoss


class BalancedCrossEntropy(SegmentationLoss):
    """The mean cross-entropy of the pixels labelled as background, plus that of the pixels with a class.

    Z. Huang, X. Wang, J. Wang, W. Liu and J. Wang, *Weakly-Supervised Semantic Segmentation Network with Deep Seeded
    Region Growing*, CVPR 2018, balanced seeding loss. AdvCAM's author trains DeepLab with one "similar to DSRG"
    (https://github.com/jbeomlee93/AdvCAM/issues/9) and has not released it [?]. RRM's segmentation branch (AAAI 2020)
    has the same with means over the batch (https://github.com/zbf1991/RRM at 6d4191c), beside a dense energy that is
    not part of this. Ignored pixels (255) do not count; a mean without pixels is 0 (RRM: NaN).

    DSRG's released code adds 1e-4 to every probability before the logarithm; here the logits have their cross-entropy.

    Args:
        over: each of the two means is taken over the pixels of an ``image``, and averaged over the images, as in DSRG;
            or over those of the ``batch``, of a rank's images, as in RRM.
    """

    def __init__(self, *, over: Literal["image", "batch"] = "image") -> None:
        super().__init__()
        self.over = over

    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        labels = batch.labels
        pixels = F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="none")
        dims = (1, 2) if self.over == "image" else (0, 1, 2)
        background, foreground = labels == 0, (labels != 0) & (labels != IGNORE)
        first, second = (
            (pixels * side).sum(dims) / side.sum(dims).clamp(min=1)
            for side in (background, foreground)
        )
        return (first + second).mean()
