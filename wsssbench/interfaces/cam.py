"""The contract of CAM inference: a trained classifier and a photo -> CAM or scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from wsssbench.interfaces.artefacts import Artefact, Cams, Photo
from wsssbench.interfaces.network import Classifier
from wsssbench.interfaces.values import Cam, Scores


class CamInference(ABC):
    """Infers the CAMs of one photo. ``__init__(classes, *, ...)`` with K class names.

    Attributes:
        needs_classifier: False: no classifier is trained, and `infer` is given None.
        gives: `Cams`, or `ScoreMaps` for a method that has a background score of its own.
    """

    needs_classifier: ClassVar[bool] = True
    gives: ClassVar[type[Artefact]] = Cams

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes

    @abstractmethod
    def infer(self, classifier: Classifier, photo: Photo) -> Cam | Scores:
        """Return the CAM, or the scores, of `photo` for the classes in its labels."""
