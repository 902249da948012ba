"""Tiny images and a tiny backbone for the segmenter tests, and the program that uses them in other processes:

    python tiny_segmentation.py DIRECTORY WORKERS [KILL_AT [LOSS]]

trains and predicts in DIRECTORY; KILL_AT = n: the process kills itself (SIGKILL) at iteration n, or never if it is 0;
with LOSS, a loss of the tests is the segmenter's.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.interfaces import (
    IGNORE,
    Backbone,
    RunContext,
    SegmentationBatch,
    SegmentationItem,
    SegmentationLoss,
)
from wsssbench.parallel import ranks
from wsssbench.plugins import load
from wsssbench.progress import Silent
from wsssbench.segmenters.deeplab import DeepLab

NAME = "tiny_segmentation"  # of this module
CLASSES = ("red", "green")
LOSS = {"type": "TinyLoss", "part": 0.7, "ramp": 2.0}
SCHEDULE = {"batch_size": 4, "iterations": 6, "lr": 0.01, "checkpoint_every": 2}


class TinyBackbone(Backbone):
    """Feature maps at strides 4 and 8."""

    channels = (6, 10)
    strides = (4, 8)

    def __init__(self, *, marked: bool = False) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, 2, 1), nn.ReLU()
        )
        self.coarse = nn.Sequential(nn.Conv2d(6, 10, 3, 2, 1), nn.ReLU())
        if marked:  # stands for pretrained weights
            nn.init.constant_(self.fine[0].weight, 0.25)
            self.fine.requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        fine = self.fine(images)
        return fine, self.coarse(fine)


class TinyLoss(SegmentationLoss):
    """The cross-entropy of a random part of the pixels, which weighs more and more; it notes what it was given."""

    seen: ClassVar[list[tuple[tuple[int, ...], SegmentationBatch]]] = []

    def __init__(self, *, part: float = 1.0, ramp: float = 0.0) -> None:
        super().__init__()
        if part <= 0:
            raise ValueError(f"part={part} has to be greater than 0")
        self.part = part
        self.ramp = ramp

    def forward(self, logits: Tensor, batch: SegmentationBatch) -> Tensor:
        self.seen.append((tuple(logits.shape), batch))
        valid = (batch.labels != IGNORE) & (torch.rand(batch.labels.shape) < self.part)
        pixels = F.cross_entropy(logits, batch.labels, ignore_index=IGNORE, reduction="none")
        mean = (pixels * valid).sum() / valid.sum().clamp(min=1)
        return mean * (1 + self.ramp * batch.progress)


def register() -> None:
    """Make the backbone and the loss known in this process."""
    registries = load().registries
    registries.backbone.add("TinyBackbone", f"{NAME}:TinyBackbone", summary="for tests")
    registries.loss.add("TinyLoss", f"{NAME}:TinyLoss", summary="for tests")


def make_items(directory: Path, count: int = 6) -> list[SegmentationItem]:
    """Grey noise with a coloured square whose class is its colour; the sizes differ."""
    directory.mkdir(parents=True, exist_ok=True)
    items = []
    for i in range(count):
        rng = np.random.default_rng(i)
        height, width = int(rng.integers(30, 50)), int(rng.integers(30, 50))
        image = rng.integers(90, 160, (height, width, 3)).astype(np.uint8)
        label = np.zeros((height, width), np.uint8)
        top, left = int(rng.integers(0, height - 20)), int(rng.integers(0, width - 20))
        inside = (slice(top, top + 20), slice(left, left + 20))
        image[inside] = (230, 20, 20) if i % 2 else (20, 230, 20)
        label[inside] = 1 if i % 2 else 2
        label[:2] = 255
        item = SegmentationItem(f"im{i}", directory / f"im{i}.png", directory / f"im{i}_label.png")
        Image.fromarray(image).save(item.image)
        Image.fromarray(label).save(str(item.label))
        items.append(item)
    return items


def deeplab(**changes: Any) -> DeepLab:
    settings: dict[str, Any] = {
        "backbone": {"type": "TinyBackbone"},
        "schedule": SCHEDULE,
        "crop": 32,
        "channels": 8,
        **changes,
    }
    return load().registries.segmenter.build({"type": "DeepLab", **settings}, CLASSES)


class Diary(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    warn = say


def context(directory: Path, workers: int = 0) -> RunContext:
    return RunContext(directory, "cpu", workers, 11, Diary())


def _die_at(iteration: int) -> None:
    from wsssbench.training.hooks import Reseed

    original = Reseed.before_train_iter

    def die(self: Reseed, runner: Any, **others: Any) -> None:
        if runner.iter + 1 == iteration:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(10)
        original(self, runner, **others)

    Reseed.before_train_iter = die


if __name__ == "__main__":
    torch.set_num_threads(1)
    register()
    target, workers_given = Path(sys.argv[1]), int(sys.argv[2])
    given = make_items(target / f"data{ranks.rank()}")
    if len(sys.argv) > 3 and int(sys.argv[3]):
        _die_at(int(sys.argv[3]))
    network = deeplab(head="largefov", loss=LOSS if len(sys.argv) > 4 else None)
    network.train(given, context(target / "train", workers_given))
    metrics = network.predict(given, target / "train", context(target / "out", workers_given))
    (target / f"metrics{ranks.rank()}.txt").write_text(repr(sorted(metrics.items())))
