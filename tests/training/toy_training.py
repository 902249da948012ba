"""A tiny task for the training tests, and the program that trains it in another process:

    python toy_training.py DIRECTORY WORKERS [KILL_AT [SCHEDULE]]

KILL_AT = n: the process kills itself (SIGKILL) while it computes iteration n; -1: not at all. ``save:n``: in the middle
of writing the checkpoint of iteration n. SCHEDULE: ``plain`` or ``phases`` (two batch sizes).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from wsssbench.interfaces import Losses, RunContext
from wsssbench.parallel import ranks
from wsssbench.progress import Silent
from wsssbench.training.engine import seed_everything, train
from wsssbench.training.schedule import Schedule
from wsssbench.training.task import TrainingTask

SIZE = 20
SCHEDULE = Schedule(batch_size=4, iterations=12, lr=0.05, checkpoint_every=4, warmup_iterations=2)
# 8 iterations of 4 images, then 6 of 8; checkpoints at 3, 6, 9, 12
PHASES = Schedule(
    batch_size=8,
    epochs=4,
    first_epochs=1.5,
    first_batch_size=4,
    decay_batch_size=4,
    lr=0.05,
    checkpoint_every=3,
)
SCHEDULES = {"plain": SCHEDULE, "phases": PHASES}


def iteration_at(schedule: Schedule, progress: float) -> int:
    """Number, from 1, of the iteration that is told `progress`."""
    phases = schedule.batch_sizes(SIZE)
    return 1 + next(i for i in range(99) if phases.progress_before(i) == progress)


class Points(Dataset):
    """Noisy points; the noise depends on the position in the stream, as augmentation does."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, torch.Tensor]:
        index, position = draw
        noise = np.random.default_rng((self.seed, position)).normal(size=6)
        np.random.rand()  # noqa: NPY002 - a library that uses the global generator must not matter
        torch.rand(1)
        point = torch.tensor(np.sin(np.arange(6) + index) + 0.1 * noise, dtype=torch.float32)
        return {"point": point, "index": torch.tensor(index), "position": torch.tensor(position)}


class Toy(TrainingTask):
    """Autoencoder with dropout and batch norm: both would give an inexact resume away."""

    def __init__(self, dropout: float = 0.3, norm: bool = True) -> None:
        super().__init__()
        last = nn.BatchNorm1d(16) if norm else nn.Identity()
        self.body = nn.Sequential(nn.Linear(6, 16, bias=not norm), last)
        self.head = nn.Linear(16, 6)
        self.dropout = nn.Dropout(dropout)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)

    def forward(self, batch: dict[str, torch.Tensor], progress: float) -> Losses:
        hidden = self.dropout(self.body(batch["point"]).relu())
        loss = (self.head(hidden) - batch["point"]).pow(2).mean()
        return Losses({"fit": loss}, {"progress": torch.tensor(progress)})


class Dying(Toy):
    """Kills its process while computing the given iteration."""

    kill_at = -1
    schedule = SCHEDULE

    def forward(self, batch: dict[str, torch.Tensor], progress: float) -> Losses:
        if iteration_at(self.schedule, progress) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(10)
        return super().forward(batch, progress)


class Diary(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tracks: list[tuple[str, int, int]] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    warn = say

    def track(self, title: str, total: int, done: int = 0):
        self.tracks.append((title, total, done))
        return super().track(title, total, done)


def context(directory: Path, workers: int = 0, seed: int = 3) -> RunContext:
    return RunContext(Path(directory), "cpu", workers, seed, Diary())


def run(directory: Path, workers: int = 0, task: Toy | None = None, schedule: Schedule = SCHEDULE):
    """Train the toy; returns its weights and what was said."""
    seed_everything(7)
    task = task or Toy()
    where = context(directory, workers)
    path = train(task, Points(), schedule, where, {"head": 10.0}, "toy")
    return torch.load(path, weights_only=True), where.progress


def _die_while_saving(iteration: int) -> None:
    from wsssbench.training import checkpoints

    publish = checkpoints.Checkpoints.publish

    def die(self, done: int) -> None:
        if done == iteration:
            part = self.part(done)
            part.write_bytes(part.read_bytes()[:500])
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(10)
        publish(self, done)

    checkpoints.Checkpoints.publish = die


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Equal names and, bit by bit, equal tensors?"""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def scalars(directory: Path) -> list[dict[str, float]]:
    """What a training logged, one entry per iteration."""
    return [json.loads(line) for line in (directory / "scalars.jsonl").read_text().splitlines()]


if __name__ == "__main__":
    torch.set_num_threads(1)
    target, workers_given = Path(sys.argv[1]), int(sys.argv[2])
    kill = sys.argv[3] if len(sys.argv) > 3 else "-1"
    if kill.startswith("save:"):
        _die_while_saving(int(kill[5:]))
        kill = "-1"
    seed_everything(7)
    toy = Dying(dropout=0.0, norm=False) if ranks.world_size() > 1 else Dying()
    toy.kill_at = int(kill)
    toy.schedule = SCHEDULES[sys.argv[4] if len(sys.argv) > 4 else "plain"]
    train(toy, Points(), toy.schedule, context(target, workers_given), {"head": 10.0}, "toy")
    torch.save(toy.state_dict(), target / f"rank{ranks.rank()}.pth")
