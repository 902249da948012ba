"""A tiny training of OC-CSE, and the program that does it with torchrun: python tiny_occse.py DIRECTORY"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from tiny_classifier import TinyBackbone
from torch import Tensor
from torch.utils.data import Dataset
from wsssbench_baselines.erasings.oc_cse import OCCSE
from wsssbench_baselines.gap import GAP

from wsssbench.interfaces import Classifier, RunContext
from wsssbench.progress import Silent
from wsssbench.training.classification import ClassificationTask
from wsssbench.training.engine import seed_everything, train
from wsssbench.training.schedule import Schedule

SCHEDULE = Schedule(batch_size=4, iterations=8, lr=0.5, momentum=0.5, checkpoint_every=8)


class Noise(Dataset):
    """Twelve random images with one or two of three classes."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(draw[1])
        labels = torch.ones(3)
        labels[torch.randint(3, (2,), generator=generator)] = 0
        images = torch.randn(3, 16, 16, generator=generator)
        return {"images": images, "labels": labels, "positions": torch.tensor(draw[1])}


def run(directory: Path) -> Path:
    """Train; returns the file of the weights."""
    seed_everything(4)
    guide = Classifier(TinyBackbone(), GAP(3), 3).requires_grad_(False).eval()
    erasing = OCCSE(
        3, (6,), guide=SimpleNamespace(frozen=lambda: lambda images: guide(images)), weight=20.0
    )
    task = ClassificationTask(Classifier(TinyBackbone(), GAP(3), 3, [erasing]), seed=3)
    context = RunContext(directory, "cpu", 0, 3, Silent())
    return train(task, Noise(), SCHEDULE, context, title="tiny")


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(Path(sys.argv[1]))
