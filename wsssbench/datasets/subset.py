"""A few images of a data set, on which an experiment is tried before all of them are taken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from wsssbench.errors import UserError
from wsssbench.interfaces import Dataset
from wsssbench.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The images of a run that is only a trial.

    Attributes:
        images: at most so many of each split; the first ones of its list.
        smoke: those that show as many classes as so few can instead. ``--smoke`` sets it and makes all trainings tiny,
            so that the numbers of such a run mean nothing.
    """

    images: Annotated[int, Field(ge=1, le=10_000_000)]
    smoke: bool = False

    @property
    def mark(self) -> str:
        """The end of the name of every such run: ``smoke``, ``limit50``."""
        return "smoke" if self.smoke else f"limit{self.images}"

    def marked(self, name: str) -> str:
        """Return `name` with the mark, once."""
        return name if name.endswith(f"-{self.mark}") else f"{name}-{self.mark}"


class Subset(Dataset):
    """The images of `whole` that belong to a trial. Nothing else is different.

    Args:
        whole: the data set.
        trial: says which images.
    """

    def __init__(self, whole: Dataset, trial: Trial) -> None:
        self.whole = whole
        self.trial = trial
        self.classes = whole.classes
        self.generated = whole.generated  # type: ignore[misc]
        self.empty_images = whole.empty_images
        self._chosen: dict[str, list[int]] = {}

    def card(self) -> dict[str, str | int | float | bool | None]:
        return self.whole.card()

    def has_masks(self, split: str) -> bool:
        return self.whole.has_masks(split)

    def generate(self, directory: Path, progress: Progress) -> None:
        self.whole.generate(directory, progress)

    def at(self, directory: Path) -> Dataset:
        return Subset(self.whole.at(directory), self.trial)

    def ids(self, split: str) -> list[str]:
        every = self.whole.ids(split)
        return [every[i] for i in self._positions(split)]

    def labels(self, split: str) -> np.ndarray:
        return self.whole.labels(split)[self._positions(split)]

    def image_path(self, id: str) -> Path:
        return self.whole.image_path(id)

    def mask_path(self, id: str, split: str) -> Path | None:
        return self.whole.mask_path(id, split)

    def mask_directories(self) -> tuple[Path, ...]:
        return self.whole.mask_directories()

    def _positions(self, split: str) -> list[int]:
        """The places of the chosen images in the list of `split`, ascending."""
        if split not in self._chosen:
            count = len(self.whole.ids(split))
            first = list(range(min(count, self.trial.images)))
            few = self.trial.smoke and count > self.trial.images
            self._chosen[split] = (self._of_all_classes(split) or first) if few else first
        return self._chosen[split]

    def _of_all_classes(self, split: str) -> list[int]:
        """Choose images that are there, mask included, and show as many classes as possible between them.

        One after the other: that with the most classes which no earlier one shows, the first of equals.
        """
        ids = self.whole.ids(split)
        try:
            labels = self.whole.labels(split) > 0
        except UserError:  # a test split has none; anything else is told where labels are needed
            labels = np.zeros((len(ids), len(self.classes)), bool)
        unseen = np.ones(labels.shape[1], bool)
        left = np.ones(len(ids), bool)
        chosen: list[int] = []
        while left.any() and len(chosen) < self.trial.images:
            best = int(np.argmax(np.where(left, (labels & unseen).sum(axis=1), -1)))
            left[best] = False
            if self._is_there(ids[best], split):
                chosen.append(best)
                unseen &= ~labels[best]
        return sorted(chosen)

    def _is_there(self, id: str, split: str) -> bool:
        try:
            mask = self.whole.mask_path(id, split)
            return self.whole.image_path(id).is_file() and (mask is None or mask.is_file())
        except UserError:
            return False
