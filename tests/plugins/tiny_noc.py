"""A tiny training of NOC, and the program that does it with torchrun: python tiny_noc.py DIRECTORY"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from tiny_classifier import TinyBackbone
from tiny_occse import SCHEDULE, Noise
from wsssbench_baselines.erasings.noc import NOC
from wsssbench_baselines.gap import GAP

from wsssbench.interfaces import Classifier, RunContext
from wsssbench.progress import Silent
from wsssbench.training.classification import ClassificationTask
from wsssbench.training.engine import seed_everything, train


def run(directory: Path) -> Path:
    """Train; returns the file of the weights."""
    seed_everything(4)
    judge = Classifier(TinyBackbone(), GAP(3), 3)
    given = SimpleNamespace(build=lambda trained: judge)
    erasing = NOC(3, (6,), judge=given, weight=20.0, judge_weight=5.0)
    task = ClassificationTask(Classifier(TinyBackbone(), GAP(3), 3, [erasing]), seed=3)
    context = RunContext(directory, "cpu", 0, 3, Silent())
    return train(task, Noise(), SCHEDULE, context, title="tiny")


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(Path(sys.argv[1]))
