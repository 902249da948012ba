"""Labellings that keep their contract, and such that break it at one point each."""

from __future__ import annotations

from typing import Any

import numpy as np

from wsssbench.interfaces import Cam, Cams, Labelling, LabelMaps, Photo, Scores
from wsssbench.ops.label_map import thresholded


class Good(Labelling):
    """CAMs, or the classes of scores, above a threshold.

    Args:
        threshold: of CAMs.
    """

    levels = {Cams: "threshold"}  # noqa: RUF012

    def __init__(self, classes: tuple[str, ...], *, threshold: float | None = None) -> None:
        self.threshold = threshold

    def label(self, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
        if isinstance(given, Scores):
            return thresholded(given.planes[1:], given.classes, given.size, 0.5)
        assert isinstance(given, Cam) and self.threshold is not None
        return thresholded(given.maps, given.classes, given.size, self.threshold)


class ReadsLabelMaps(Labelling):
    """The label map of another stage, without an input.

    Args:
        labels: of that stage.
    """

    takes = ()

    def __init__(self, classes: tuple[str, ...], *, labels: LabelMaps) -> None:
        self.labels = labels

    def label(self, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
        assert given is None
        return self.labels.read(photo.id)


class TakesLabelMaps(Good):
    takes = (Cams, LabelMaps)


class UnknownLevel(Good):
    levels = {Cams: "treshold"}  # noqa: RUF012


class Wide(Good):
    def label(self, photo: Photo, given: Any) -> np.ndarray:
        return super().label(photo, given).astype(np.int64)


class SizeOfMaps(Good):
    def label(self, photo: Photo, given: Any) -> np.ndarray:
        return super().label(photo, given)[::2, ::2]


class OtherClass(Good):
    def label(self, photo: Photo, given: Any) -> np.ndarray:
        return np.full_like(super().label(photo, given), 3)


class EvenSizes(Good):
    def label(self, photo: Photo, given: Any) -> np.ndarray:
        height, width = given.size
        photo.image.reshape(height // 2, 2, width // 2, 2, 3)
        return super().label(photo, given)


class NeedsClass(Good):
    def label(self, photo: Photo, given: Any) -> np.ndarray:
        assert len(given.classes)
        return super().label(photo, given)


class NeedsActivation(Good):
    def label(self, photo: Photo, given: Any) -> np.ndarray:
        if isinstance(given, Cam) and len(given.maps):
            assert given.maps.max() > 0
        return super().label(photo, given)


class RandomLabels(Good):
    def label(self, photo: Photo, given: Any) -> np.ndarray:
        label = super().label(photo, given)
        label[np.random.default_rng().random(label.shape) > 0.5] = 255
        return label


class ChangesCam(Good):
    def label(self, photo: Photo, given: Any) -> np.ndarray:
        label = super().label(photo, given)
        if isinstance(given, Cam):
            given.maps[:] = 0
        return label


class WithLambda(Good):
    def __init__(self, classes: tuple[str, ...], *, threshold: float | None = None) -> None:
        super().__init__(classes, threshold=threshold)
        self.rule = lambda x: x
