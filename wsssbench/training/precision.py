"""Training in mixed precision: what the forward pass computes in, and who scales the loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import nn

from wsssbench.training.schedule import Schedule, precision_of


@contextmanager
def mixed_precision(schedule: Schedule, device: str) -> Iterator[None]:
    """Compute what is inside in the precision of `schedule` on `device`; weights and gradients stay float32."""
    kind = getattr(torch, precision_of(schedule.amp))
    with torch.autocast(device, kind, enabled=kind is not torch.float32):
        yield


def optim_wrapper(schedule: Schedule, optimizer: torch.optim.Optimizer) -> OptimWrapper:
    """Return mmengine's wrapper of `optimizer`; it has the losses computed in the precision of `schedule`."""
    clip = {"max_norm": schedule.clip_grad} if schedule.clip_grad else None
    if schedule.amp is True:
        return AmpOptimWrapper(optimizer=optimizer, clip_grad=clip)
    if schedule.amp:
        return _WithoutScaling(schedule, optimizer=optimizer, clip_grad=clip)
    return OptimWrapper(optimizer=optimizer, clip_grad=clip)


class _WithoutScaling(OptimWrapper):
    """Autocast without a scale of the loss: bfloat16 has the exponents of float32. mmengine's own wants a GPU."""

    def __init__(self, schedule: Schedule, **options: object) -> None:
        super().__init__(**options)
        self._schedule = schedule

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device = next(model.parameters()).device.type
        with super().optim_context(model), mixed_precision(self._schedule, device):
            yield
