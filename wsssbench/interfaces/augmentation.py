"""The contract of an augmentation: other photos of a photo, before these are resized and cropped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from wsssbench.interfaces.artefacts import Photo
from wsssbench.interfaces.requirements import described, need


class Augmentation(ABC):
    """Makes views of a photo for the training of the classifier. ``__init__(*, ...)``.

    It works in the processes that load images, so it has to pickle.

    Attributes:
        count: V, the number of views of each photo; of the class, or set by ``__init__``. A batch is made of the first
            views of all its photos, then the second ones, ...; `batch_size` counts photos.
    """

    count: int = 1

    @abstractmethod
    def views(self, photo: Photo, random: np.random.Generator) -> Sequence[Photo]:
        """Return V views of `photo`, made by ``photo.changed(...)``, or the photo itself.

        Args:
            photo: stays as it is.
            random: for all random draws; it depends on the run's seed and the position in the training.
        """


def need_views(views: Any, photo: Photo, count: int, component: str = "") -> None:
    """The views of `photo` that an augmentation made: `count` photos with legal images, labels and planes."""
    need(
        isinstance(views, Sequence) and all(isinstance(view, Photo) for view in views),
        f"views() returns {described(views)}",
        "a sequence of photos is needed: photo.changed(image=...) makes one",
        component,
    )
    need(
        len(views) == count,
        f"views() of photo '{photo.id}' returns {len(views)} photos",
        f"its `count` is {count}",
        component,
    )
    for view in views:
        _need_photo(view, photo, component)
        need(
            set(view.planes) == set(views[0].planes),
            f"the views of photo '{photo.id}' have the planes {sorted(views[0].planes)} and {sorted(view.planes)}",
            "they have to be the same in all views",
            component,
        )


def _need_photo(view: Photo, photo: Photo, component: str) -> None:
    image, labels = view.image, view.labels
    need(
        view.id == photo.id,
        f"a view of photo '{photo.id}' has the id '{view.id}'",
        "it has to be the photo's",
        component,
    )
    need(
        isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and image.ndim == 3
        and image.shape[2] == 3
        and image.size > 0,
        f"the image of a view of photo '{photo.id}' is {described(image)}",
        "uint8 of shape (H, W, 3) is needed",
        component,
    )
    need(
        isinstance(labels, np.ndarray)
        and labels.dtype == np.float32
        and labels.shape == photo.labels.shape
        and bool(np.isin(labels, (0, 1)).all()),
        f"the labels of a view of photo '{photo.id}' are {described(labels)}: {np.asarray(labels).tolist()}",
        f"float32 of shape {photo.labels.shape} in {{0, 1}} is needed",
        component,
    )
    for name, plane in view.planes.items():
        need(
            isinstance(plane, np.ndarray)
            and plane.dtype == np.uint8
            and plane.shape == image.shape[:2],
            f"the plane '{name}' of a view of photo '{photo.id}' is {described(plane)}",
            f"uint8 of the image's size {image.shape[:2]} is needed",
            component,
        )
