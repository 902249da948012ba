"""Label maps straight from CAMs or scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from wsssbench.interfaces import Artefact, Cam, Cams, Labelling, Photo, ScoreMaps, Scores
from wsssbench.ops.label_map import label_map, thresholded

Share = Annotated[float, Field(ge=0, le=1)]


class FromScores(Labelling):
    """The class with the largest score, or, of CAMs, with the largest activation where that exceeds a threshold.

    Args:
        confidence: of scores: a pixel is ignored (255) where the best class has less of their sum.
        threshold: of CAMs: a number; ``otsu``, Otsu's criterion on the activations; None: ``evaluate.threshold``.
    """

    levels: ClassVar[Mapping[type[Artefact], str]] = {Cams: "threshold", ScoreMaps: "confidence"}

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        confidence: Share = 0.0,
        threshold: Share | Literal["otsu"] | None = None,
    ) -> None:
        self.confidence = confidence
        self.threshold = threshold

    def label(self, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
        if isinstance(given, Scores):
            return label_map(given.planes, given.classes, given.size, self.confidence)
        if not isinstance(given, Cam) or not isinstance(self.threshold, float):
            raise ValueError("FromScores needs scores, or a CAM and a number as threshold")
        return thresholded(given.maps, given.classes, given.size, self.threshold)
