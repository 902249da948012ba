"""A tiny training of SSDD, and the program that does it with torchrun: python tiny_ssdd.py ITEMS DIRECTORY"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tiny_irnet import SIZES, disc, register
from wsssbench_baselines.refinements.ssdd import SSDD

from wsssbench.files.artefacts import write_scores
from wsssbench.interfaces import FitItem, RunContext, Scores
from wsssbench.parallel import ranks
from wsssbench.progress import Silent

PARAMETERS = {
    "backbone": {"type": "FixedFilters"},
    "hidden": 8,
    "width": 8,
    "dilation": 2,
    "crop": 64,
    "schedule": {"batch_size": 4, "iterations": 20, "lr": 0.02, "checkpoint_every": 8},
}


def ragged(inside: np.ndarray, seed: int) -> np.ndarray:
    """The mask `inside` (H, W), of which squares of 12 pixels are wrong, each with probability 0.1."""
    rng = np.random.default_rng(seed)
    rows, columns = (-(-n // 12) for n in inside.shape)
    wrong = np.kron(rng.random((rows, columns)) < 0.1, np.ones((12, 12), bool))
    return inside ^ wrong[: inside.shape[0], : inside.shape[1]]


def ragged_scores(seed: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, Scores]:
    """A disc's image and mask, and scores of 0.4 and 0.6 that are ragged."""
    image, inside, cam = disc(seed, size)
    planes = np.where(ragged(inside, seed), 0.6, 0.4).astype(np.float32)
    return image, inside, Scores(cam.classes, np.stack([1 - planes, planes]), size)


def write_items(directory: Path) -> None:
    """Images and scores of `ragged_scores`."""
    directory.mkdir(parents=True, exist_ok=True)
    for seed, size in enumerate(SIZES):
        image, _, scores = ragged_scores(seed, size)
        Image.fromarray(image).save(directory / f"{seed}.png")
        write_scores(directory / f"{seed}.npz", scores)


def run(items: Path, directory: Path) -> Path:
    """Train on the items written in `items`; returns the file of the weights."""
    register()
    directory.mkdir(parents=True, exist_ok=True)
    given = [FitItem(f"i{k}", items / f"{k}.png", items / f"{k}.npz") for k in range(len(SIZES))]
    SSDD(**PARAMETERS).fit(given, 4, RunContext(directory, "cpu", 0, 5, Silent()))
    return directory / "weights.pth"


if __name__ == "__main__":
    torch.set_num_threads(1)
    ranks.init("cpu")
    run(Path(sys.argv[1]), Path(sys.argv[2]))
    ranks.barrier()
    torch.distributed.destroy_process_group()
