"""Scores become a label map: the best class of every pixel, or 255 where it is not clear enough."""

from __future__ import annotations

import numpy as np

from wsssbench.ops import IGNORE
from wsssbench.ops.cam import upsample


def label_map(
    planes: np.ndarray, classes: np.ndarray, size: tuple[int, int], confidence: float = 0.0
) -> np.ndarray:
    """The best class per pixel; 255 where its share of the pixel's sum of scores is below `confidence`.

    Args:
        planes: (1 + K', h, w) float scores of background and the K' present classes; resized to `size`.
        classes: (K',) uint8, their label-map values.
        size: (H, W) of the label map in pixels.
        confidence: in [0, 1]; 0 ignores no pixel.

    Returns:
        (H, W) uint8. The first of equally good classes wins.
    """
    full = upsample(planes, size)  # (1 + K', H, W)
    best = full.argmax(axis=0)
    label = np.concatenate([[0], classes]).astype(np.uint8)[best]
    if confidence > 0:
        top = np.take_along_axis(full, best[None], axis=0)[0]
        label[top < confidence * full.sum(axis=0)] = IGNORE
    return label


def thresholded(
    maps: np.ndarray, classes: np.ndarray, size: tuple[int, int], threshold: float
) -> np.ndarray:
    """The class with the largest activation per pixel, where that exceeds `threshold`; background elsewhere.

    Args:
        maps: A, (K', h, w) float in [0, 1]; resized to `size`.
        classes: (K',) uint8, their label-map values.
        size: (H, W) of the label map in pixels.
        threshold: in [0, 1], compared in float32.

    Returns:
        (H, W) uint8. The first of equally good classes wins.
    """
    background = np.full((1, *size), threshold, np.float32)
    return label_map(np.concatenate([background, upsample(maps, size)]), classes, size)
