"""Images of a coloured blob on another colour with a blurred, displaced CAM; and the smallest backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from wsssbench.files.artefacts import write_cam
from wsssbench.interfaces import Backbone, Cam, FitItem


class Colours(Backbone):
    """Two strided convolutions: strides 2 and 4."""

    channels = (6, 8)
    strides = (2, 4)

    def __init__(self, *, width: int = 6) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, 2, 1)
        self.second = nn.Conv2d(width, 8, 3, 2, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        fine = torch.relu(self.first(images))
        return fine, torch.relu(self.second(fine))


def blob(seed: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, Cam]:
    """Image (H, W, 3) uint8, truth (H, W) in {0, 2}, and a CAM of class 2 at quarter resolution."""
    rng = np.random.default_rng(seed)
    height, width = size
    y, x = np.mgrid[:height, :width]
    cy, cx = height * rng.uniform(0.4, 0.6), width * rng.uniform(0.4, 0.6)
    inside = ((y - cy) / (height * 0.3)) ** 2 + ((x - cx) / (width * 0.3)) ** 2 < 1
    image = np.where(inside[..., None], (200, 80, 60), (60, 110, 190)) + rng.normal(
        0, 8, (height, width, 3)
    )
    blurred = gaussian_filter(inside.astype(np.float32), height / 10)
    blurred = np.roll(blurred, (height // 12, width // 12), (0, 1))[2::4, 2::4]
    cam = Cam(np.array([2], np.uint8), (blurred / blurred.max())[None], size)
    return np.clip(image, 0, 255).astype(np.uint8), np.where(inside, 2, 0).astype(np.uint8), cam


def write_items(directory: Path, sizes: list[tuple[int, int]]) -> list[FitItem]:
    """One image and CAM file per size; the last CAM has no class."""
    items = []
    for i, size in enumerate(sizes):
        image, _, cam = blob(i, size)
        if i == len(sizes) - 1:
            cam = Cam(cam.classes[:0], cam.maps[:0], size)
        item = FitItem(f"image_{i}", directory / f"{i}.png", directory / f"{i}.npz")
        Image.fromarray(image).save(item.image)
        write_cam(item.given, cam)
        items.append(item)
    return items
