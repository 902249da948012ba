"""The types of what stages leave on disk.

A parameter of a component that is annotated with one of these classes is a *reference*: a config gives the name of a
stage, the annotation says what that stage has to make, and the component receives an object of the class.
``X | None`` makes a reference optional, ``tuple[X, ...]`` takes several.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from wsssbench.interfaces.network import Classifier
from wsssbench.interfaces.values import Cam, Output, Scores


@dataclass(frozen=True)
class Artefact:
    """The result of one stage in `directory`. A plugin's own kind of artefact is a class derived from this one.

    Objects are small and pickle to worker processes; they open files when they are asked for something. A further field
    of a plugin's class, which is a frozen dataclass then, has the value of the parameter of that name of the stage.
    """

    directory: Path
    # In sentences: "ordinary.cam makes CAMs"; by default the name of the class.
    called: ClassVar[str] = "artefacts"
    # Takes hours to make, so masks that will be opened later are read before.
    slow: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.called == Artefact.called:
            cls.called = cls.__name__


class TrainedClassifier(Artefact):
    """A classifier that `classify` trained."""

    called: ClassVar[str] = "a classifier"
    slow: ClassVar[bool] = True

    @abstractmethod
    def build(self, trained: bool = True) -> Classifier:
        """Return a new classifier with the trained weights, on the CPU, in training mode.

        Without `trained` it has random ones, and nothing is read: for a component that trains it further, and is built
        to load what it has saved.
        """

    @abstractmethod
    def frozen(self) -> Callable[[Tensor], Output]:
        """Return a function of images (N, 3, H, W): the trained classifier in evaluation mode.

        Its parameters get no gradient, the images do. It is not an `nn.Module`, so whoever keeps it neither trains
        nor saves it. It is loaded at its first call, on the device of the images.
        """


class Cams(Artefact):
    """A `Cam` per image."""

    called: ClassVar[str] = "CAMs"
    slow: ClassVar[bool] = True

    @abstractmethod
    def path(self, id: str) -> Path:
        """Return the file of image `id`."""

    @abstractmethod
    def read(self, id: str) -> Cam:
        """Return the CAM of image `id`; CorruptArtefactError if it is not whole."""


class ScoreMaps(Artefact):
    """`Scores` per image."""

    called: ClassVar[str] = "scores"

    @abstractmethod
    def path(self, id: str) -> Path:
        """Return the file of image `id`."""

    @abstractmethod
    def read(self, id: str) -> Scores:
        """Return the scores of image `id`; CorruptArtefactError if they are not whole."""


class LabelMaps(Artefact):
    """A label map per image."""

    called: ClassVar[str] = "label maps"

    @abstractmethod
    def path(self, id: str) -> Path:
        """Return the file of image `id`."""

    @abstractmethod
    def read(self, id: str) -> np.ndarray:
        """Return the label map of image `id`, (H, W) uint8; CorruptArtefactError if it is not whole."""


class TrainedSegmenter(Artefact):
    """The trained network that a segmenter's `train` left in `directory`."""

    called: ClassVar[str] = "a segmentation network"


@dataclass(frozen=True)
class Photo(ABC):
    """One image with its image-level labels; its mask stays closed.

    Attributes:
        id: of the image.
        path: its file.
        labels: (K,) float32 in {0, 1}.
        planes: what lies over it, by name, (H, W) uint8, as a label map; cropped and mirrored with the image.
    """

    id: str
    path: Path
    labels: np.ndarray
    planes: Mapping[str, np.ndarray] = field(default_factory=dict, kw_only=True)

    @property
    @abstractmethod
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB, read anew each time; UserError if the file cannot be read."""

    def changed(
        self,
        *,
        image: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        planes: Mapping[str, np.ndarray] | None = None,
    ) -> Photo:
        """Return a copy, in memory, with another image, other labels, or further planes; None: as they are.

        A plane of an image that has changed in size has to be given anew.
        """
        return _ChangedPhoto(
            self.id,
            self.path,
            self.labels if labels is None else labels,
            self,
            image,
            planes={**self.planes, **(planes or {})},
        )


@dataclass(frozen=True)
class _ChangedPhoto(Photo):
    """A photo of which something is in memory."""

    original: Photo
    pixels: np.ndarray | None

    @property
    def image(self) -> np.ndarray:
        return self.original.image if self.pixels is None else self.pixels


@dataclass(frozen=True)
class _PhotoInMemory(Photo):
    """A photo that has no file."""

    pixels: np.ndarray

    @property
    def image(self) -> np.ndarray:
        return self.pixels


def photo_of(
    image: np.ndarray, labels: Sequence[float] | np.ndarray = (), id: str = "photo"
) -> Photo:
    """Return a photo in memory, of an `image` (H, W, 3) uint8 RGB with image-level `labels` (K,)."""
    return _PhotoInMemory(id, Path(id), np.asarray(labels, np.float32), image)


class Photos(Sequence[Photo]):
    """The images of one or several splits, each id once, in list order.

    A parameter of a component that is annotated with this class is given as the key of a split, ``"train"``.
    """

    called: ClassVar[str] = "photos"

    def __init__(self, photos: Sequence[Photo]) -> None:
        self._photos = tuple(photos)

    @property
    def ids(self) -> list[str]:
        """The image ids, in order."""
        return [photo.id for photo in self._photos]

    @property
    def labels(self) -> np.ndarray:
        """Image-level labels, (n, K) float32 in {0, 1}."""
        return np.stack([photo.labels for photo in self._photos])

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # an int or a slice
        return self._photos[index]

    def __iter__(self) -> Iterator[Photo]:
        return iter(self._photos)
