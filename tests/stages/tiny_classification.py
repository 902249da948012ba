"""A tiny `ClassificationTask`, and the program that trains it with torchrun:

python tiny_classification.py DIRECTORY SUPERVISED_IMAGES
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from wsssbench.interfaces import Backbone, Classifier, Pooled, Pooling, RunContext
from wsssbench.progress import Silent
from wsssbench.training.classification import ClassificationTask
from wsssbench.training.engine import seed_everything, train
from wsssbench.training.schedule import Schedule

# 5 iterations of 4 images, then 3 of 8
SCHEDULE = Schedule(
    batch_size=8,
    epochs=4,
    first_epochs=1.75,
    first_batch_size=4,
    lr=0.5,
    momentum=0.5,
)


class Thin(Backbone):
    """One convolution: without normalisation or dropout, parts of a batch add up to the whole."""

    channels = (5,)
    strides = (2,)

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 5, 3, 2, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.convolution(images).relu(),)


class Mean(Pooling):
    """Spatial mean."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()

    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(maps.mean((2, 3)))


class Noise(Dataset):
    """Twelve random images with two random labels."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(draw[1])
        labels = torch.randint(2, (2,), generator=generator).float()
        return {"images": torch.randn(3, 8, 8, generator=generator), "labels": labels}


def task(supervised_images: int | None) -> ClassificationTask:
    seed_everything(4)
    return ClassificationTask(Classifier(Thin(), Mean(2), 2, hidden=4), supervised_images)


def run(directory: Path, supervised_images: int | None) -> Path:
    """Train; returns the file of the weights."""
    context = RunContext(directory, "cpu", 0, 3, Silent())
    return train(task(supervised_images), Noise(), SCHEDULE, context, title="tiny")


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(Path(sys.argv[1]), int(sys.argv[2]))
