"""An augmentation that keeps its contract, and augmentations that break it at one point each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsssbench.interfaces import Augmentation, Photo


class Good(Augmentation):
    """The photo, and a noisy one, each with a plane.

    Args:
        strength: of the noise.
    """

    count = 2

    def __init__(self, *, strength: float = 9.0) -> None:
        self.strength = strength

    def views(self, photo: Photo, random: np.random.Generator) -> Sequence[Photo]:
        image = photo.image
        noisy = np.clip(image + random.normal(0, self.strength, image.shape), 0, 255)
        plane = {"noise": np.full(image.shape[:2], random.integers(9), np.uint8)}
        return [self.first(photo, plane), photo.changed(image=noisy.astype(np.uint8), planes=plane)]

    def first(self, photo: Photo, planes: dict[str, np.ndarray]) -> Photo:
        return photo.changed(planes=planes)


class HalfAView(Good):
    count = 0.5  # type: ignore[assignment]


class ThirdView(Good):
    count = 3


class BareImages(Good):
    def first(self, photo: Photo, planes: dict[str, np.ndarray]) -> Photo:
        return photo.image  # type: ignore[return-value]


class FloatImage(Good):
    def first(self, photo: Photo, planes: dict[str, np.ndarray]) -> Photo:
        return photo.changed(image=photo.image / 255, planes=planes)


class SoftLabels(Good):
    def first(self, photo: Photo, planes: dict[str, np.ndarray]) -> Photo:
        return photo.changed(labels=photo.labels / 2, planes=planes)


class SmallPlane(Good):
    def first(self, photo: Photo, planes: dict[str, np.ndarray]) -> Photo:
        return photo.changed(planes={"noise": np.zeros((2, 2), np.uint8)})


class OnePlane(Good):
    def first(self, photo: Photo, planes: dict[str, np.ndarray]) -> Photo:
        return photo


class NeedsClass(Good):
    def first(self, photo: Photo, planes: dict[str, np.ndarray]) -> Photo:
        np.flatnonzero(photo.labels)[0]
        return photo.changed(planes=planes)


class GlobalNoise(Good):
    def first(self, photo: Photo, planes: dict[str, np.ndarray]) -> Photo:
        dark = photo.image // np.random.randint(1, 9)  # noqa: NPY002 - this is the mistake
        return photo.changed(image=dark, planes=planes)


class FreshNoise(Good):
    def first(self, photo: Photo, planes: dict[str, np.ndarray]) -> Photo:
        dark = photo.image // np.random.default_rng().integers(1, 200, dtype=np.uint8)
        return photo.changed(image=dark, planes=planes)


class InPlace(Good):
    def first(self, photo: Photo, planes: dict[str, np.ndarray]) -> Photo:
        image = photo.image
        image[:3] = 0
        return photo.changed(image=image, planes=planes)


class WithLambda(Good):
    def __init__(self, *, strength: float = 9.0) -> None:
        super().__init__(strength=strength)
        self.noise = lambda x: x
