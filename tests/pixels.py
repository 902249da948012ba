"""The pixels of an image as networks take it."""

from __future__ import annotations

import numpy as np

from wsssbench.models.preprocess import IMAGENET_MEAN, IMAGENET_STD


def denormalise(normalised: np.ndarray) -> np.ndarray:
    """(3, H, W) as `wsssbench.models.preprocess.normalise` makes it -> (H, W, 3) uint8 RGB."""
    values = 255 * (normalised.transpose(1, 2, 0) * IMAGENET_STD + IMAGENET_MEAN)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
