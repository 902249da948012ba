"""A refinement and an erasing that are given what another stage made, and use it as soon as they are built."""

from __future__ import annotations

from stages_package.stages import Drawn
from wsssbench.interfaces import (
    Batch,
    Cam,
    Cams,
    Classifier,
    Erasing,
    Losses,
    Output,
    Photo,
    Refinement,
    Scores,
)
from wsssbench.refinements.score_maps import start_scores


class GuidedRefinement(Refinement):
    """Leaves scores as they are."""

    def __init__(self, *, guide: Cams) -> None:
        self.place = guide.path("some")

    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        planes = start_scores(photo.image, given, 1.0)
        return Scores(given.classes, planes, (planes.shape[1], planes.shape[2]))


class GuidedErasing(Erasing):
    """Adds nothing."""

    def __init__(self, num_classes: int, channels: tuple[int, ...], *, guide: Drawn) -> None:
        super().__init__()
        self.place = guide.directory / "number.txt"

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        return Losses({})
