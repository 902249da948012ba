"""CAM inference that keeps its contract, and such that breaks it at one point each."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from wsssbench.interfaces import Cam, CamInference, Photo, ScoreMaps, Scores
from wsssbench.models.preprocess import normalise as normalise_image
from wsssbench.ops.cam import normalise


class Good(CamInference):
    """The classifier's maps as they are."""

    def maps(self, classifier: Any, image: np.ndarray, present: np.ndarray) -> np.ndarray:
        classifier.eval()
        with torch.no_grad():
            maps = classifier.cam_maps(torch.from_numpy(normalise_image(image))[None])[0]
        return self.scaled(maps[torch.as_tensor(present)])

    def scaled(self, maps: torch.Tensor) -> np.ndarray:
        return normalise(maps).numpy() if len(maps) else maps.numpy()

    def infer(self, classifier: Any, photo: Photo) -> Cam:
        present = np.flatnonzero(photo.labels)
        maps = self.maps(classifier, photo.image, present)
        return Cam((present + 1).astype(np.uint8), maps, photo.image.shape[:2])


class WithoutClassifier(CamInference):
    """Scores from the colours of the photo; needs no classifier."""

    needs_classifier = False
    gives = ScoreMaps

    def infer(self, classifier: Any, photo: Photo) -> Scores:
        assert classifier is None and len(self.classes) == len(photo.labels)
        present = np.flatnonzero(photo.labels)
        grey = photo.image.mean(axis=2) / 255
        planes = np.stack([1 - grey, *(grey * (k + 1) / 8 for k in present)]).astype(np.float32)
        return Scores((present + 1).astype(np.uint8), planes, grey.shape)


class GivesText(Good):
    gives = "scores"  # type: ignore[assignment]


class NotScaled(Good):
    def scaled(self, maps: torch.Tensor) -> np.ndarray:
        return maps.relu().numpy() * 0.5


class Doubled(Good):
    def scaled(self, maps: torch.Tensor) -> np.ndarray:
        return 2 * super().scaled(maps)


class Negative(Good):
    def scaled(self, maps: torch.Tensor) -> np.ndarray:
        return super().scaled(maps) - np.float32(0.5)


class DoublePrecision(Good):
    def scaled(self, maps: torch.Tensor) -> np.ndarray:
        return super().scaled(maps).astype(np.float64)


class UnknownQuick(Good):
    quick = {"steps": 1}  # noqa: RUF012


class NoPasses(Good):
    def passes(self) -> float:
        return 0.0


class FromZero(Good):
    def infer(self, classifier: Any, photo: Photo) -> Cam:
        cam = super().infer(classifier, photo)
        return replace(cam, classes=cam.classes - np.uint8(1))


class AllClasses(Good):
    def infer(self, classifier: Any, photo: Photo) -> Cam:
        cam = super().infer(classifier, photo)
        return replace(cam, maps=self.maps(classifier, photo.image, np.arange(len(photo.labels))))


class SizeOfMaps(Good):
    def infer(self, classifier: Any, photo: Photo) -> Cam:
        cam = super().infer(classifier, photo)
        return replace(cam, size=cam.maps.shape[1:])


class TooLarge(Good):
    def infer(self, classifier: Any, photo: Photo) -> Cam:
        cam = super().infer(classifier, photo)
        return replace(cam, maps=np.repeat(cam.maps, 8, axis=1))


class BareArray(Good):
    def infer(self, classifier: Any, photo: Photo) -> np.ndarray:
        return super().infer(classifier, photo).maps


class FixedSize(Good):
    def maps(self, classifier: Any, image: np.ndarray, present: np.ndarray) -> np.ndarray:
        return super().maps(classifier, image, present).reshape(len(present), 8, 12)


class TwoClasses(Good):
    def infer(self, classifier: Any, photo: Photo) -> Cam:
        cam = super().infer(classifier, photo)
        assert len(cam.classes) in (0, 2)
        return cam


class NeedsClass(Good):
    def scaled(self, maps: torch.Tensor) -> np.ndarray:
        return (maps.relu() / maps.max()).numpy() if len(maps) == 0 else super().scaled(maps)


class NotANumber(Good):
    def scaled(self, maps: torch.Tensor) -> np.ndarray:
        positive = maps.relu()
        return (positive / positive.amax((1, 2), keepdim=True)).numpy()


class RandomCrop(Good):
    def maps(self, classifier: Any, image: np.ndarray, present: np.ndarray) -> np.ndarray:
        shift = np.random.default_rng().integers(1, 30)
        return super().maps(classifier, np.roll(image, shift, axis=1), present)


class ChangesImage(Good):
    def infer(self, classifier: Any, photo: Photo) -> Cam:
        photo.image[0] = 0
        return super().infer(classifier, photo)


class TrainsOn(Good):
    def infer(self, classifier: Any, photo: Photo) -> Cam:
        with torch.no_grad():
            classifier.head.weight.mul_(0.9)
        return super().infer(classifier, photo)


class GlobalState(Good):
    def scaled(self, maps: torch.Tensor) -> np.ndarray:
        spawned = multiprocessing.parent_process() is not None
        return np.roll(super().scaled(maps), 1 if spawned else 0, axis=1)
