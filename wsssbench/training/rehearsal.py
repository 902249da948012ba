"""What a rehearsal needs: a step on tiny images tells in a second what a training would stop at after hours.

Whatever fails on tiny images is tried again at the size of the config's crops, since a component may need more room
than a tiny image has: nothing is refused that would run.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsssbench.errors import UserError
from wsssbench.parallel import ranks
from wsssbench.training.precision import mixed_precision
from wsssbench.training.schedule import Schedule, check_schedule
from wsssbench.training.task import TrainingTask

IMAGES = 2
PROGRESS = 0.999  # near the end of a schedule, so that what starts late takes part
_CELLS = 4  # a tiny image is that many strides long
_LONE_VALUE = "Expected more than 1 value per channel"  # torch, of a batch normalisation


def images_per_step(schedule: Schedule, device: str, where: str) -> int:
    """Return the number of images to rehearse with: two, or one if a rank never has more.

    Raises:
        UserError: the schedule, given at `where`, cannot be trained on `device` or with so many ranks.
    """
    check_schedule(schedule, ranks.world_size(), device, where)
    sizes = [schedule.batch_size, schedule.first_batch_size or schedule.batch_size]
    return min(IMAGES, *(size // ranks.world_size() for size in sizes))


def check_crop(crop: int, stride: int, where: str) -> None:
    """Refuse a crop, given at `where`, whose map at `stride` is a single cell."""
    if crop <= stride:
        raise UserError(
            f"{where}={crop}: the network's stride is {stride}, so its map of a crop is a single cell: choose at least "
            f"{2 * stride}, better {8 * stride} or more"
        )


def on_tiny_images(attempt: Callable[[int], Any], crop: int, stride: int) -> None:
    """Call `attempt` with the side of a tiny image, and if that fails with `crop`, whose error counts.

    The tiny side leaves the same rest at the network's `stride` as `crop`.
    """
    small = min(crop, _CELLS * stride + crop % stride)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # e.g. that a tiny image is small
        try:
            attempt(small)
        except Exception:  # whatever a component raises
            if small == crop:
                raise
            attempt(crop)


def training_step(
    task: TrainingTask, batch: Mapping[str, Any], schedule: Schedule, device: str
) -> None:
    """Compute the losses of `task` on `batch`, in training mode and the precision of `schedule`, and their gradient."""
    task.to(device).train()
    with mixed_precision(schedule, device):
        losses = task(_on_device(dict(batch), device), PROGRESS)
    torch.stack([term.reshape(()) for term in losses.terms.values()]).sum().backward()


def _on_device(value: Any, device: str) -> Any:
    if isinstance(value, dict):
        moved = copy.copy(value)  # of whatever class it is
        moved.update((key, _on_device(item, device)) for key, item in value.items())
        return moved
    return value.to(device) if isinstance(value, Tensor) else value


def tiny_photo(side: int) -> np.ndarray:
    """Return an image (side, side, 3) uint8 with something in it, the same at every call."""
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


def is_lone_value(error: Exception) -> bool:
    """Tell whether a batch normalisation had a single value per channel."""
    return isinstance(error, ValueError) and str(error).startswith(_LONE_VALUE)


def reason(error: Exception) -> str:
    """Say in a few words why a step failed."""
    if is_lone_value(error):
        return (
            "batch normalisation needs more than one value per channel: choose a batch_size of at least 2 images per "
            "process, or a larger crop"
        )
    first = next(iter(str(error).strip().splitlines()), "")
    return first if type(error) is ValueError else f"{type(error).__name__}: {first}"
