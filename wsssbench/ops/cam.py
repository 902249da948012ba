"""Class activation maps: normalisation, resizing, background."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# A map whose maximum is below this counts as zero: its reciprocal would overflow the gradient.
MIN_PEAK = 1e-30
# What SEAM's normalisation takes off, and adds to its divisor.
RANGE_EPS = 1e-5


def normalise(maps: Tensor) -> Tensor:
    """AEFT eq. 1 (CAM, CVPR 2016): ReLU, then each map over its spatial maximum.

    The quotient is exact, without the usual 1e-5 in the denominator: the maximum of a map that is
    positive somewhere is 1. A map that is positive nowhere (nowhere above 1e-30) stays zero, with
    zero gradient. A map with NaN is NaN, so that a network that has diverged does not look like one that sees nothing.

    Args:
        maps: f, (..., h, w) float; half precision is computed in float32.

    Returns:
        A, (..., h, w) in [0, 1]; differentiable, with finite gradients.
    """
    if maps.dtype in (torch.float16, torch.bfloat16):
        maps = maps.float()
    positive = maps.relu()
    peak = positive.amax(dim=(-2, -1), keepdim=True)  # (..., 1, 1)
    active = ~(peak <= MIN_PEAK)  # also NaN
    return torch.where(active, positive, 0) / torch.where(active, peak, 1)


def normalise_range(maps: Tensor) -> Tensor:
    """The normalisation of SEAM (CVPR 2020): r = ReLU(f), then ReLU(r - min r - e) / (max r - min r + e), e = 1e-5.

    Unlike `normalise`, the weakest place of a map is 0: a map that is high everywhere keeps its contrast. A constant
    map, and one that is positive nowhere, is 0. The gradient flows through the minimum and the maximum, too.

    Args:
        maps: f, (..., h, w) float; half precision is computed in float32.

    Returns:
        (..., h, w) in [0, 1); differentiable, with finite gradients.
    """
    positive = maps.to(torch.promote_types(maps.dtype, torch.float32)).relu()
    low, high = (
        extreme(positive, dim=(-2, -1), keepdim=True) for extreme in (torch.amin, torch.amax)
    )  # (..., 1, 1)
    return F.relu(positive - low - RANGE_EPS) / (high - low + RANGE_EPS)


def upsample(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear resize (pixel centres at half integers, i.e. `align_corners=False`).

    Args:
        maps: (C, h, w) float; C may be 0.
        size: (H, W) in pixels.

    Returns:
        (C, H, W) float32, contiguous; a copy only if the size changes.
    """
    given = np.ascontiguousarray(maps, dtype=np.float32)
    if given.ndim != 3:
        raise ValueError(f"maps have to be (C, h, w), not {given.shape}")
    if given.shape[1:] == tuple(size):
        return given
    if not len(given):
        return np.zeros((0, *size), np.float32)
    if not given.flags.writeable:  # torch warns about memory it could write to
        given = given.copy()
    resized = F.interpolate(
        torch.from_numpy(given)[None], size=tuple(size), mode="bilinear", align_corners=False
    )
    return resized[0].numpy()


def background_alpha(maps: np.ndarray, alpha: float) -> np.ndarray:
    """Background score (1 - max_k A_k)^alpha (PSA, CVPR 2018); more `alpha`, less background.

    Args:
        maps: A of the present classes, (K', H, W) float in [0, 1]; with K' = 0 everything is
            background.
        alpha: exponent > 0.

    Returns:
        (H, W) float32 in [0, 1].
    """
    if not len(maps):
        return np.ones(maps.shape[1:], np.float32)
    rest = np.clip(1 - np.asarray(maps, np.float32).max(axis=0), 0, 1)
    return (rest ** np.float32(alpha)).astype(np.float32)
