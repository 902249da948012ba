"""The contract of labellings: CAM or scores of a photo -> its label map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from wsssbench.interfaces.artefacts import Artefact, Cams, Photo, ScoreMaps
from wsssbench.interfaces.values import Cam, Scores


class Labelling(ABC):
    """Makes the label map of a photo. ``__init__(classes, *, ...)`` with K class names.

    Instances must pickle, for worker processes. A config names what a labelling reads as its ``input``; what else it
    reads stands in its constructor, annotated with an `Artefact` class.

    Attributes:
        takes: what ``input`` may make; empty for a labelling that has no ``input``, which gets None.
        levels: of what it takes -> the parameter that is its level for that; the others are refused then. That of
            `Cams` is a background threshold: where a config has None the component gets ``evaluate.threshold``, and
            where it has ``"otsu"`` what Otsu's criterion on the activations gives.
        title: what tables and pictures call its result under ``stages``; by default its name in the config.
    """

    takes: ClassVar[tuple[type[Artefact], ...]] = (Cams, ScoreMaps)
    levels: ClassVar[Mapping[type[Artefact], str]] = {}
    title: ClassVar[str] = ""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes

    @abstractmethod
    def label(self, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
        """Return the label map of `photo`, (H, W) uint8: 0, the values of its classes, and 255 where it is ignored."""
