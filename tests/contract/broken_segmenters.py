"""A segmenter that keeps its contract, and segmenters that break it at one point each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wsssbench.files.images import image_size, read_label, write_label
from wsssbench.interfaces import RunContext, SegmentationItem, Segmenter


class Good(Segmenter):
    """Predicts the most frequent label everywhere."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes

    def train(self, items: Sequence[SegmentationItem], context: RunContext) -> None:
        network = context.directory / "network.txt"
        if not network.exists():
            values = np.concatenate(
                [read_label(item.label).ravel() for item in items if item.label]
            )
            network.write_text(str(np.bincount(values[values != 255]).argmax()))

    def predict(
        self, items: Sequence[SegmentationItem], trained: Path, context: RunContext
    ) -> Mapping[str, Any]:
        value = int((trained / "network.txt").read_text())
        for item in items:
            path = context.directory / f"{item.id}.png"
            if not path.exists():
                self.write(path, np.full(image_size(item.image), value, np.uint8))
        return {"images": len(items)}

    def write(self, path: Path, label: np.ndarray) -> None:
        write_label(path, label)


class TrainsNothing(Good):
    def train(self, items: Sequence[SegmentationItem], context: RunContext) -> None:
        pass


class NeedsEveryClass(Good):
    def train(self, items: Sequence[SegmentationItem], context: RunContext) -> None:
        for item in items:
            assert read_label(item.label).max() not in (0, 255)


class TrainsAgain(Good):
    def train(self, items: Sequence[SegmentationItem], context: RunContext) -> None:
        path = context.directory / "network.txt"
        path.write_text(str(int(path.read_text()) + 1 if path.exists() else 0))


class RefusesAgain(Good):
    def train(self, items: Sequence[SegmentationItem], context: RunContext) -> None:
        (context.directory / "network").mkdir()
        super().train(items, context)


class GreyPng(Good):
    def write(self, path: Path, label: np.ndarray) -> None:
        Image.fromarray(label).save(path)


class HalfSize(Good):
    def write(self, path: Path, label: np.ndarray) -> None:
        write_label(path, label[::2, ::2])


class Unsure(Good):
    def write(self, path: Path, label: np.ndarray) -> None:
        label[0] = 255
        write_label(path, label)


class OtherNames(Good):
    def write(self, path: Path, label: np.ndarray) -> None:
        write_label(path.with_stem(f"{path.stem}_label"), label)


class InInstance(Good):
    def train(self, items: Sequence[SegmentationItem], context: RunContext) -> None:
        self.value = 0
        (context.directory / "log.txt").write_text("trained")

    def predict(
        self, items: Sequence[SegmentationItem], trained: Path, context: RunContext
    ) -> Mapping[str, Any]:
        return {"value": self.value}


class BareNumber(Good):
    def predict(self, items: Any, trained: Path, context: RunContext) -> Any:
        super().predict(items, trained, context)
        return 0.5


class Overwrites(Good):
    def predict(self, items: Any, trained: Path, context: RunContext) -> Any:
        for item in items:
            (context.directory / f"{item.id}.png").unlink(missing_ok=True)
        return super().predict(items, trained, context)


class NeedsTruth(Good):
    def predict(self, items: Any, trained: Path, context: RunContext) -> Any:
        for item in items:
            read_label(item.label)
        return super().predict(items, trained, context)
