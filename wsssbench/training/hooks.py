"""What happens around each training iteration, as hooks of the mmengine Runner."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
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
    """One JSON line per iteration into a file, the loss to the progress bar; ends a training that has diverged.

    Args:
        every: iterations after which the values of all of them are fetched. Fetching them from a GPU waits until it has
            computed them; meanwhile it gets no further work.
    """

    priority = "NORMAL"  # before the scheduler (LOW) moves on to the next learning rate

    def __init__(self, path: Path, bar: Task, title: str, every: int = 1) -> None:
        self.path = path
        self.bar = bar
        self.title = title
        self.every = every
        self._file: TextIO | None = None
        self._waiting: list[tuple[dict[str, float], dict[str, Tensor]]] = []

    def before_train(self, runner: Any) -> None:
        if ranks.is_main():
            _keep_lines(self.path, runner.iter)
            self._file = self.path.open("a", encoding="utf-8")

    def after_train_iter(self, runner: Any, outputs: Mapping[str, Tensor], **_: Any) -> None:
        group = runner.optim_wrapper.param_groups[0]
        line = {"iteration": runner.iter + 1, "lr": group["lr"] / group["multiplier"]}
        self._waiting.append((line, {name: value.detach() for name, value in outputs.items()}))
        if len(self._waiting) == self.every:
            self._write()

    def after_train_epoch(self, runner: Any) -> None:
        self._write()
        if self._file is not None:
            self._file.flush()  # the checkpoint that follows must not be ahead of the file

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        numbers = _mean_over_ranks([values for _, values in waiting])
        for (line, _), values in zip(waiting, numbers, strict=True):
            if not abs(values["loss"]) < DIVERGED:  # also NaN
                raise UserError(
                    f"{self.title}: the loss became {values['loss']:.4g} at iteration {line['iteration']}, so the "
                    f"training has diverged: {REMEDY}"
                )
            if self._file is not None:
                self._file.write(json.dumps({**line, **values}) + "\n")
        self.bar.advance(len(waiting), f"loss {numbers[-1]['loss']:.3f}")

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
    """A checkpoint after each round but the last, whose weights are saved at once.

    mmengine's CheckpointHook writes in place; a kill in the middle would leave half a file under the final name.
    """

    priority = "VERY_LOW"  # after the scheduler's step, which belongs to the iteration

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints

    def after_train_epoch(self, runner: Any) -> None:
        if runner.iter == runner.max_iters:
            return
        if ranks.is_main():
            part = self.checkpoints.part(runner.iter)
            runner.save_checkpoint(str(part.parent), part.name)
            self.checkpoints.publish(runner.iter)
        ranks.barrier()


def _mean_over_ranks(iterations: Sequence[Mapping[str, Tensor]]) -> list[dict[str, float]]:
    """The logged values of several iterations as numbers; every rank has to log the same names."""
    values = [value.float().reshape(()) for logged in iterations for value in logged.values()]
    stacked = torch.stack(values)
    mmengine.dist.all_reduce(stacked, op="mean")
    numbers = iter(stacked.tolist())
    return [{name: next(numbers) for name in logged} for logged in iterations]


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
