"""What the rehearsal of the classifier's training needs: tiny photos, and a stand-in for the trained classifier."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from wsssbench.interfaces import IGNORE, Artefact, Classifier, Output, Photo, TrainedClassifier
from wsssbench.models.classifier import LISTS
from wsssbench.plugins import load
from wsssbench.stages.handles import FilePhoto, photos_of
from wsssbench.stages.stage import StageWork
from wsssbench.training.loading import ImageLabels, collate_views
from wsssbench.training.rehearsal import tiny_photo
from wsssbench.training.transforms import TrainTransform


@dataclass(frozen=True)
class Rehearsed(TrainedClassifier):
    """A classifier of one training step, which stands for the trained one in rehearsals."""

    classifier: Classifier

    def build(self, trained: bool = True) -> Classifier:
        return copy.deepcopy(self.classifier)

    def frozen(self) -> Callable[[Tensor], Output]:
        classifier = copy.deepcopy(self.classifier).requires_grad_(False).eval()
        return lambda images: cast(Output, classifier(images))


class TinyBatches:
    """Batches of tiny photos, as the training of `work` would make them of its own.

    An augmentation that reads what another stage made of the real photos is left out: a tiny photo does not fit that.

    Attributes:
        views: of each photo.
    """

    def __init__(self, work: StageWork, count: int) -> None:
        self.work, self.count = work, count
        configs = [one for one in work.config["augment"] if not artefacts_of(one)]
        registry = load().registries.augmentation
        self.augment = [registry.build(one, where="classifier.augment") for one in configs]
        lost = [role for role, made in work.inputs.items() if made is None and "augment." in role]
        self.whole = len(configs) == len(work.config["augment"]) and not lost
        self.views = ImageLabels((), _cut(1), 0, self.augment).views

    def batch(self, side: int) -> dict[str, Any]:
        """Make a batch of images (N, 3, side, side)."""
        photos = [photo.changed(image=tiny_photo(side)) for photo in self._photos()]
        data = ImageLabels(photos, _cut(side), 0, self.augment)
        batch = collate_views([data[i, i] for i in range(self.count)])
        if not self.whole:
            shape = (len(batch["images"]), side, side)
            batch["planes"] = _AnyPlane(batch["planes"], shape, self.work.context.device)
        return batch

    def _photos(self) -> Sequence[Photo]:
        """Real ids and labels for objectives that read what a stage has made of these; else one class each."""
        config, dataset = self.work.config, self.work.dataset
        given = [one for key in LISTS for one in config["classifier"][key]]
        read = [artefact for one in given for artefact in artefacts_of(one)]
        if any(not isinstance(artefact, TrainedClassifier) for artefact in read):
            return list(islice(cycle(photos_of(dataset, (config["split"],))), self.count))
        labels = torch.eye(self.count, len(dataset.classes)).numpy()
        return [FilePhoto(f"rehearsal {i}", Path(), row) for i, row in enumerate(labels)]


class _AnyPlane(dict[str, Tensor]):
    """Planes of which those that are not known are 255 everywhere."""

    def __init__(
        self, known: Mapping[str, Tensor], shape: tuple[int, int, int], device: str
    ) -> None:
        super().__init__(known)
        self.shape, self.device = shape, device

    def __missing__(self, name: str) -> Tensor:
        return torch.full(self.shape, IGNORE, dtype=torch.uint8, device=self.device)


def tell_warnings(
    classifier: Classifier, crop: int, images: int, tell: Callable[[str], None]
) -> None:
    """Show what the pooling has to say about the maps of a crop, e.g. that they are smaller than a bin."""
    backbone = classifier.backbone
    features = [
        torch.zeros(images, channels, -(-crop // stride), -(-crop // stride))
        for channels, stride in zip(backbone.channels, backbone.strides, strict=True)
    ]
    with warnings.catch_warnings(record=True) as said, torch.no_grad():
        warnings.simplefilter("always", UserWarning)
        classifier.train().classify(tuple(features))
    for text in dict.fromkeys(str(warning.message) for warning in said):
        tell(text)


def _cut(side: int) -> TrainTransform:
    """A transform that changes nothing of an image of this size."""
    return TrainTransform(crop=side, flip=False, jitter_probability=0)


def artefacts_of(value: Any) -> list[Artefact]:
    """Return the artefacts in a config."""
    if isinstance(value, Mapping):
        return [artefact for item in value.values() for artefact in artefacts_of(item)]
    if isinstance(value, (list, tuple)):
        return [artefact for item in value for artefact in artefacts_of(item)]
    return [value] if isinstance(value, Artefact) else []
