"""What a stage is given, and how it goes through many images so that a kill loses none of them."""

from __future__ import annotations

import multiprocessing
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from wsssbench import ranks
from wsssbench.data.truth import GuardState, guard_state, restore_guard
from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.interfaces import Dataset, RunContext

Item = TypeVar("Item")
_job: ImageJob[Any] | None = None  # of this worker process


@dataclass(frozen=True)
class StageWork:
    """One stage's orders.

    Attributes:
        config: the stage's resolved config.
        inputs: the directories of the artefacts it reads, by role.
        dataset: the data set; its masks can be opened in evaluation stages only.
        context: its own directory, device, workers, seed, progress.
    """

    config: Mapping[str, Any]
    inputs: Mapping[str, Path]
    dataset: Dataset
    context: RunContext

    @property
    def directory(self) -> Path:
        return self.context.directory


class ImageJob(ABC, Generic[Item]):
    """A computation per image; pickled to worker processes."""

    def prepare(self) -> None:
        """Called once per process: load networks here."""

    @abstractmethod
    def target(self, item: Item) -> Path:
        """The artefact that `item` becomes."""

    @abstractmethod
    def valid(self, path: Path) -> None:
        """Raise CorruptArtefactError if the existing artefact at `path` is not whole."""

    @abstractmethod
    def run(self, item: Item) -> None:
        """Compute and write ``target(item)``, by temporary name and rename."""


def run_images(
    job: ImageJob[Item],
    items: Sequence[Item],
    context: RunContext,
    title: str,
    in_process: bool = False,
) -> None:
    """Make every artefact of this rank's share of `items` that is not there and whole.

    Args:
        in_process: the job uses a GPU, which one process per rank drives.
    """
    mine = ranks.shard(items)
    missing = [item for item in mine if not _is_whole(job, job.target(item))]
    done = len(mine) - len(missing)
    if done:
        context.progress.say(f"{title}: {done} of {len(mine)} images are done already")
    with context.progress.track(title, total=len(mine), done=done) as task:
        # A pool pays from some images on: each process imports torch first.
        if in_process or context.workers <= 1 or len(missing) < 32 * context.workers:
            finished: Iterator[None] = _run_here(job, missing)
        else:
            finished = _run_pool(job, missing, context.workers)
        for _ in finished:
            task.advance()


def _is_whole(job: ImageJob[Any], path: Path) -> bool:
    if not path.exists():
        return False
    try:
        job.valid(path)
    except CorruptArtefactError:
        path.unlink(missing_ok=True)
        return False
    return True


def _run_here(job: ImageJob[Item], items: Iterable[Item]) -> Iterator[None]:
    prepared = False
    with single_thread():
        for item in items:
            if not prepared:
                job.prepare()
                prepared = True
            job.run(item)
            yield


@contextmanager
def single_thread() -> Iterator[None]:
    """One torch thread: parallelism is by process, and sums are in one order whatever the number of workers."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _run_pool(job: ImageJob[Item], items: Sequence[Item], workers: int) -> Iterator[None]:
    # spawn: forking a process that holds threads or CUDA is unsafe
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, spawn, _start_worker, (job, list(sys.path), guard_state())
    ) as pool:
        futures = [pool.submit(_run_one, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
                yield
        except BrokenProcessPool:
            raise UserError(
                f"one of the {workers} worker processes died (out of memory?): run the same command again "
                "with a smaller --workers; finished images are kept"
            ) from None
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _start_worker(job: ImageJob[Any], path: list[str], guard: GuardState) -> None:
    global _job
    sys.path[:] = path
    restore_guard(guard)
    import torch

    from wsssbench.plugins import load

    torch.set_num_threads(1)
    load()
    job.prepare()
    _job = job


def _run_one(item: Any) -> None:
    assert _job is not None
    _job.run(item)


def ids_of(dataset: Dataset, splits: Iterable[str]) -> list[tuple[str, str]]:
    """(id, split) of every image in `splits`, each id once, in list order."""
    seen: dict[str, str] = {}
    for split in splits:
        for id in dataset.ids(split):
            seen.setdefault(id, split)
    return list(seen.items())
