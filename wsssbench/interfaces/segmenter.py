"""The contract of segmenters: pseudo-labels -> trained network -> predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsssbench.interfaces.values import RunContext


@dataclass(frozen=True)
class SegmentationItem:
    """One image for the segmenter: id, image file, and the label map to train on or to score against, if any."""

    id: str
    image: Path
    label: Path | None = None


class Segmenter(ABC):
    """Trains a network on pseudo-labels, and predicts with it. ``__init__(classes, *, ...)`` with K class names."""

    @abstractmethod
    def train(self, items: Sequence[SegmentationItem], context: RunContext) -> None:
        """Train on the pseudo-labels of `items`; leave the network in ``context.directory``. Resumes after a kill."""

    def rehearse(self, context: RunContext, pretrained: bool) -> None:  # noqa: B027 - it may be left out
        """Try one training step and one prediction on tiny images; called before the first stage of a run.

        Args:
            context: its directory is thrown away.
            pretrained: False: a weight file is missing, so the network starts from random values.

        Raises:
            MissingWeightsError: a weight file is not there.
            Exception: anything else that would stop `train` or `predict`.
        """

    @abstractmethod
    def predict(
        self, items: Sequence[SegmentationItem], trained: Path, context: RunContext
    ) -> Mapping[str, Any]:
        """Write a palette PNG ``<id>.png`` per item into ``context.directory``, from the network in `trained`.

        Images whose PNG is already there are skipped. Returns the framework's own metrics on the items that carry a
        label map (for a cross-check with ours), or an empty mapping.
        """
