"""What a training step computes, for everything that is not mmsegmentation's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import nn

from wsssbench.interfaces import Losses


class TrainingTask(nn.Module, ABC):
    """What one training step computes; its state dict is what the training leaves."""

    @abstractmethod
    def forward(self, batch: Mapping[str, Any], progress: float) -> Losses:
        """The losses on `batch`.

        Args:
            batch: what the data set returned, stacked, tensors on the task's device.
            progress: share of the schedule's images (its epochs) that is done, in [0, 1).

        Returns:
            Losses whose names (terms and log) are the same on every rank of one iteration.
        """
