"""Affinities from an edge map, and the random walk that stops at edges (IRNet: Ahn, Cho & Kwak, CVPR 2019).

Two pixels belong together as far as no edge lies between them: a_ij = 1 - max of the edge map on the line from i to j.
Pairs and their order are those of `wsssbench.ops.affinity`. The released code leaves out the pairs nearest to
the border in training, and pads the edge map with 1 in the walk; here all pairs of which both ends are on the grid take
part in both, so no padding is needed: the line lies in the rectangle of its ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wsssbench.ops.affinity import Offset, pair_ends
from wsssbench.ops.random_walk import random_walk, transition


def path(offset: Offset) -> list[Offset]:
    """Return the line from (0, 0) to `offset`: the grid points (y, x) between them less than 1 away from it."""
    dy, dx = offset
    columns = range(min(dx, 0), max(dx, 0) + 1)
    return [
        (y, x)
        for y in range(dy + 1)
        for x in columns
        if (dy * x - dx * y) ** 2 < dy * dy + dx * dx  # the distance to the line, squared
    ]


def path_affinities(edges: Tensor, offsets: Sequence[Offset]) -> Tensor:
    """1 - the largest value on the line between the two places of every pair.

    Args:
        edges: (N, h, w) float in [0, 1].
        offsets: P of them, dy >= 0.

    Returns:
        (N, P, h, w) in [0, 1]; 0 where the pair leaves the grid. Differentiable once: the gradient goes to the place of
        the maximum, one of them if several have it.
    """
    affinities: Tensor = _PathAffinities.apply(edges, tuple(offsets))
    return affinities


def walk_between_edges(
    maps: np.ndarray, edges: np.ndarray, offsets: Sequence[Offset], beta: float, steps: int
) -> np.ndarray:
    """`steps` steps of the random walk from ``maps * (1 - edges)``, with affinities to the power `beta`.

    Args:
        maps: (C, h, w) float.
        edges: (h, w) float in [0, 1].
        offsets: the pairs.

    Returns:
        (C, h, w) float32.
    """
    given = np.array(edges, np.float32)
    affinities = path_affinities(torch.from_numpy(given)[None], offsets)[0].numpy()
    return random_walk(maps * (1 - given), transition(affinities, offsets, beta), steps)


def _along(offsets: Sequence[Offset], size: Sequence[int]) -> Iterator[tuple[int, Any, list[Any]]]:
    """Per pair that fits the grid: its number, where its first ends are, and where each point of its line is."""
    height, width = size
    for p, ((here, _), (dy, dx)) in enumerate(zip(pair_ends(offsets, size), offsets, strict=True)):
        rows, columns = height - dy, width - abs(dx)
        if rows > 0 and columns > 0:
            left = max(-dx, 0)
            points = [
                (..., slice(y, y + rows), slice(left + x, left + x + columns))
                for y, x in path((dy, dx))
            ]
            yield p, here, points


class _PathAffinities(torch.autograd.Function):
    """Remembers which point of its line was the largest: a byte per pair instead of the values of the whole line."""

    @staticmethod
    def forward(ctx: Any, edges: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
        shape = (len(edges), len(offsets), *edges.shape[1:])
        affinities = edges.new_zeros(shape)
        largest = torch.zeros(shape, dtype=torch.uint8, device=edges.device)
        for p, here, points in _along(offsets, edges.shape[1:]):
            value, index = edges[points[0]].clone(), largest[:, p][here]
            for k, point in enumerate(points[1:], start=1):
                index[edges[point] > value] = k
                torch.maximum(value, edges[point], out=value)
            affinities[:, p][here] = 1 - value
        ctx.save_for_backward(largest)
        ctx.offsets = offsets
        return affinities

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (largest,) = ctx.saved_tensors
        result = gradient.new_zeros(len(gradient), *gradient.shape[2:])
        for p, here, points in _along(ctx.offsets, gradient.shape[2:]):
            index, back = largest[:, p][here], gradient[:, p][here]
            for k, point in enumerate(points):
                result[point] -= torch.where(index == k, back, 0)
        return result, None
