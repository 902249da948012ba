"""Pixel affinities (AffinityNet / PSA, Ahn & Kwak, CVPR 2018): labels, pairs, the loss.

A pair is a place (y, x) of the grid and an offset (dy, dx) of a half plane, so that every unordered
pair within the radius is counted once. Arrays over pairs are (..., P, h, w), P = number of offsets;
the entry [p, y, x] belongs to the places (y, x) and (y + dy_p, x + dx_p) and counts only if both
are on the grid. Unlike PSA's code, which leaves out the places nearest to the border, all such
pairs are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wsssbench.ops import IGNORE

MIN_SCORE = 1e-5  # a place whose scores are all below this is ignored
LOG_FLOOR = 1e-5  # keeps the logarithms of the loss finite

Offset = tuple[int, int]


def pair_offsets(radius: int) -> list[Offset]:
    """Offsets (dy, dx) with dx^2 + dy^2 < radius^2 that lead down, or right in the same row."""
    if radius < 2:
        raise ValueError(f"radius has to be at least 2, or there are no pairs; it is {radius}")
    return [
        (dy, dx)
        for dy in range(radius)
        for dx in range(1 - radius, radius)
        if dx * dx + dy * dy < radius * radius and (dy > 0 or dx > 0)
    ]


def pair_ends(offsets: Sequence[Offset], size: Sequence[int]) -> Iterator[tuple[Any, Any]]:
    """Per offset, two indices into planes of `size` (h, w): all first places, all second ones."""
    height, width = size
    for dy, dx in offsets:
        rows, columns = max(height - dy, 0), max(width - abs(dx), 0)  # pairs that stay on the grid
        left, right = max(-dx, 0), max(dx, 0)
        yield (
            (..., slice(0, rows), slice(left, left + columns)),
            (..., slice(dy, dy + rows), slice(right, right + columns)),
        )


def block_mean(scores: np.ndarray, stride: int) -> np.ndarray:
    """Means over blocks of `stride` x `stride` pixels, zeros beyond the bottom and right border.

    Args:
        scores: (C, H, W) float.
        stride: pixels per block side.

    Returns:
        (C, ceil(H / stride), ceil(W / stride)) float32.
    """
    count, height, width = scores.shape
    pad = ((0, 0), (0, -height % stride), (0, -width % stride))
    padded = np.pad(np.asarray(scores, np.float32), pad)
    rows, columns = padded.shape[1] // stride, padded.shape[2] // stride
    return padded.reshape(count, rows, stride, columns, stride).mean(axis=(2, 4), dtype=np.float32)


def affinity_labels(low: np.ndarray, high: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Make labels that are reliable enough to learn affinities from.

    A place gets a class that wins even with much background (`low` alpha), or background if it wins even with little
    (`high` alpha; overrules the former). All others, and those where no score reaches 1e-5, are 255.

    Args:
        low: CRF scores with the low background exponent, background first, (1 + K', h, w) float.
        high: those with the high exponent, alike.
        classes: label-map values of the present classes, (K',).

    Returns:
        (h, w) uint8: 0, a value of `classes`, or 255.
    """
    values = np.concatenate([[IGNORE], classes]).astype(np.uint8)
    labels = values[low.argmax(axis=0)]
    labels[high.argmax(axis=0) == 0] = 0
    labels[np.maximum(low.max(axis=0), high.max(axis=0)) < MIN_SCORE] = IGNORE
    return labels


def pair_affinities(features: Tensor, offsets: Sequence[Offset]) -> Tensor:
    """exp(-mean_c |f_i - f_j|) of every pair.

    Args:
        features: (N, C, h, w) float; half precision is computed in float32.
        offsets: P of them, as from `pair_offsets`.

    Returns:
        (N, P, h, w) in [0, 1]; 0 where the pair leaves the grid. Differentiable once.
    """
    if features.dtype in (torch.float16, torch.bfloat16):
        features = features.float()
    distances: Tensor = _PairDistances.apply(features, tuple(offsets))
    return torch.exp(-distances)


def pair_targets(
    labels: Tensor, offsets: Sequence[Offset], ignore: int = IGNORE
) -> tuple[Tensor, Tensor, Tensor]:
    """Sort the pairs into background pairs, pairs of one class, and pairs of two different labels.

    Args:
        labels: (N, h, w) integer; 0 background, `ignore` ignored.
        offsets: P of them.

    Returns:
        both background, both the same class, two different labels: each (N, P, h, w) bool.
    """
    shape = (len(labels), len(offsets), *labels.shape[1:])
    background, same, different = (labels.new_zeros(shape, dtype=torch.bool) for _ in range(3))
    for p, (here, there) in enumerate(pair_ends(offsets, labels.shape[-2:])):
        i, j = labels[here], labels[there]
        labelled = (i != ignore) & (j != ignore)
        background[:, p][here] = labelled & (i == j) & (i == 0)
        same[:, p][here] = labelled & (i == j) & (i != 0)
        different[:, p][here] = labelled & (i != j)
    return background, same, different


def affinity_loss(
    affinities: Tensor, background: Tensor, same: Tensor, different: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """PSA's loss, already weighted: background pairs / 4, same-class pairs / 4, unlike pairs / 2.

    Each is the mean of -log(a + 1e-5), or of -log(1 + 1e-5 - a) for unlike pairs, over its own
    pairs, and zero (with zero gradient) if it has none.

    Args:
        affinities: a, (N, P, h, w) in [0, 1].
        background, same, different: as from `pair_targets`.

    Returns:
        The three scalar terms; the loss is their sum.
    """
    alike = -torch.log(affinities + LOG_FLOOR)
    unlike = -torch.log(1 + LOG_FLOOR - affinities)
    return (
        _mean_where(alike, background) / 4,
        _mean_where(alike, same) / 4,
        _mean_where(unlike, different) / 2,
    )


def _mean_where(values: Tensor, where: Tensor) -> Tensor:
    return torch.where(where, values, 0).sum() / where.sum().clamp(min=1)


class _PairDistances(torch.autograd.Function):
    """mean_c |f_i - f_j| per pair, infinite off the grid.

    Autograd would keep P differences of the size of the features (3 GB for PSA's 8 crops of 448);
    here the backward pass computes their signs again from the features.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
        ctx.save_for_backward(features)
        ctx.offsets = offsets
        shape = (features.shape[0], len(offsets), *features.shape[2:])
        distances = features.new_full(shape, torch.inf)
        for p, (here, there) in enumerate(pair_ends(offsets, features.shape[-2:])):
            distances[:, p][here] = (features[here] - features[there]).abs_().mean(dim=1)
        return distances

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (features,) = ctx.saved_tensors
        result = torch.zeros_like(features)
        for p, (here, there) in enumerate(pair_ends(ctx.offsets, features.shape[-2:])):
            signs = (features[here] - features[there]).sign_()
            signs.mul_(gradient[:, p][here][:, None] / features.shape[1])
            result[here] += signs
            result[there] -= signs
        return result, None
