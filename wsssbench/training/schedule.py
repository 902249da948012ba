"""How long and how fast a network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Annotated, Any, Literal

from pydantic import Field

from wsssbench.errors import UserError
from wsssbench.registry import check_parameters

# Iterations between checkpoints, unless the user says otherwise. A checkpoint of a small network takes 0.06 s, a fifth
# of an iteration on a CPU: more of them would tell in a short training.
SHORTEST_ROUND, LONGEST_ROUND = 20, 1000
# Iterations and images per iteration of a training that only shows that it works; 8 ranks can share these.
SHORT, SMALL_BATCH = 2, 8

LONGEST = 10_000_000  # iterations
BatchSize = Annotated[int, Field(ge=1, le=16_384)]


@dataclass(frozen=True, kw_only=True)
class BatchSizes:
    """How many images each iteration of a training has: one batch size, or another one in the first iterations.

    Attributes:
        iterations: of the whole training.
        batch: images per iteration after the first phase, over all ranks together.
        first: iterations of the first phase; 0: there is none.
        first_batch: images per iteration of the first phase, over all ranks together.
        first_share: which part of the training's epochs the first phase is.
    """

    iterations: int
    batch: int
    first: int = 0
    first_batch: int = 0
    first_share: float = 0.0

    def batch_of(self, iteration: int) -> int:
        """Images of `iteration`, which counts from 0."""
        return self.first_batch if iteration < self.first else self.batch

    def images_before(self, iteration: int) -> int:
        """How many images the iterations before `iteration` have read together."""
        early = min(iteration, self.first)
        return early * self.first_batch + (iteration - early) * self.batch

    def progress_before(self, iteration: int) -> float:
        """The share of the training's images that is done when `iteration` begins.

        Exactly `first_share` where the second phase begins, although each phase has a whole number of iterations.
        """
        if iteration < self.first:
            return iteration / self.first * self.first_share
        late = (iteration - self.first) / (self.iterations - self.first)
        return self.first_share + late * (1 - self.first_share)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A training schedule; every field is a user parameter, whose range `from_config` checks.

    The learning rate of iteration i = 0, 1, ... is ``lr * (1 - i/T)^power``, times ``(i+1) / (warmup_iterations+1)``
    while warming up, times the multiplier of the layer. T is the number of iterations, unless `decay_batch_size` says
    otherwise. This is the rule of PSA's, IRN's and AEFT's PolyOptimizer; segmentation code of the same lineage divides
    by T + 1 instead, which only tells at the very end.

    Attributes:
        batch_size: images per iteration, over all ranks together.
        lr: learning rate of the first iteration.
        epochs: passes over the data set, also fractions of one; either this or `iterations`. An iteration may begin in
            one pass and end in the next, so no image is dropped.
        iterations: number of optimiser steps; either this or `epochs`.
        first_epochs: that many of the `epochs`, the first ones, have batches of `first_batch_size` instead.
        first_batch_size: images per iteration of the first epochs, over all ranks together. AEFT's released code: 18
            of 40 epochs with 8, then 32; the paper mentions 32 only.
        decay_batch_size: the learning rate decays as if all epochs had this batch size (and dropped what is left of a
            pass): T = epochs * (number of images // decay_batch_size), but at least the number of iterations. AEFT's
            released code counts on its first batch size, 8, throughout, so that its rate ends at about 0.45 of `lr`
            instead of 0.
        optimizer: SGD with `momentum`, or AdamW (which ignores `momentum`).
        momentum: of SGD. PSA, IRN, AEFT and their kin train with 5e-4 (IRN: 1e-4) where they seem to say 0.9: their
            PolyOptimizer passes the weight decay in the place of SGD's momentum, and its own argument `momentum` is
            the `power`. For their setting, give the weight decay here.
        weight_decay: of every trained parameter.
        power: exponent of the poly decay; 0 keeps the learning rate constant.
        warmup_iterations: length of a linear warm-up.
        new_layers_lr: factor on the learning rate of layers that start from random values.
        bias_lr: factor on the learning rate of biases, beside `new_layers_lr`: 2 in PSA and its kin, whose new biases
            hence have 20. Biases are those of convolutions and linear layers, not of normalisations.
        bias_weight_decay: of those biases; `weight_decay` if None. 0 in PSA and its kin.
        amp: train in mixed precision: ``"bfloat16"``, on a GPU and on a CPU, where it pays if the processor has it
            (`wsssbench doctor` measures that), or True, which is float16 with a scaled loss and needs a GPU.
        checkpoint_every: iterations from checkpoint to checkpoint; a tenth of the training, but 20 to 1000, if None.
        clip_grad: largest norm of the gradient of all parameters together; None does not clip.

    Raises:
        ValueError: not exactly one of `epochs` and `iterations`, or a first phase or decay that
            does not fit the rest.
    """

    batch_size: BatchSize
    lr: Annotated[float, Field(gt=0, le=100)]
    epochs: Annotated[float, Field(gt=0, le=100_000)] | None = None
    iterations: Annotated[int, Field(ge=1, le=LONGEST)] | None = None
    first_epochs: Annotated[float, Field(ge=0, le=100_000)] = 0.0
    first_batch_size: BatchSize | None = None
    decay_batch_size: BatchSize | None = None
    optimizer: Literal["SGD", "AdamW"] = "SGD"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 5e-4
    power: Annotated[float, Field(ge=0, le=10)] = 0.9
    warmup_iterations: Annotated[int, Field(ge=0, le=LONGEST)] = 0
    new_layers_lr: Annotated[float, Field(ge=0, le=1000)] = 10.0
    bias_lr: Annotated[float, Field(ge=0, le=1000)] = 1.0
    bias_weight_decay: Annotated[float, Field(ge=0, le=10)] | None = None
    amp: bool | Literal["bfloat16"] = False
    checkpoint_every: Annotated[int, Field(ge=1, le=LONGEST)] | None = None
    clip_grad: Annotated[float, Field(gt=0, le=1e6)] | None = None

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError(
                f"epochs={self.epochs} and iterations={self.iterations}: give exactly one of the two"
            )
        self._check_first_phase()
        self._check_decay()

    def _check_first_phase(self) -> None:
        given = f"first_epochs={self.first_epochs:g} and first_batch_size={self.first_batch_size}"
        if (self.first_epochs > 0) != (self.first_batch_size is not None):
            raise ValueError(f"{given}: give both or none of the two")
        if self.first_epochs and (self.epochs is None or self.first_epochs >= self.epochs):
            raise ValueError(
                f"first_epochs={self.first_epochs:g} has to be less than epochs={self.epochs}"
            )

    def _check_decay(self) -> None:
        if self.decay_batch_size is None:
            return
        given = f"decay_batch_size={self.decay_batch_size}"
        if self.epochs is None:
            raise ValueError(f"{given} counts epochs: give epochs instead of iterations")
        longest = (self.epochs - self.first_epochs) / self.batch_size
        longest += self.first_epochs / (self.first_batch_size or 1)
        if longest > 1.000001 * self.epochs / self.decay_batch_size:
            raise ValueError(
                f"{given} is larger than the batches of the training: its learning rate would be 0 before the end; "
                "choose a smaller one or None"
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any], where: str) -> Schedule:
        """The schedule a user wrote as a dict; `where` names it in messages. UserError if it is wrong."""
        try:
            return cls(**check_parameters(cls, config, where))
        except ValueError as error:
            raise UserError(f"{where}: {error}") from error

    def batch_sizes(self, size: int) -> BatchSizes:
        """Length and batch sizes of the training on `size` images; every phase has at least one iteration."""
        if self.epochs is None:
            assert self.iterations is not None
            return BatchSizes(iterations=self.iterations, batch=self.batch_size)
        rest = max(1, round((self.epochs - self.first_epochs) * size / self.batch_size))
        if self.first_batch_size is None:
            return BatchSizes(iterations=rest, batch=self.batch_size)
        first = max(1, round(self.first_epochs * size / self.first_batch_size))
        return BatchSizes(
            iterations=first + rest,
            batch=self.batch_size,
            first=first,
            first_batch=self.first_batch_size,
            first_share=self.first_epochs / self.epochs,
        )

    def length(self, size: int) -> int:
        """Iterations of the whole training on `size` images; at least 1."""
        return self.batch_sizes(size).iterations

    def decay_length(self, size: int) -> int:
        """T: the iteration at which the learning rate of a training on `size` images reaches 0."""
        length = self.length(size)
        if self.decay_batch_size is None or self.epochs is None:
            return length
        return max(length, round(self.epochs * (size // self.decay_batch_size)))

    def round_length(self, size: int) -> int:
        """Iterations from one checkpoint to the next."""
        length = self.length(size)
        tenth = min(max(ceil(length / 10), SHORTEST_ROUND), LONGEST_ROUND)
        return min(self.checkpoint_every or tenth, length)

    def per_rank(self, world: int) -> int:
        """Images per iteration on each of `world` ranks, after the first phase.

        Raises:
            UserError: `batch_size` or `first_batch_size` does not divide.
        """
        if self.first_batch_size is not None:
            equal_share("first_batch_size", self.first_batch_size, world)
        return equal_share("batch_size", self.batch_size, world)


def check_schedule(schedule: Schedule, world: int, device: str, where: str) -> None:
    """Refuse a schedule, given at `where`, that cannot be trained by `world` ranks on `device`."""
    if schedule.amp is True and device != "cuda":
        raise UserError(
            f"{where}.amp=True needs a GPU, but the device is '{device}': set amp='bfloat16', which a CPU has, too, or "
            "amp=False"
        )
    schedule.per_rank(world)


def precision_of(amp: bool | str | None) -> str:
    """The dtype that the parameter `amp` stands for, by name."""
    return "float16" if amp is True else amp or "float32"


def short(schedule: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of `schedule`, a complete one, for a training of a few iterations with the same phases."""
    sizes = {
        key: min(schedule[key], SMALL_BATCH)
        for key in ("batch_size", "first_batch_size")
        if schedule[key] is not None
    }
    phases = bool(schedule["first_epochs"])
    return {
        **schedule,
        **sizes,
        "epochs": 2.0 if phases else None,
        "first_epochs": 1.0 if phases else 0.0,
        "iterations": None if phases else SHORT,
        "decay_batch_size": None,
        "warmup_iterations": min(schedule["warmup_iterations"], 1),
        "checkpoint_every": LONGEST_ROUND,  # of a large network one weighs more than a gigabyte
    }


def equal_share(name: str, total: int, world: int) -> int:
    """Each rank's part of `total` images per iteration; UserError, naming the parameter, if it does not divide."""
    if total % world:
        raise UserError(
            f"{name}={total} is the total over all ranks and cannot be shared equally by {world} of them: choose a "
            f"multiple of {world}"
        )
    return total // world
