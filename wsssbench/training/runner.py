"""mmengine's Runner, on the device it is told, leaving nothing behind; and `fit`, which trains any model with it."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mmengine.runner
import torch
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import BaseModel, MMDistributedDataParallel, is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop
from mmengine.visualization import Visualizer
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from wsssbench.interfaces import Losses, RunContext
from wsssbench.parallel import ranks
from wsssbench.training.checkpoints import (
    CHECKPOINTS,
    WEIGHTS,
    Checkpoints,
    iteration_of,
    load_checkpoint,
    write_weights,
)
from wsssbench.training.hooks import (
    ReportProgress,
    Reseed,
    RoundCheckpoint,
    Scalars,
    SyncBuffers,
)
from wsssbench.training.loading import plain_errors, start_method, start_worker
from wsssbench.training.optimizer import build_optimizer, learning_rate
from wsssbench.training.quiet import isolated, log_file, quiet
from wsssbench.training.sampler import StreamBatches, StreamSampler
from wsssbench.training.schedule import Schedule, check_schedule
from wsssbench.training.task import TrainingTask

_numbers = itertools.count()
FETCHED_TOGETHER = {"cuda": 10}  # by device: iterations whose losses are


class Runner(mmengine.runner.Runner):
    """mmengine's Runner without its side effects: no global start method, no files of its own, no forced GPU."""

    def __init__(self, model: nn.Module, directory: Path, device: str, **arguments: Any) -> None:
        self.place = device
        name = f"wsssbench_{os.getpid()}_{next(_numbers)}"
        super().__init__(
            model,
            str(directory),
            launcher="pytorch" if ranks.world_size() > 1 else "none",
            default_scope=None,
            visualizer=Visualizer(name=name),
            experiment_name=name,
            **arguments,
        )

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        # The original sets the start method of multiprocessing and environment variables for the whole process.
        ranks.init(self.place)
        self._rank, self._world_size = get_dist_info()
        self._timestamp = "."  # the log directory is the work directory

    def build_logger(self, log_level: int | str = "INFO", *_: Any, **__: Any) -> MMLogger:
        return MMLogger.get_instance(name=self._experiment_name, log_level=log_level)

    def wrap_model(self, model_wrapper_cfg: Any, model: nn.Module) -> nn.Module:
        model = model.to(self.place)
        if not self.distributed or self._train_dataloader is None:
            return model
        return MMDistributedDataParallel(
            module=model,
            device_ids=[ranks.local_rank()] if self.place == "cuda" else None,
            broadcast_buffers=False,
            find_unused_parameters=True,  # a loss may start after a warm-up, a backbone may return more than is used
        )

    def resume(self, filename: str, *_: Any, **__: Any) -> None:
        super().resume(filename, map_location="cpu")

    def load_checkpoint(self, filename: str, *_: Any, **__: Any) -> dict[str, Any]:
        # The original runs what a file holds beside weights.
        model = self.model.module if is_model_wrapper(self.model) else self.model
        return load_checkpoint(model, Path(filename))

    def _init_model_weights(self) -> None:
        """Do nothing: the model arrives initialised."""

    def _log_env(self, env_cfg: dict[str, Any]) -> None:
        """Do nothing: the run manifest has the environment."""

    def dump_config(self) -> None:
        """Do nothing: the run manifest has the configuration."""


class RoundLoop(EpochBasedTrainLoop):
    """mmengine's epochs are our rounds from checkpoint to checkpoint; the last one may be shorter.

    One pass over the loader serves all rounds: its processes are started once, and load on during a checkpoint.
    """

    def __init__(
        self, runner: Runner, dataloader: DataLoader[Any], length: int, iterations: int
    ) -> None:
        super().__init__(runner, dataloader, max_epochs=math.ceil(iterations / length))
        self._max_iters = iterations
        self.length = length
        self._batches: Iterator[Any] | None = None

    def run(self) -> nn.Module:
        try:
            model: nn.Module = super().run()
            return model
        finally:
            self._batches = None  # ends its processes

    def run_epoch(self) -> None:
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        if self._batches is None:  # now the sampler knows where a resumed training is
            self._batches = iter(self.dataloader)
        for number, batch in enumerate(itertools.islice(self._batches, self.length)):
            self.run_iter(number, batch)
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1


