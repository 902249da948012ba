"""Proportional pseudo-mask generation (Li et al., ICCV 2021): of overlapping objects the smaller one wins."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from wsssbench.interfaces import Cam, Cams, Labelling, Photo, Scores
from wsssbench.ops.cam import upsample
from wsssbench.ops.crf import dense_crf
from wsssbench.refinements.dense_crf import find_preset


class PPMG(Labelling):
    """Each class is cut out by a CRF of its own; an overlap belongs to the class whose activation is rarer.

    Y. Li et al., *Pseudo-mask Matters in Weakly-supervised Semantic Segmentation*, ICCV 2021. A map is first smoothed
    by how much its activations vary (coefficient of variation). No pixel is ignored.

    Args:
        smoothing: factor on the coefficient of variation, which is taken off the exponent 1 of a map; 0: none.
        floor: activations below it are 0, and do not count in that coefficient.
        alpha: exponent of the background (1 - A)^alpha of each class; the released code has 11.
        preset: of the CRFs, see `wsssbench.ops.crf.PRESETS`.

    Raises:
        ValueError: an unknown preset.
    """

    takes = (Cams,)
    title = "PPMG"

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        smoothing: Annotated[float, Field(ge=0, le=10)] = 0.3,
        floor: Annotated[float, Field(ge=0, lt=1)] = 0.05,
        alpha: Annotated[float, Field(gt=0, le=1000)] = 11.0,
        preset: str = "pmm",
    ) -> None:
        self.smoothing = smoothing
        self.floor = floor
        self.alpha = alpha
        self.parameters = find_preset(preset)

    def label(self, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
        assert isinstance(given, Cam)
        image, maps = photo.image, upsample(given.maps, given.size)  # (K', H, W)
        smoothed = smooth(maps, self.smoothing, self.floor)
        foreground = [
            dense_crf(image, np.stack([(1 - one) ** self.alpha, one]), self.parameters)[1] > 0.5
            for one in smoothed
        ]
        return proportional(maps, np.array(foreground, bool).reshape(maps.shape), given.classes)


def smooth(maps: np.ndarray, smoothing: float, floor: float) -> np.ndarray:
    """Raise each of `maps` (K', H, W) to the power 1 - smoothing * std / mean of what exceeds `floor` in it."""
    smoothed = np.where(maps < floor, 0, maps).astype(np.float32)
    for one, full in zip(smoothed, maps, strict=True):
        active = full[full > floor]
        if active.size:
            variation = smoothing * active.std() / active.mean()
            one[:] = one ** np.float32(1 - variation)
    return smoothed


def proportional(maps: np.ndarray, foreground: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the label map (H, W) uint8: of the classes whose foreground has a pixel, that of the largest worth.

    Its worth is A / (1 + sum of A over its foreground), so that of two equal activations the smaller object's wins.

    Args:
        maps: A, (K', H, W) in [0, 1], not smoothed.
        foreground: (K', H, W) bool.
        classes: (K',) label-map values.
    """
    inside = np.where(foreground, maps, 0)
    worth = inside / (1 + inside.sum(axis=(1, 2), keepdims=True))
    background = np.zeros((1, *maps.shape[1:]), worth.dtype)
    best = np.concatenate([background, worth]).argmax(axis=0)
    return np.concatenate([[0], classes]).astype(np.uint8)[best]
