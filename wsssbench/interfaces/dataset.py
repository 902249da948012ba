"""The contract of data sets: images, image-level labels, and masks that only the evaluation may open."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np

from wsssbench.progress import Progress


class Dataset(ABC):
    """Images with image-level labels, and masks that only the evaluation may open. ``__init__(*, ...)``.

    Attributes:
        classes: the K foreground names; label-map value i + 1 belongs to ``classes[i]``.
    """

    classes: tuple[str, ...]
    generated: ClassVar[bool] = False  # True: `generate` makes the files, and `root` is where
    # Parameters of a generated one that are the numbers of images of its splits, if fewer are the first of more.
    sizes: ClassVar[tuple[str, ...]] = ()
    empty_images: bool = False  # True: images without any class belong to the data set

    def card(self) -> dict[str, str | int | float | bool | None]:
        """Return the protocol card's entries on this data set beside its name and split, e.g. where masks are from."""
        return {}

    def has_masks(self, split: str) -> bool:
        """Tell whether `split` can be scored; looks for no file."""
        return self.mask_path(self.ids(split)[0], split) is not None

    def generate(self, directory: Path, progress: Progress) -> None:
        """Write the data set into `directory` (only if `generated`); a pure function of the parameters."""
        raise TypeError(f"{type(self).__name__} is not a generated data set")

    def at(self, directory: Path) -> Dataset:
        """Return this data set with its files in `directory` (only if `generated`)."""
        raise TypeError(f"{type(self).__name__} is not a generated data set")

    @abstractmethod
    def ids(self, split: str) -> list[str]:
        """Return the image ids of `split`, in list order; UserError if there is no such split or it is empty."""

    @abstractmethod
    def labels(self, split: str) -> np.ndarray:
        """Return image-level labels in the order of `ids`, (n, K) float32 in {0, 1}. Opens no mask."""

    @abstractmethod
    def image_path(self, id: str) -> Path:
        """Return the image file of `id`."""

    @abstractmethod
    def mask_path(self, id: str, split: str) -> Path | None:
        """The ground-truth mask of `id` in `split`, None if the split has none.

        Only the evaluation opens it, by `wsssbench.files.ground_truth.read_mask`. UserError if there is no such split;
        a generated data set tells that before its files are there, of any `id`.
        """

    @abstractmethod
    def mask_directories(self) -> tuple[Path, ...]:
        """Return the folders of the masks; the leak guard closes them to image-level stages."""
