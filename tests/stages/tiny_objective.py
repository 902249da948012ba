"""A training with every draw there is, and the program that does it with torchrun: python tiny_objective.py DIRECTORY

An augmentation makes two views, of which the second is random, with a plane; an objective draws for each image.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tiny_classification import SCHEDULE, Mean, Thin
from torch import nn

from wsssbench.interfaces import (
    Augmentation,
    Batch,
    Classifier,
    Losses,
    Objective,
    Output,
    Photo,
    RunContext,
)
from wsssbench.progress import Silent
from wsssbench.stages.handles import FilePhoto
from wsssbench.training.classification import ClassificationTask
from wsssbench.training.engine import seed_everything, train
from wsssbench.training.loading import ImageLabels, collate_views
from wsssbench.training.transforms import TrainTransform

SEED = 3


class Noisy(Augmentation):
    """The photo and a noisy one; a plane tells which is which."""

    count = 2

    def views(self, photo: Photo, random: np.random.Generator) -> Sequence[Photo]:
        image = photo.image
        noise = random.integers(0, 60, image.shape, dtype=np.uint8)
        planes = [{"noisy": np.full(image.shape[:2], view, np.uint8)} for view in range(2)]
        return [photo.changed(planes=planes[0]), photo.changed(image=noise, planes=planes[1])]


class Drawing(Objective):
    """A head of its own for one random class of each image, another one of each view."""

    classification_weight = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(5, 2, 1)

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        logits = self.head(output.features[-1]).mean((2, 3))
        drawn = torch.tensor([int(one.integers(2)) for one in batch.generators("Drawing")])
        noisy = (batch.planes["noisy"] == 1).float().amax((1, 2))
        chosen = logits.gather(1, drawn[:, None])[:, 0]
        return Losses({"drawn": (chosen - noisy - drawn).square().mean()})


def photos() -> list[Photo]:
    """Twelve photos with random content and labels."""
    rng = np.random.default_rng(0)
    return [
        FilePhoto(f"{i}", Path(), rng.integers(0, 2, 2).astype(np.float32)).changed(
            image=rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
        )
        for i in range(12)
    ]


def run(directory: Path) -> Path:
    """Train; returns the file of the weights."""
    data = ImageLabels(photos(), TrainTransform(resize_long=(8, 14), crop=8), SEED, [Noisy()])
    seed_everything(4)
    classifier = Classifier(Thin(), Mean(2), 2, objectives=[Drawing()])
    task = ClassificationTask(classifier, 4, SEED, data.views)
    context = RunContext(directory, "cpu", 0, SEED, Silent())
    return train(task, data, SCHEDULE, context, title="tiny", collate=collate_views)


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(Path(sys.argv[1]))
