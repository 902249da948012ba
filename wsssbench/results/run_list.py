"""Every run in a work directory, in one line each, and what all of them need of the cache."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wsssbench.errors import UserError
from wsssbench.experiment.stored import CACHE, Stored, folder_size, stored
from wsssbench.files.records import read_record
from wsssbench.results.run import read_run
from wsssbench.results.run_files import RUN
from wsssbench.results.started import STARTED, RunNote, is_running

RUNS = "runs"  # the folder in the work directory
FINISHED, RUNNING, INTERRUPTED, DAMAGED = "finished", "running", "interrupted", "damaged"


@dataclass(frozen=True)
class ListedRun:
    """One run.

    Attributes:
        name: of the experiment.
        id: of the run.
        directory: of its results.
        state: ``finished``, ``running``, ``interrupted``, or ``damaged``.
        created: ISO 8601, when it ended; of an unfinished one, when it began.
        trial: ``smoke`` or ``limit50``; empty for a real run.
        hashes: of its stages' results in the cache, by stage.
        rung: the last place where it was scored; empty if it was nowhere.
        miou: there, per cent; None if there is no number.
        problem: why it is damaged.
    """

    name: str
    id: str
    directory: Path
    state: str
    created: str = ""
    trial: str = ""
    hashes: Mapping[str, str] | None = None
    rung: str = ""
    miou: float | None = None
    problem: str = ""

    def size(self, results: Mapping[str, Stored]) -> int:
        """Return the bytes of its folder and of its results; those that runs share count for each of them.

        Args:
            results: what the cache has, by hash.
        """
        parts = {one for one in (self.hashes or {}).values() if one in results}
        return folder_size(self.directory) + sum(results[one].size for one in parts)


def list_runs(work_dir: Path) -> list[ListedRun]:
    """Return the runs in `work_dir`, the newest first."""
    runs = [_read(directory, work_dir) for directory in _directories(work_dir / RUNS)]
    return sorted(runs, key=lambda run: run.created, reverse=True)


def needed(work_dir: Path) -> set[str]:
    """Return the hashes of all results of the cache that a run in `work_dir` is made of.

    Raises:
        UserError: a run does not say what it needs.
    """
    hashes: set[str] = set()
    for run in list_runs(work_dir):
        if run.hashes is None:
            raise UserError(
                f"nothing is removed, since it cannot be known what the run {run.directory} needs: {run.problem}; run "
                "it again, or remove its folder"
            )
        hashes |= set(run.hashes.values())
    return hashes


def in_cache(work_dir: Path) -> list[Stored]:
    """Return the results in the cache of `work_dir`."""
    return stored((work_dir / CACHE).resolve())


def _directories(root: Path) -> Iterator[Path]:
    """Yield the folders of runs; the name of an experiment may be a path, and a folder may be linked to."""
    seen: set[str] = set()
    for folder, names, files in os.walk(root, followlinks=True):
        names.sort()
        real = os.path.realpath(folder)
        if real in seen:
            names.clear()
            continue
        seen.add(real)
        if RUN in files or STARTED in files:
            names.clear()
            yield Path(folder)


def _read(directory: Path, work_dir: Path) -> ListedRun:
    name, id = str(directory.parent.relative_to(work_dir / RUNS)), directory.name
    finished = (directory / RUN).is_file()
    try:
        noted = read_record(
            RunNote, directory / (RUN if finished else STARTED), "run the experiment again"
        )
    except UserError as error:
        return ListedRun(name, id, directory, DAMAGED, problem=str(error))
    hashes = {node: stage.hash for node, stage in noted.stages.items()}
    trial = "smoke" if noted.smoke else f"limit{noted.limit}" if noted.limit else ""
    known = ListedRun(name, id, directory, FINISHED, noted.created, trial, hashes)
    if (directory / STARTED).is_file() and is_running(directory):
        return replace(known, state=RUNNING)
    if not finished:
        return replace(known, state=INTERRUPTED)
    try:
        scored = read_run(directory).evaluations
    except UserError as error:
        return replace(known, state=DAMAGED, problem=str(error))
    if not scored:
        return known
    point = scored[-1].best_known
    return replace(known, rung=scored[-1].name, miou=point.miou if point else None)
