"""A data set that keeps its contract, and data sets that break it at one point each."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wsssbench.contract.samples import make_photo
from wsssbench.errors import UserError, unknown
from wsssbench.files.images import read_label, write_label
from wsssbench.interfaces import Dataset
from wsssbench.progress import Progress


class Good(Dataset):
    """Six discs, image i of class i modulo 3.

    Args:
        seed: of the images.
    """

    generated = True
    classes: Any = ("red", "green", "blue")

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
        self.root = Path()

    def generate(self, directory: Path, progress: Progress) -> None:
        (directory / "masks").mkdir()
        for i in range(6):
            photo, inside = make_photo(self.first() + i, 20, 30 + i)
            Image.fromarray(photo).save(directory / f"disc{i}.png")
            mask = np.where(inside, 1 + i % 3, 0).astype(np.uint8)
            write_label(directory / "masks" / f"disc{i}.png", mask)

    def first(self) -> int:
        return self.seed

    def at(self, directory: Path) -> Dataset:
        bound = copy.copy(self)
        bound.root = directory
        return bound

    def ids(self, split: str) -> list[str]:
        if split != "train":
            raise UserError(unknown("split", split, ["train"]))
        return [f"disc{i}" for i in range(6)]

    def labels(self, split: str) -> Any:
        labels = np.zeros((len(self.ids(split)), 3), np.float32)
        labels[np.arange(len(labels)), np.arange(len(labels)) % 3] = 1
        return labels

    def image_path(self, id: str) -> Path:
        return self.root / f"{id}.png"

    def mask_path(self, id: str, split: str) -> Path | None:
        return self.root / "masks" / f"{id}.png"

    def mask_directories(self) -> tuple[Path, ...]:
        return (self.root / "masks",)


class ClassTwice(Good):
    classes = ("red", "green", "red")


class ClassList(Good):
    classes = ["red", "green", "blue"]  # noqa: RUF012 - which is what is wrong


class IdTwice(Good):
    def ids(self, split: str) -> list[str]:
        return [*super().ids(split)[:5], "disc0"]


class IdWithSlash(Good):
    def ids(self, split: str) -> list[str]:
        return [f"discs/{id}" for id in super().ids(split)]


class EmptySplit(Good):
    def ids(self, split: str) -> list[str]:
        return super().ids(split)[:0]


class OtherOrder(Good):
    calls = 0

    def ids(self, split: str) -> list[str]:
        OtherOrder.calls += split == "train"
        return super().ids(split)[:: 1 if OtherOrder.calls % 2 else -1]


class AnySplit(Good):
    def ids(self, split: str) -> list[str]:
        return super().ids("train")


class KeyErrorSplit(Good):
    def ids(self, split: str) -> list[str]:
        return {"train": super().ids("train"), "val": []}[split] if split == "train" else 1 / 0


class OtherSplits(Good):
    def ids(self, split: str) -> list[str]:
        if split != "fold1":
            raise UserError(unknown("split", split, ["fold1"]))
        return super().ids("train")


class DoubleLabels(Good):
    def labels(self, split: str) -> Any:
        return super().labels(split).astype(np.float64)


class ListLabels(Good):
    def labels(self, split: str) -> Any:
        return super().labels(split).tolist()


class WeightedLabels(Good):
    def labels(self, split: str) -> Any:
        return 0.5 * super().labels(split)


class NoClass(Good):
    def labels(self, split: str) -> Any:
        labels = super().labels(split)
        labels[2] = 0
        return labels


class SortedLabels(Good):
    def labels(self, split: str) -> Any:
        return np.roll(super().labels(split), 1, axis=0)


class LabelsFromMasks(Good):
    def labels(self, split: str) -> Any:
        read_label(self.root / "masks" / "disc0.png")
        return super().labels(split)


class NoLabels(Good):
    def labels(self, split: str) -> Any:
        raise UserError("labels.csv does not exist")


class MissingImage(Good):
    def image_path(self, id: str) -> Path:
        return self.root / f"{id}.jpg"


class TextPath(Good):
    def image_path(self, id: str) -> Any:
        return str(super().image_path(id))


class ImagesAmongMasks(Good):
    def mask_directories(self) -> tuple[Path, ...]:
        return (self.root,)


class OpenMasks(Good):
    def mask_directories(self) -> tuple[Path, ...]:
        return ()


class LargeMasks(Good):
    def image_path(self, id: str) -> Path:
        return super().image_path("disc0")


class WrongValues(Good):
    classes = ("red", "green")

    def labels(self, split: str) -> Any:
        return np.ones((6, 2), np.float32)


class HalfMasks(Good):
    def mask_path(self, id: str, split: str) -> Path | None:
        return super().mask_path(id, split) if id == "disc0" else None


class ArrayCard(Good):
    def card(self) -> Any:
        return {"sizes": np.arange(3)}


class WithLambda(Good):
    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.transform = lambda x: x


class Unseeded(Good):
    def first(self) -> int:
        return int(np.random.default_rng().integers(1000))


class FailsToGenerate(Good):
    def generate(self, directory: Path, progress: Progress) -> None:
        Image.fromarray(np.zeros((2, 2), np.uint8)).save(directory / "images" / "a.png")
