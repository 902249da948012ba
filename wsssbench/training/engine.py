"""Training of the classifier and of everything else that is not mmsegmentation's, by mmengine's Runner.

    class Classify(TrainingTask):
        def forward(self, batch, progress):
            return Losses({"cls": bce(self.classifier(batch["images"]).logits, batch["labels"])})

    weights = train(Classify(...), dataset, schedule, context, lr_multipliers={"head": 10.0}, title="classifier")

A training that was killed at any moment goes on from its last checkpoint when the same call is made again. On a CPU it
ends with exactly the weights of an unbroken one (same machine, same number of ranks; any number of workers); on a GPU
sums may be in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset, default_collate

from wsssbench.errors import UserError
from wsssbench.interfaces import RunContext
from wsssbench.parallel import ranks
from wsssbench.training.checkpoints import WEIGHTS, is_trained
from wsssbench.training.quiet import log_file, quiet
from wsssbench.training.schedule import Schedule
from wsssbench.training.task import TrainingTask


def train(
    task: TrainingTask,
    dataset: Dataset[Any],
    schedule: Schedule,
    context: RunContext,
    lr_multipliers: Mapping[str, float] | None = None,
    title: str = "training",
    collate: Callable[[list[Any]], Any] = default_collate,
) -> Path:
    """Train `task` and return the path of its weights, ``weights.pth`` in the context's directory.

    Returns at once if they are there already (and leaves `task` as it is). Also writes ``scalars.jsonl``: iteration,
    learning rate, total loss, every loss and logged value, one line per iteration.

    Args:
        task: initialised; parameters with ``requires_grad=False`` are not trained.
        dataset: sized; ``dataset[(index, position)]`` is a dict of tensors and of equal shapes for every index. All
            randomness has to come from ``(context.seed, position)``.
        schedule: length and learning rate.
        context: where, on what, with which seed.
        lr_multipliers: first parts of names of parameters -> factor on their learning rate; see `build_optimizer`.
        title: the name of the task in messages.
        collate: list of what the data set returned -> batch, a dict.

    Raises:
        UserError: empty data set, the training has diverged (loss or weights), batch size that the ranks cannot
            share, float16 without a GPU.
    """
    ranks.init(context.device)
    if is_trained(context.directory):
        return context.directory / WEIGHTS
    if len(dataset) == 0:  # type: ignore[arg-type]
        raise UserError(f"{title}: there is no image to train on")
    with quiet(log_file(context.directory)):
        from wsssbench.training.runner import TaskModel, TrainingJob, fit

        model = TaskModel(task)
        job = TrainingJob(
            model,
            dataset,
            collate,
            weights=task.state_dict,
            lr_multipliers={f"task.{path}": f for path, f in (lr_multipliers or {}).items()},
            on_progress=model.set_progress,
        )
        return fit(job, schedule, context, title)


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, numpy and torch; call it before random initial weights are drawn."""
    import random

    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries use the global generator
    torch.manual_seed(seed)
