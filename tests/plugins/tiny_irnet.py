"""A tiny training of IRNet or BES, and the program that does it with torchrun: tiny_irnet.py METHOD ITEMS DIRECTORY"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from wsssbench_baselines.refinements.bes import BES
from wsssbench_baselines.refinements.edge_refinement import EdgeRefinement
from wsssbench_baselines.refinements.irnet import IRNet

from wsssbench.files.artefacts import write_cam
from wsssbench.interfaces import Backbone, Cam, FitItem, RunContext
from wsssbench.parallel import ranks
from wsssbench.plugins import load
from wsssbench.progress import Silent

SIZES = ((64, 64), (61, 70), (48, 80), (72, 50))


class FixedFilters(Backbone):
    """Colour differences at stride 2 and their means at stride 4: a frozen network whose weights are told."""

    channels = (4,)
    strides = (4,)
    stage_channels = (4, 4)
    stage_strides = (2, 4)

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv2d(3, 4, 3, 2, 1)
        with torch.no_grad():
            weight = torch.zeros(4, 3, 3, 3)
            for k, (sign, transposed) in enumerate(((1, 0), (-1, 0), (1, 1), (-1, 1))):
                one = sign * torch.tensor([[-1.0, 0, 1]] * 3)
                weight[k, 0] = one.T if transposed else one
            self.filters.weight.copy_(weight)
            self.filters.bias.zero_()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return self.stage_features(images)[1:]

    def stage_features(self, images: Tensor) -> tuple[Tensor, ...]:
        fine = self.filters(images).relu()
        return fine, nn.functional.avg_pool2d(fine, 2, ceil_mode=True)


def register() -> None:
    backbones = load().registries.backbone
    if "FixedFilters" not in backbones.components:
        backbones.add("FixedFilters", "tiny_irnet:FixedFilters", summary="for tests")


SCHEDULE = {"batch_size": 4, "iterations": 20, "lr": 0.3, "momentum": 0.9, "checkpoint_every": 8}
PARAMETERS = {
    "backbone": {"type": "FixedFilters"},
    "channels": 8,
    "radius": (4, 3),
    "crop": 64,
    "steps": 64,
    "schedule": SCHEDULE,
}

BES_PARAMETERS = {
    **PARAMETERS,
    "radius": 3,
    "window": 5,
    "schedule": {**SCHEDULE, "iterations": 30, "lr": 0.1},
}


def build(method: str) -> EdgeRefinement:
    """IRNet or BES, tiny."""
    return {"IRNet": IRNet, "BES": BES}[method](
        **{"IRNet": PARAMETERS, "BES": BES_PARAMETERS}[method]
    )


def disc(seed: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, Cam]:
    """A red disc on blue, its mask, and a CAM that is active inside, but only around the disc's middle."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    centre = rng.uniform(0.4, 0.6, 2) * size
    distance = np.hypot(y - centre[0], x - centre[1]) / (0.33 * min(size))
    inside = distance < 1
    image = np.where(inside[..., None], (200, 60, 60), (60, 60, 200)) + rng.normal(0, 6, (*size, 3))
    cam = np.clip(1.1 - distance, 0, 1).astype(np.float32)[None]
    return np.clip(image, 0, 255).astype(np.uint8), inside, Cam(np.array([2], np.uint8), cam, size)


def write_items(directory: Path) -> list[FitItem]:
    """Images and CAMs of `disc`."""
    directory.mkdir(parents=True, exist_ok=True)
    items = []
    for seed, size in enumerate(SIZES):
        item = FitItem(f"i{seed}", directory / f"{seed}.png", directory / f"{seed}.npz")
        image, _, cam = disc(seed, size)
        Image.fromarray(image).save(item.image)
        write_cam(item.given, cam)
        items.append(item)
    return items


def run(items: Path, directory: Path, method: str = "IRNet") -> Path:
    """Train on the items written in `items`; returns the file of the weights."""
    register()
    directory.mkdir(parents=True, exist_ok=True)
    given = [FitItem(f"i{k}", items / f"{k}.png", items / f"{k}.npz") for k in range(len(SIZES))]
    build(method).fit(given, 3, RunContext(directory, "cpu", 0, 5, Silent()))
    return directory / "weights.pth"


if __name__ == "__main__":
    torch.set_num_threads(1)
    ranks.init("cpu")
    run(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[1])
    ranks.barrier()
    torch.distributed.destroy_process_group()
