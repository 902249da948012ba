"""Losses over the whole batch when several ranks share it (torchrun); with one rank nothing here has an effect.

A rank has every W-th image of the batch. A loss that compares images needs those of all ranks: among its own there may
be no negative, or too few hard triplets.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


def of_all_ranks(rows: Tensor) -> Tensor:
    """Return `rows` (n, ...) of all W ranks in the batch's order, (n W, ...); only the own ones pass a gradient."""
    if _world() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(_world())]
    distributed.all_gather(parts, rows.detach().contiguous())
    parts[distributed.get_rank()] = rows
    return torch.stack(parts, dim=1).flatten(0, 1)  # image i of rank r has place i W + r


def as_mean_over_ranks(loss: Tensor) -> Tensor:
    """Scale the gradient of a `loss` that every rank computes from `of_all_ranks`; its value stays.

    DistributedDataParallel averages the ranks' gradients, and each rank's has only its own rows' part of the loss's.
    Afterwards that average is the gradient of the loss itself.
    """
    others = _world() - 1
    return loss if others == 0 else loss + others * (loss - loss.detach())


def maximum_of_all_ranks(values: Tensor) -> Tensor:
    """Return the largest of the `values` of all ranks; the rank that has it gets the gradient of every rank's loss.

    For a loss of a rank's own images in which that maximum occurs: DistributedDataParallel averages the ranks'
    gradients, and the result is that of one rank which has all the images.
    """
    own = values.max()
    if _world() == 1:
        return own
    return _everywhere(own).max()


def mean_of_all_ranks(values: Tensor) -> Tensor:
    """Return the mean over the ranks of the `values` (...) of each; its gradient reaches those of every rank.

    For a mean over the whole batch, as batch normalisation has it, in a loss of a rank's own images: as above.
    """
    return values if _world() == 1 else _everywhere(values).mean(dim=0)


def _everywhere(own: Tensor) -> Tensor:
    everywhere: Tensor = _Everywhere.apply(own)
    return everywhere


class _Everywhere(torch.autograd.Function):
    """The tensor of each rank, (W, ...), on all ranks; their gradients add up on the rank that it is of."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        parts = [torch.empty_like(own) for _ in range(_world())]
        distributed.all_gather(parts, own.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total[distributed.get_rank()]


def _world() -> int:
    """Return the number of ranks that train together: 1 before they have met, as when a config is only tried out."""
    met = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if met else 1
