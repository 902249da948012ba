"""An objective that keeps its contract, of features alone and with draws for each image, and two that break it.

What an objective may break as an erasing does is in `broken_erasings`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from wsssbench.interfaces import Batch, Losses, Objective, Output


class Good(Objective):
    """A head of its own tells which of two random halves of the classes an image has.

    Args:
        num_classes: K.
        channels: of the backbone.
        classification_weight: of the classification loss.
    """

    def __init__(
        self, num_classes: int, channels: tuple[int, ...], *, classification_weight: float = 0.5
    ) -> None:
        super().__init__()
        self.classification_weight = classification_weight
        self.head = nn.Conv2d(channels[-1], num_classes, 1)

    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        logits = self.head(output.features[-1]).float().mean((2, 3))
        drawn = [one.permutation(logits.shape[1])[::2] for one in batch.generators("Good")]
        rows = torch.arange(len(drawn))[:, None]
        return Losses({"halves": logits[rows, torch.tensor(drawn)].square().mean()})

    def maps(self, classifier: Any, output: Output) -> Tensor:
        return classifier.head(output.features[-1]) * output.labels[:, :, None, None]


class WeightOfItsOwn(Good):
    def __init__(
        self, num_classes: int, channels: tuple[int, ...], *, classification_weight: float = 0.5
    ) -> None:
        super().__init__(num_classes, channels)
        self.classification_weight = 2 * classification_weight


class NegativeWeight(Good):
    def __init__(
        self, num_classes: int, channels: tuple[int, ...], *, classification_weight: float = -1
    ) -> None:
        super().__init__(num_classes, channels, classification_weight=classification_weight)
