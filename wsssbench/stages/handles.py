"""The artefacts of the core's stages as objects that know their files and read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsssbench.files.artefacts import read_cam, read_label, read_scores
from wsssbench.files.images import read_image
from wsssbench.interfaces import (
    Artefact,
    Cam,
    Cams,
    Classifier,
    Dataset,
    LabelMaps,
    Output,
    Photo,
    Photos,
    ScoreMaps,
    Scores,
    TrainedClassifier,
)
from wsssbench.models.classifier import build_classifier
from wsssbench.stages.stage import ids_of
from wsssbench.training.checkpoints import load_weights

WEIGHTS = "weights.pth"


class CamFiles(Cams):
    """``<id>.npz`` per image."""

    def path(self, id: str) -> Path:
        return self.directory / f"{id}.npz"

    def read(self, id: str) -> Cam:
        return read_cam(self.path(id))


class ScoreFiles(ScoreMaps):
    """``<id>.npz`` per image."""

    def path(self, id: str) -> Path:
        return self.directory / f"{id}.npz"

    def read(self, id: str) -> Scores:
        return read_scores(self.path(id))


class LabelFiles(LabelMaps):
    """``<id>.png`` per image."""

    def path(self, id: str) -> Path:
        return self.directory / f"{id}.png"

    def read(self, id: str) -> np.ndarray:
        return read_label(self.path(id))


@dataclass(frozen=True)
class ClassifierFile(TrainedClassifier):
    """The weights that `classify` left, and the architecture they belong to.

    Attributes:
        architecture: as `build_classifier` takes it.
        num_classes: K.
    """

    architecture: Mapping[str, Any]
    num_classes: int

    def build(self, trained: bool = True) -> Classifier:
        classifier = build_classifier(self.architecture, self.num_classes, pretrained=False)
        if trained:
            load_weights(classifier, self.directory / WEIGHTS, prefix="classifier.")
        return classifier

    def frozen(self) -> Callable[[Tensor], Output]:
        return FrozenClassifier(self)


class FrozenClassifier:
    """A trained classifier as a function of images; see `TrainedClassifier.frozen`."""

    def __init__(self, trained: TrainedClassifier) -> None:
        self.trained = trained
        self._network: Classifier | None = None

    def __call__(self, images: Tensor) -> Output:
        if self._network is None:
            # Building draws initial weights: the caller's random numbers have to go on as if nothing had been drawn.
            with torch.random.fork_rng():
                network = self.trained.build()
            self._network = network.requires_grad_(False).eval().to(images.device)
        output: Output = self._network(images)
        return output

    def __getstate__(self) -> dict[str, Any]:
        return {"trained": self.trained, "_network": None}


_FILES: dict[type[Artefact], type[Artefact]] = {
    Cams: CamFiles,
    ScoreMaps: ScoreFiles,
    LabelMaps: LabelFiles,
}


def files_of(
    makes: type[Artefact], directory: Path, parameters: Mapping[str, Any] | None = None
) -> Artefact:
    """Return the artefact of class `makes` in `directory`.

    Args:
        parameters: of the stage that made it; further fields of a plugin's class have the values of those called so.
    """
    given = parameters or {}
    further = {one.name: given[one.name] for one in fields(makes) if one.name in given}
    return _FILES.get(makes, makes)(directory, **further)


class FilePhoto(Photo):
    """A photo in a file."""

    @property
    def image(self) -> np.ndarray:
        return read_image(self.path)


def photos_of(dataset: Dataset, splits: Iterable[str]) -> Photos:
    """Return the images of `splits`, each id once, with the labels of the first split that has it."""
    splits = tuple(splits)
    labels = {
        (split, id): row
        for split in splits
        for id, row in zip(dataset.ids(split), dataset.labels(split), strict=True)
    }
    return Photos(
        [
            FilePhoto(id, dataset.image_path(id), labels[split, id])
            for id, split in ids_of(dataset, splits)
        ]
    )
