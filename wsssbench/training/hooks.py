"""What happens around each training iteration, as hooks of the mmengine Runner."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import mmengine.dist
import numpy as np
import torch
from mmengine.hooks import Hook
from torch import Tensor

from wsssbench.errors import UserError
from wsssbench.parallel import ranks
from wsssbench.progress import Task
from wsssbench.training.checkpoints import REMEDY, Checkpoints
from wsssbench.training.schedule import BatchSizes

DIVERGED = (
    1e12  # no loss of a network that learns is near it, and squares of gradients overflow soon
)


class Reseed(Hook):
    """Seed every random generator from (seed, iteration, rank) before each iteration.

    So dropout and the like do not depend on where a training was interrupted, nor on what the data loading consumed.
    """

    priority = "VERY_HIGH"

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def before_train_iter(self, runner: Any, **_: Any) -> None:
        words = np.random.SeedSequence((self.seed, runner.iter, ranks.rank())).generate_state(3)
        random.seed(int(words[0]))
        np.random.seed(int(words[1]))  # noqa: NPY002 - libraries use the global generator
        torch.manual_seed(int(words[2]))


class ReportProgress(Hook):
    """Call `on_progress` with the share of the schedule's images that is done, in [0, 1)."""

    def __init__(self, on_progress: Callable[[float], None], sizes: BatchSizes) -> None:
        self.on_progress = on_progress
        self.sizes = sizes

    def before_train_iter(self, runner: Any, **_: Any) -> None:
        self.on_progress(self.sizes.progress_before(runner.iter))


class Scalars(Hook):
    """One JSON line per iteration into a file, the loss to the progress bar; ends a training that has diverged."""

    priority = "NORMAL"  # before the scheduler (LOW) moves on to the next learning rate

    def __init__(self, path: Path, bar: Task, title: str) -> None:
        self.path = path
        self.bar = bar
        self.title = title
        self._file: TextIO | None = None

    def before_train(self, runner: Any) -> None:
        if ranks.is_main():
            _keep_lines(self.path, runner.iter)
            self._file = self.path.open("a", encoding="utf-8")

    def after_train_iter(self, runner: Any, outputs: Mapping[str, Tensor], **_: Any) -> None:
        values = _mean_over_ranks(outputs)
        if not abs(values["loss"]) < DIVERGED:  # also NaN
            raise UserError(
                f"{self.title}: the loss became {values['loss']:.4g} at iteration {runner.iter + 1}, so the training "
                f"has diverged: {REMEDY}"
            )
        if self._file is not None:
            group = runner.optim_wrapper.param_groups[0]
            line = {"iteration": runner.iter + 1, "lr": group["lr"] / group["multiplier"], **values}
            self._file.write(json.dumps(line) + "\n")
        self.bar.advance(1, f"loss {values['loss']:.3f}")

    def after_train_epoch(self, runner: Any) -> None:
        if self._file is not None:
            self._file.flush()  # the checkpoint that follows must not be ahead of the file

    def after_train(self, runner: Any) -> None:
        self.close()

    def close(self) -> None:
        """Write what is left; also called when the training is broken off."""
        if self._file is not None:
            self._file.close()
            self._file = None


class SyncBuffers(Hook):
    """Average floating-point buffers (batch-norm statistics) over the ranks before each checkpoint."""

    def after_train_epoch(self, runner: Any) -> None:
        for buffer in runner.model.buffers():
            if buffer.is_floating_point():
                mmengine.dist.all_reduce(buffer, op="mean")


class RoundCheckpoint(Hook):
    """A checkpoint after each round.

    mmengine's CheckpointHook writes in place; a kill in the middle would leave half a file under the final name.
    """

    priority = "VERY_LOW"  # after the scheduler's step, which belongs to the iteration

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints

    def after_train_epoch(self, runner: Any) -> None:
        if ranks.is_main():
            part = self.checkpoints.part(runner.iter)
            runner.save_checkpoint(str(part.parent), part.name)
            self.checkpoints.publish(runner.iter)
        ranks.barrier()


def _mean_over_ranks(outputs: Mapping[str, Tensor]) -> dict[str, float]:
    """The logged values as numbers; every rank has to log the same names."""
    stacked = torch.stack([value.detach().float().reshape(()) for value in outputs.values()])
    mmengine.dist.all_reduce(stacked, op="mean")
    return dict(zip(outputs, stacked.tolist(), strict=True))


def _keep_lines(path: Path, iterations: int) -> None:
    """Drop the lines of iterations that will be done again; a kill may also have left half a line."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    part = path.with_name(path.name + ".part")
    kept = [line for line in lines if 0 < _iteration(line) <= iterations]
    part.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    part.replace(path)


def _iteration(line: str) -> int:
    try:
        return int(json.loads(line)["iteration"])
    except (ValueError, KeyError, TypeError):
        return 0
