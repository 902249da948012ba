"""A plugin of one file: a small backbone, and components that break their contract or raise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from wsssbench.files.images import image_size, write_label
from wsssbench.interfaces import (
    Backbone,
    Cam,
    CamInference,
    Classifier,
    Erasing,
    Losses,
    Photo,
    Pooled,
    Pooling,
    Refinement,
    RunContext,
    Scores,
    SegmentationItem,
    Segmenter,
)


class Small(Backbone):
    """One strided convolution, which learns at the rate of new layers."""

    channels = (8,)
    strides = (4,)
    new_layers = ("convolution",)

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 5, 4, 2)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.convolution(images),)


class BareTensor(Small):
    """Returns no tuple."""

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return self.convolution(images)


class _Mean(Pooling):
    def __init__(self, num_classes: int) -> None:
        super().__init__()

    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(maps.mean((2, 3)))


class Mean(_Mean):
    """The mean of a map."""


class OneLogit(_Mean):
    """One logit for all classes."""

    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(maps.mean((1, 2, 3), keepdim=True)[..., 0, 0])


class RaisingPooling(_Mean):
    """Raises."""

    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(maps.mean((2, 3)) @ maps.new_zeros(3, 3))


class ExitingPooling(_Mean):
    """Ends the process."""

    def forward(self, maps: Tensor) -> Pooled:
        raise SystemExit("no licence")


class VectorLoss(Erasing):
    """Has a loss per image."""

    def __init__(self, num_classes: int, channels: tuple[int, ...]) -> None:
        super().__init__()

    def losses(self, classifier: Classifier, batch: object, output: object) -> Losses:
        return Losses({"energy": output.maps.square().mean((1, 2, 3))})


class SmallMaps(VectorLoss):
    """Gives CAM inference other maps."""

    def losses(self, classifier: Classifier, batch: object, output: object) -> Losses:
        return Losses({"energy": output.maps.square().mean()})

    def maps(self, classifier: Classifier, output: object) -> Tensor:
        return output.maps[..., 1:]


class FromZero(CamInference):
    """Counts classes from 0."""

    def infer(self, classifier: Classifier, photo: Photo) -> Cam:
        present = np.flatnonzero(photo.labels).astype(np.uint8)
        size = photo.image.shape[:2]
        return Cam(present, np.ones((len(present), *size), np.float32), size)


class NotANumber(Refinement):
    """Divides by zero."""

    title = "NaN"

    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        return Scores(given.classes, self.planes(given), given.size)

    def planes(self, given: Cam | Scores) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.zeros((1 + len(given.classes), *given.size), np.float32) / np.float32(0)


class Doubles(NotANumber):
    """Works in double precision."""

    def planes(self, given: Cam | Scores) -> np.ndarray:
        return np.ones((1 + len(given.classes), *given.size))


class Raising(NotANumber):
    """Raises what cannot be pickled."""

    def planes(self, given: Cam | Scores) -> np.ndarray:
        error = KeyError("no such colour")
        error.args = ("no such colour", lambda: 0)
        raise error


class Constant(Segmenter):
    """Predicts the first class everywhere but in the first row."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        pass

    def train(self, items: Sequence[SegmentationItem], context: RunContext) -> None:
        (context.directory / "network.txt").write_text("1")

    def predict(
        self, items: Sequence[SegmentationItem], trained: Path, context: RunContext
    ) -> Mapping[str, Any]:
        value = int((trained / "network.txt").read_text())
        for item in items:
            label = np.full(image_size(item.image), value, np.uint8)
            label[0] = 0
            write_label(context.directory / f"{item.id}.png", label)
        return {}
