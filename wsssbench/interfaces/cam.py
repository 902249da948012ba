"""The contract of CAM inference: a trained classifier and a photo -> CAM or scores."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from wsssbench.interfaces.artefacts import Artefact, Cams, Photo
from wsssbench.interfaces.network import Classifier
from wsssbench.interfaces.values import CAM_STREAM, Cam, Scores


class CamInference(ABC):
    """Infers the CAMs of one photo. ``__init__(classes, *, ...)`` with K class names.

    Attributes:
        needs_classifier: False: no classifier is trained, and `infer` is given None.
        gives: `Cams`, or `ScoreMaps` for a method that has a background score of its own.
        random: its result depends on the run's seed; it draws from `generator` alone.
        quick: parameters with which `infer` takes moments: for ``--smoke``, rehearsals and contract checks.
        seed: of the run if it is `random`, else 0; the toolkit sets it before the first photo.
    """

    needs_classifier: ClassVar[bool] = True
    gives: ClassVar[type[Artefact]] = Cams
    random: ClassVar[bool] = False
    quick: ClassVar[Mapping[str, Any]] = {}
    seed: int = 0

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes

    @abstractmethod
    def infer(self, classifier: Classifier, photo: Photo) -> Cam | Scores:
        """Return the CAM, or the scores, of `photo` for the classes in its labels."""

    def passes(self) -> float | None:
        """Return how often, at most, the network sees the pixels of a photo with one class; None: it is not known.

        A view of half the side counts as 0.25, and a pass forwards and back as one. What takes many is told before the
        work begins.
        """
        return None

    def generator(self, photo: Photo) -> np.random.Generator:
        """Return the source of all random numbers for `photo`: they depend on the seed and its id alone."""
        return np.random.default_rng((self.seed, zlib.crc32(photo.id.encode()), CAM_STREAM))
