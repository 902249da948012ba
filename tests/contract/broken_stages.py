"""A stage that keeps its contract, and stages that break it at one point each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wsssbench.files.artefacts import write_cam
from wsssbench.interfaces import (
    Artefact,
    Cam,
    Cams,
    LabelMaps,
    Photo,
    Photos,
    RunContext,
    Stage,
    TrainedClassifier,
)


class Good(Stage):
    """The CAMs of another stage to a power.

    Args:
        classes: K names.
        cams: the stage whose CAMs are taken.
        guide: a classifier, which is loaded if it is given.
        exponent: of the maps.
    """

    makes = Cams
    splits = ("train", "evaluate")

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        cams: Cams,
        guide: TrainedClassifier | None = None,
        exponent: float = 2.0,
    ) -> None:
        self.cams, self.guide, self.exponent = cams, guide, exponent

    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        if self.guide is not None:
            self.guide.build()
        for photo in photos:
            write_cam(context.directory / f"{photo.id}.npz", self.cam(photo))
        return {"photos": len(photos)}

    def cam(self, photo: Photo) -> Cam:
        cam = self.cams.read(photo.id)
        return replace(cam, maps=cam.maps**self.exponent)


class MakesText(Good):
    makes = "cams"  # type: ignore[assignment]


@dataclass(frozen=True)
class Powers(Artefact):
    """It knows a parameter of the stage that makes it, and one that the stage does not have."""

    exponent: float
    base: float


class UnknownField(Good):
    makes = Powers


class OtherSplit(Good):
    splits = ("training",)


class NeedsClass(Good):
    def cam(self, photo: Photo) -> Cam:
        return replace(super().cam(photo), classes=np.flatnonzero(photo.labels)[[0]])


class ReturnsArray(Good):
    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        super().run(photos, context)
        return {"sizes": np.zeros(3)}


class LeavesOneOut(Good):
    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        return super().run(photos[:-1], context)


class SizeOfMaps(Good):
    def cam(self, photo: Photo) -> Cam:
        cam = super().cam(photo)
        return replace(cam, size=cam.maps.shape[1:])


class NoLabelMaps(Good):
    makes = LabelMaps


class Once(Good):
    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        (context.directory / "log").open("x").close()
        return super().run(photos, context)


class Random(Good):
    def cam(self, photo: Photo) -> Cam:
        cam = super().cam(photo)
        return replace(cam, maps=cam.maps * np.float32(np.random.default_rng().random()))


class Overwrites(Good):
    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        result = super().run(photos, context)
        for photo in photos:
            write_cam(self.cams.path(photo.id), self.cam(photo))
        return result
