"""Training images for the classifier, as a torch data set of seeded draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wsssbench.files.images import read_image

Transform = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class ImageLabels(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Images with their image-level labels, one random view per draw.

    A draw is ``(index, position)``: which image, and the place of this draw in the endless stream
    of all draws of the training. The view depends on the seed and the position alone, not on which
    worker makes it or when.

    Args:
        paths: n image files.
        labels: (n, K) in {0, 1}.
        transform: e.g. `transforms.TrainTransform`; gets the image (H, W, 3) uint8 and a generator.
        seed: of the run.
    """

    def __init__(
        self, paths: Sequence[Path], labels: np.ndarray, transform: Transform, seed: int
    ) -> None:
        if len(paths) != len(labels):
            raise ValueError(f"{len(paths)} images, but labels of {len(labels)}")
        self.paths = [str(path) for path in paths]
        self.labels = np.asarray(labels, dtype=np.float32)
        self.transform = transform
        self.seed = seed

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, Tensor]:
        """``images`` (3, h, w) float32 and ``labels`` (K,) float32 of one draw."""
        index, position = draw
        rng = np.random.default_rng((self.seed, position))
        image = self.transform(read_image(self.paths[index]), rng)
        return {
            "images": torch.from_numpy(np.ascontiguousarray(image)),
            "labels": torch.from_numpy(self.labels[index].copy()),
        }
