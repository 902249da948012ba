"""Loading training images: the classifier's data set, and how the loading processes start and report errors."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.interfaces import Augmentation, Photo
from wsssbench.interfaces.augmentation import need_views
from wsssbench.interfaces.values import AUGMENTATION_STREAM, VIEW_STREAM
from wsssbench.parallel.plugin_errors import plugin_errors
from wsssbench.training.transforms import TrainTransform


class ImageLabels(torch.utils.data.Dataset[list[dict[str, Any]]]):
    """Photos with their image-level labels: random views of one at each draw.

    A draw is ``(index, position)``: which photo, and the place of this draw in the endless stream
    of all draws of the training. The views depend on the seed and the position alone, not on which
    worker makes them or when. An augmentation leaves the crop of a view that it does not change as it
    would be without.

    Args:
        photos: of a split.
        transform: resizes, crops and normalises each view.
        seed: of the run.
        augment: in this order, each on every view that the ones before have made.

    Attributes:
        views: of each photo.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        transform: TrainTransform,
        seed: int,
        augment: Sequence[Augmentation] = (),
    ) -> None:
        self.photos = photos
        self.transform = transform
        self.seed = seed
        self.augment = tuple(augment)
        self.views = math.prod(one.count for one in self.augment)

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, draw: tuple[int, int]) -> list[dict[str, Any]]:
        """The views of one draw, each with ``images`` (3, h, w) float32, ``labels`` (K,) float32, ``ids``,
        ``positions`` and ``planes`` (h, w) uint8 by name."""
        index, position = draw
        views = [self.photos[index]]
        for number, augmentation in enumerate(self.augment):
            key = (self.seed, position, AUGMENTATION_STREAM, number)
            random = np.random.default_rng(key)
            views = [new for view in views for new in _views(augmentation, view, random)]
        return [self._sample(view, position, number) for number, view in enumerate(views)]

    def _sample(self, view: Photo, position: int, number: int) -> dict[str, Any]:
        key = (self.seed, position, VIEW_STREAM, number) if number else (self.seed, position)
        image, planes = self.transform.with_planes(
            view.image, view.planes, np.random.default_rng(key)
        )
        return {
            "images": torch.from_numpy(np.ascontiguousarray(image)),
            "labels": torch.tensor(view.labels),
            "ids": view.id,
            "positions": position,
            "planes": {name: torch.from_numpy(plane) for name, plane in planes.items()},
        }


def collate_views(draws: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """Make a batch of the views of several draws: the first ones of all, then the second ones, ..."""
    batch: dict[str, Any] = default_collate(
        [view for views in zip(*draws, strict=True) for view in views]
    )
    return batch


def _views(
    augmentation: Augmentation, photo: Photo, random: np.random.Generator
) -> Sequence[Photo]:
    """Return the views of `photo`; one sentence if the augmentation breaks its contract or fails.

    A loading process hands on nothing of an error but its type and text, so that it has to be a plain one.
    """
    component = f"augmentation {type(augmentation).__name__}"
    try:
        with plugin_errors():
            views = augmentation.views(photo, random)
        need_views(views, photo, augmentation.count, component)
    except UserError as error:
        raise UserError(error.whole) from error
    except CorruptArtefactError as error:
        raise UserError(
            f"{component}: {error}; run the same command again to have it made again"
        ) from error
    return views


def start_method(workers: int) -> str | None:
    """How the data loader starts processes: by a fork where that is safe, since spawned ones import everything."""
    if workers == 0:
        return None
    return "fork" if sys.platform == "linux" else "spawn"


def start_worker(number: int) -> None:
    """In every loading process, first: parallelism is by process, also for OpenCV if it is used."""
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(0)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what torch makes of an error in a loading process back into one sentence."""
    try:
        yield
    except UserError as error:
        lines = "".join(map(str, error.args)).strip().splitlines()
        if len(lines) < 2:
            raise
        # torch puts the traceback before the message: "wsssbench.errors.UserError: <sentence>"
        raise UserError(lines[-1].partition("Error: ")[2] or lines[-1]) from error
    except (RuntimeError, ConnectionError, EOFError) as error:
        # "Caught RuntimeError in DataLoader worker process 0": raised by the data set. A process that is killed while
        # it hands over an image ends the connection, which shows before torch notices its death.
        own = isinstance(error, RuntimeError) and "DataLoader worker" not in str(error)
        if own or str(error).startswith("Caught "):
            raise
        raise UserError(
            "a process that loads images died (out of memory?): give the same command again with fewer workers, "
            "it continues from the last checkpoint"
        ) from error
