"""Saving predictions as PNGs; does not import mmsegmentation, since CRF processes import this."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wsssbench.errors import UserError
from wsssbench.files.images import image_size, read_image, read_label, write_label
from wsssbench.ops.crf import PRESETS, dense_crf


def save_prediction(
    path: Path, prediction: np.ndarray, image: str | None = None, crf: str | None = None
) -> None:
    """Write a palette PNG.

    Args:
        path: the PNG.
        prediction: the label map (H, W) uint8; with `crf`, probabilities (L, H, W) float32.
        image: the image file, for the CRF.
        crf: a CRF preset.
    """
    if crf is not None:
        assert image is not None
        prediction = dense_crf(read_image(image), prediction, PRESETS[crf]).argmax(axis=0)
    write_label(path, prediction.astype(np.uint8))


def is_saved(path: Path, image: Path) -> bool:
    """Is there a readable prediction of the image's size?"""
    if not path.exists():
        return False
    try:
        return read_label(path).shape == image_size(image)
    except UserError:
        return False
