"""A plugin with CAM inference that needs no classifier and gives scores, and a refinement of CAMs that gives CAMs."""

from __future__ import annotations

import numpy as np

from wsssbench.hookspecs import hookimpl
from wsssbench.interfaces import (
    Cam,
    CamInference,
    Cams,
    Classifier,
    Photo,
    Refinement,
    ScoreMaps,
    Scores,
)
from wsssbench.registry import Registries


class Bright(CamInference):
    """What is bright is the first class; its name counts, too."""

    needs_classifier = False
    gives = ScoreMaps

    def infer(self, classifier: Classifier, photo: Photo) -> Scores:
        assert classifier is None and len(self.classes) == len(photo.labels)
        present = (np.flatnonzero(photo.labels) + 1).astype(np.uint8)
        grey = (photo.image.mean(axis=2) / 255).astype(np.float32)
        planes = [1 - grey, *(grey / (1 + i) for i in range(len(present)))]
        return Scores(present, np.stack(planes), grey.shape)


class Rooted(Refinement):
    """The root of each activation."""

    takes = (Cams,)
    gives = Cams
    title = "root"

    def __init__(self) -> None:
        pass

    def refine(self, photo: Photo, given: Cam | Scores) -> Cam:
        assert isinstance(given, Cam)
        return Cam(given.classes, np.sqrt(given.maps), given.size)


@hookimpl
def register(registries: Registries) -> None:
    registries.cam.add("Bright", "no_classifier:Bright", summary="for a test")
    registries.refinement.add("Rooted", "no_classifier:Rooted", summary="for a test")
