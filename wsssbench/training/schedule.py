"""How long and how fast a network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

from wsssbench.errors import UserError
from wsssbench.registry import check_parameters

LONGEST_ROUND = 1000  # iterations between checkpoints unless the user says otherwise


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A training schedule; every field is a user parameter.

    The learning rate of iteration i of T is ``lr * (1 - i/T)^power``, times ``(i+1) / (warmup_iterations+1)`` while
    warming up, times the multiplier of the layer.

    Attributes:
        batch_size: images per iteration, over all ranks together.
        lr: learning rate of the first iteration.
        epochs: passes over the data set, also fractions of one; either this or `iterations`.
        iterations: number of optimiser steps; either this or `epochs`.
        optimizer: SGD with `momentum`, or AdamW (which ignores `momentum`).
        momentum: of SGD. The AffinityNet lineage trains with 5e-4: its optimiser passes the weight decay there.
        weight_decay: of every trained parameter.
        power: exponent of the poly decay; 0 keeps the learning rate constant.
        warmup_iterations: length of a linear warm-up.
        new_layers_lr: factor on the learning rate of layers that start from random values.
        amp: train in mixed precision; needs a GPU.
        checkpoint_every: iterations from checkpoint to checkpoint; a tenth of the training, at most 1000, if None.
        clip_grad: largest norm of the gradient of all parameters together; None does not clip.

    Raises:
        ValueError: a value out of range, or not exactly one of `epochs` and `iterations`.
    """

    batch_size: int
    lr: float
    epochs: float | None = None
    iterations: int | None = None
    optimizer: Literal["SGD", "AdamW"] = "SGD"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    power: float = 0.9
    warmup_iterations: int = 0
    new_layers_lr: float = 10.0
    amp: bool = False
    checkpoint_every: int | None = None
    clip_grad: float | None = None

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError(
                f"epochs={self.epochs} and iterations={self.iterations}: give exactly one of the two"
            )
        for name in ("batch_size", "lr", "epochs", "iterations", "checkpoint_every", "clip_grad"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name}={value} has to be greater than 0")
        for name in ("weight_decay", "power", "warmup_iterations", "new_layers_lr"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum={self.momentum} has to be at least 0 and below 1")

    @classmethod
    def from_config(cls, config: Mapping[str, Any], where: str) -> Schedule:
        """The schedule a user wrote as a dict; `where` names it in messages. UserError if it is wrong."""
        try:
            return cls(**check_parameters(cls, config, where))
        except ValueError as error:
            raise UserError(f"{where}: {error}") from error

    def length(self, size: int) -> int:
        """Iterations of the whole training on `size` images; at least 1."""
        if self.iterations is not None:
            return self.iterations
        assert self.epochs is not None
        return max(1, round(self.epochs * size / self.batch_size))

    def round_length(self, size: int) -> int:
        """Iterations from one checkpoint to the next."""
        if self.checkpoint_every is not None:
            return min(self.checkpoint_every, self.length(size))
        return min(ceil(self.length(size) / 10), LONGEST_ROUND)

    def per_rank(self, world: int) -> int:
        """Images per iteration on each of `world` ranks; UserError if `batch_size` does not divide."""
        if self.batch_size % world:
            raise UserError(
                f"batch_size={self.batch_size} is the total over all ranks and cannot be shared equally by {world} "
                f"of them: choose a multiple of {world}"
            )
        return self.batch_size // world
