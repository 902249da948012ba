"""Goes through many images: files that are there and whole are kept, the others are made, by one process or several.

A job writes one artefact per image, by temporary name and rename, so a run that was killed at any moment continues
where it was, also with another number of workers or ranks.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess
from pathlib import Path
from pickle import PicklingError
from types import ModuleType
from typing import Any, Generic, TypeVar

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.files.ground_truth import GuardState, guard_state, restore_guard
from wsssbench.interfaces import RunContext
from wsssbench.parallel import ranks
from wsssbench.parallel.plugin_errors import plugin_errors
from wsssbench.progress import duration

Item = TypeVar("Item")
_POOL_FROM = 32  # images per worker from which starting processes pays: each imports torch first
_POOL_FROM_SLOW = 2  # the same, of images that take much longer than that
_TIMED = 3  # images per process after which the time of all is told
_LONG = 600.0  # seconds that are told
_job: ImageJob[Any] | None = None  # of this worker process
_problem: Exception | None = None  # why it could not be prepared


class ImageJob(ABC, Generic[Item]):
    """A computation per image; pickled to worker processes.

    Attributes:
        slow: an image takes longer than it takes to start a process.
    """

    slow: bool = False

    def prepare(self) -> None:
        """Load networks and the like; called once per process, before the first image."""

    def target(self, item: Item) -> Path:
        """Return the artefact that `item` becomes; by default its own `target`."""
        return item.target  # type: ignore[attr-defined]

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

    Raises:
        UserError: a worker process died.
    """
    mine = ranks.shard(items)
    missing = [item for item in mine if not _is_whole(job, job.target(item))]
    done = len(mine) - len(missing)
    if done:
        context.progress.say(f"{title}: {done} of {len(mine)} images are done already")
    with context.progress.track(title, total=len(mine), done=done) as task:
        pays = (_POOL_FROM_SLOW if job.slow else _POOL_FROM) * context.workers
        alone = in_process or context.workers <= 1 or len(missing) < pays
        made = _run_here(job, missing) if alone else _run_pool(job, missing, context.workers)
        # From when every process has made one: before, networks are loaded.
        start, began = (1 if alone else context.workers), 0.0
        timed = start * _TIMED
        for count, _ in enumerate(made, 1):
            task.advance()
            if count == start:
                began = time.monotonic()
            if count == start + timed:
                each = (time.monotonic() - began) / timed
                _tell_time(title, each, len(missing) - count, context)


def _tell_time(title: str, each: float, left: int, context: RunContext) -> None:
    """Tell what the images that are left will take, of `each` seconds, if that is long."""
    if each * left >= _LONG:
        context.progress.say(
            f"{title}: an image takes {duration(each)}, so the {left} that are left take about "
            f"{duration(each * left)}; whenever it is stopped, finished ones are kept, and the same command goes on"
        )


def _is_whole(job: ImageJob[Any], path: Path) -> bool:
    if not path.exists():
        return False
    try:
        job.valid(path)
    except CorruptArtefactError:
        path.unlink(missing_ok=True)
        return False
    return True


def _run_here(job: ImageJob[Item], items: Sequence[Item]) -> Iterator[None]:
    with single_thread():
        if items:
            job.prepare()
        for item in items:
            job.run(item)
            yield


@contextmanager
def single_thread() -> Iterator[None]:
    """Use one torch thread: parallelism is by process, and sums are in one order whatever the number of workers."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _run_pool(job: ImageJob[Item], items: Iterable[Item], workers: int) -> Iterator[None]:
    with worker_pool(workers, job) as pool:
        for future in as_completed([pool.submit(_run_one, item) for item in items]):
            future.result()
            yield


@contextmanager
def worker_pool(workers: int, job: ImageJob[Any] | None = None) -> Iterator[ProcessPoolExecutor]:
    """Start processes with one torch thread each that keep the leak guard and end when this process is killed.

    Args:
        job: what the processes are for; they prepare it once.

    Raises:
        UserError: one of them died.
    """
    initial = (job, list(sys.path), guard_state())
    pool = ProcessPoolExecutor(workers, _WorkerContext(), _start, initial)
    try:
        for _ in range(workers):
            pool.submit(_nothing)
        yield pool
    except BrokenProcessPool:
        raise UserError(
            f"one of the {workers} worker processes died (out of memory?): run the same command again with a "
            "smaller --workers; finished images are kept"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Worker(SpawnProcess):
    """A process that does not hear Ctrl-C and does not run the user's script again.

    It is spawned, since forking a process that holds threads or CUDA is unsafe. A spawned process imports the main
    module of its parent: a script without an ``if __name__ == "__main__"`` would begin once more in every worker,
    and one that was read from standard input cannot be found. Only a job whose own class stands in the script needs
    that import.
    """

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:
        with _ctrl_c_for_us_alone():
            script = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                return SpawnProcess._Popen(process_obj)
            except PicklingError:
                sys.modules["__main__"] = script
                return SpawnProcess._Popen(process_obj)
            finally:
                sys.modules["__main__"] = script


class _WorkerContext(SpawnContext):
    Process = _Worker


@contextmanager
def _ctrl_c_for_us_alone() -> Iterator[None]:
    """Keep Ctrl-C from processes started inside: a terminal sends it to all, and they would print tracebacks."""
    resource_tracker.ensure_running()  # its start lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _nothing() -> None:
    """A pool starts its processes when it is given work."""


def _start(job: ImageJob[Any] | None, path: list[str], guard: GuardState) -> None:
    global _job, _problem
    _end_with_parent()
    sys.path[:] = path
    restore_guard(guard)
    import torch

    torch.set_num_threads(1)
    try:
        with plugin_errors():
            if job is not None:
                job.prepare()
    except Exception as error:  # it would end this process, as if memory had run out
        _problem = error
    _job = job


def _end_with_parent() -> None:
    """End this process when its parent has ended, e.g. was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run_one(item: Any) -> None:
    assert _job is not None
    if _problem is not None:
        raise _problem
    with plugin_errors():
        _job.run(item)
