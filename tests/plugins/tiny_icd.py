"""A tiny training of ICD, and the program that does it with torchrun: python tiny_icd.py DIRECTORY"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tiny_classifier import TinyBackbone
from tiny_occse import SCHEDULE, Noise
from wsssbench_baselines.gap import GAP
from wsssbench_baselines.objectives.icd import ICD

from wsssbench.interfaces import Classifier, RunContext
from wsssbench.progress import Silent
from wsssbench.training.classification import ClassificationTask
from wsssbench.training.engine import seed_everything, train


def run(directory: Path) -> Path:
    """Train; returns the file of the weights."""
    seed_everything(4)
    objective = ICD(3, (6,), widths=(5, 4), warmup=0.0, classification_weight=3)
    classifier = Classifier(TinyBackbone(), GAP(3), 3, objectives=[objective])
    task = ClassificationTask(classifier, seed=3)
    context = RunContext(directory, "cpu", 0, 3, Silent())
    return train(task, Noise(), SCHEDULE, context, title="tiny")


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(Path(sys.argv[1]))
