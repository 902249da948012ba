"""A `TrainingTask` in the form mmengine's Runner trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.model import BaseModel
from torch import Tensor

from wsssbench.interfaces import Losses

if TYPE_CHECKING:
    from wsssbench.training.engine import TrainingTask


class TaskModel(BaseModel):
    """Calls the task on the batch (a dict of tensors) and on the share of the schedule that is done."""

    def __init__(self, task: TrainingTask) -> None:
        super().__init__()
        self.task = task
        self.progress = 0.0

    def tell(self, progress: float) -> None:
        """The share of the schedule that is done."""
        self.progress = progress

    def forward(self, mode: str, **batch: Tensor) -> dict[str, Any]:
        losses: Losses = self.task(batch, self.progress)
        # A dict, because DistributedDataParallel looks for tensors in dicts but not in dataclasses.
        return {"terms": dict(losses.terms), "log": dict(losses.log)}

    def parse_losses(self, losses: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        terms = losses["terms"]
        total: Tensor = sum(terms.values())
        return total, {**terms, **losses["log"], "loss": total.detach()}
