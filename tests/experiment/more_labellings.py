"""A plugin with labellings, for the tests of experiments with them."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from wsssbench.hookspecs import hookimpl
from wsssbench.interfaces import Cam, Cams, Labelling, LabelMaps, Photo, Scores
from wsssbench.ops.label_map import thresholded
from wsssbench.registry import Registries


class Regions(Labelling):
    """What is above a threshold, with the regions of another stage.

    Args:
        threshold: of the CAMs.
        add_to: the stage whose classes are kept.
    """

    takes = (Cams,)
    title = "regions"

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        threshold: Annotated[float, Field(ge=0, le=1)] = 0.5,
        add_to: LabelMaps | None = None,
    ) -> None:
        self.threshold = threshold
        self.add_to = add_to

    def label(self, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
        assert isinstance(given, Cam)
        label = thresholded(given.maps, given.classes, given.size, self.threshold)
        if self.add_to is not None:
            former = self.add_to.read(photo.id)
            label[former > 0] = former[former > 0]
        return label


class FirstClass(Labelling):
    """The first class everywhere; needs no CAM."""

    takes = ()

    def label(self, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
        present = np.flatnonzero(photo.labels)
        value = present[0] + 1 if len(present) else 0
        return np.full(photo.image.shape[:2], value, np.uint8)

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes


class Ninth(FirstClass):
    """A class that the data set does not have."""

    def label(self, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
        return np.full(photo.image.shape[:2], len(self.classes) + 1, np.uint8)


@hookimpl
def register(registries: Registries) -> None:
    for name in ("Regions", "FirstClass", "Ninth"):
        registries.labelling.add(name, f"more_labellings:{name}", summary="for a test")