class TaskModel(BaseModel):
    """A `TrainingTask` in the form that the Runner trains: called on the batch, a dict of tensors."""

    def __init__(self, task: TrainingTask) -> None:
        super().__init__()
        self.task = task
        self.progress = 0.0

    def set_progress(self, progress: float) -> None:
        """Set the share of the schedule that is done."""
        self.progress = progress

    def forward(self, mode: str, **batch: Any) -> dict[str, Any]:
        losses: Losses = self.task(batch, self.progress)
        # A dict, because DistributedDataParallel looks for tensors in dicts but not in dataclasses.
        return {"terms": dict(losses.terms), "log": dict(losses.log)}

    def parse_losses(self, losses: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        terms = losses["terms"]
        total: Tensor = sum(terms.values())
        return total, {**terms, **losses["log"], "loss": total.detach()}


@dataclass(frozen=True)
class TrainingJob:
    """A network with everything that `fit` needs to train it.

    Attributes:
        model: has mmengine's `train_step`, i.e. derives from its BaseModel.
        dataset: answers ``dataset[(index, position)]``; all its randomness comes from `position`.
        collate: list of samples -> batch.
        weights: what to save in the end.
        lr_multipliers: first parts of names of parameters -> factor on their learning rate; see `build_optimizer`.
        on_progress: called before each iteration with the share of the schedule that is done, in [0, 1).
    """

    model: nn.Module
    dataset: Dataset[Any]
    collate: Callable[[list[Any]], Any]
    weights: Callable[[], Mapping[str, Tensor]]
    lr_multipliers: Mapping[str, float] = field(default_factory=dict)
    on_progress: Callable[[float], None] | None = None


def fit(job: TrainingJob, schedule: Schedule, context: RunContext, title: str) -> Path:
    """Train `job` and save its weights as ``weights.pth`` in the context's directory; resume if interrupted.

    Raises:
        UserError: the training has diverged (loss or weights), the schedule does not fit the ranks, float16
            without a GPU.
    """
    check_schedule(schedule, ranks.world_size(), context.device, f"{title}: schedule")
    checkpoints = Checkpoints(context.directory / CHECKPOINTS)
    start = _resume_point(checkpoints, title, context)
    total = schedule.length(len(job.dataset))  # type: ignore[arg-type]
    done = iteration_of(start) if start else 0
    if start:
        context.progress.say(f"{title}: resumed at iteration {done} of {total}")
    track = context.progress.track(title, total, done=done)
    # Quiet inside the bar: a bar may send what is printed while it moves to the terminal.
    with isolated(), plain_errors(), track as bar, quiet(log_file(context.directory)):
        every = FETCHED_TOGETHER.get(context.device, 1)
        scalars = Scalars(context.directory / "scalars.jsonl", bar, title, every)
        runner = _runner(job, schedule, context, [scalars, RoundCheckpoint(checkpoints)], start)
        try:
            runner.train()
        finally:
            scalars.close()
    path = context.directory / WEIGHTS
    if ranks.is_main():
        write_weights(job.weights(), path, title)
        checkpoints.remove()
    ranks.barrier()
    return path


def _resume_point(checkpoints: Checkpoints, title: str, context: RunContext) -> Path | None:
    """Find the checkpoint to go on from, the same on every rank; None: there is none."""
    if ranks.is_main():
        checkpoints.directory.mkdir(parents=True, exist_ok=True)
        newest, damaged = checkpoints.latest()
        for path in damaged:
            context.progress.warn(f"{title}: checkpoint {path.name} is damaged and is not used")
    else:
        newest = None
    return ranks.from_main(newest)


def _runner(
    job: TrainingJob, schedule: Schedule, context: RunContext, hooks: list[Hook], start: Path | None
) -> Runner:
    size = len(job.dataset)  # type: ignore[arg-type]
    total, every = schedule.length(size), schedule.round_length(size)
    custom = [Reseed(context.seed), *hooks]
    if job.on_progress is not None:
        custom.append(ReportProgress(job.on_progress, schedule.batch_sizes(size)))
    if ranks.world_size() > 1:
        custom.append(SyncBuffers())
    return Runner(
        job.model,
        context.directory / CHECKPOINTS,
        context.device,
        train_dataloader=_loader(job, schedule, context),
        train_cfg={"type": RoundLoop, "length": every, "iterations": total},
        optim_wrapper=build_optimizer(job.model, schedule, job.lr_multipliers),
        param_scheduler=learning_rate(schedule, size),
        default_hooks={"runtime_info": None, "timer": None, "logger": None, "checkpoint": None},
        custom_hooks=custom,
        randomness={"seed": context.seed},
        load_from=str(start) if start else None,
        resume=start is not None,
    )


def _loader(job: TrainingJob, schedule: Schedule, context: RunContext) -> DataLoader[Any]:
    size = len(job.dataset)  # type: ignore[arg-type]
    sampler = StreamSampler(
        size,
        schedule.batch_sizes(size),
        rank=ranks.rank(),
        world=ranks.world_size(),
        seed=context.seed,
        round_iterations=schedule.round_length(size),
    )
    return DataLoader(
        job.dataset,
        batch_sampler=StreamBatches(sampler),
        num_workers=context.workers,
        collate_fn=job.collate,
        pin_memory=context.device == "cuda",
        multiprocessing_context=start_method(context.workers),
        worker_init_fn=start_worker,
        generator=torch.Generator().manual_seed(context.seed),
    )
