"""A run announces itself before it begins: ``started.json`` in its folder says which results of the cache it needs.

So an interrupted run can be listed, and what it has computed is not taken for rubbish. The file goes when ``run.json``
has taken its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout

from wsssbench.experiment.config import config_text
from wsssbench.experiment.plan import Plan
from wsssbench.experiment.stored import CACHE, wait_for_cleaning
from wsssbench.files.atomic import remove_partials, write_json
from wsssbench.results.run_files import RUN, StageRecord

STARTED = "started.json"
_LOCK = ".running.lock"  # held by the process that runs


@dataclass(frozen=True)
class RunNote:
    """What a ``started.json`` or a ``run.json`` says about a run as a whole.

    Attributes:
        stages: by node.
        created: ISO 8601.
        smoke: is it a smoke run?
        limit: the most images of each split of a trial.
        config: of a run that has begun, resolved, as the text of a config file.
    """

    stages: dict[str, StageRecord]
    created: str = ""
    smoke: bool = False
    limit: int | None = None
    config: str = ""


@contextmanager
def announced(plan: Plan, work_dir: Path) -> Iterator[None]:
    """Announce the run of `plan` while the block works; on the main rank only."""
    directory = plan.directory(work_dir)
    directory.mkdir(parents=True, exist_ok=True)
    for folder in (directory, *filter(_is_folder, directory.iterdir())):
        remove_partials(folder)  # of a run that was killed
    stages = {
        step.node.name: {
            "kind": step.node.kind.name,
            "hash": step.entry.key.hash,
            "directory": str(step.entry.directory),
        }
        for step in plan.steps
    }
    content = {
        "name": plan.config["name"],
        "run_id": plan.run_id,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "smoke": bool(plan.trial and plan.trial.smoke),
        "limit": plan.trial.images if plan.trial else None,
        "config": config_text(plan.config),
        "stages": stages,
    }
    write_json(directory / STARTED, content)
    lock = FileLock(directory / _LOCK)
    # The same run in another process, or no locks here: only the list says less.
    with suppress(Timeout, NotImplementedError):
        lock.acquire(timeout=0)
    try:
        wait_for_cleaning(work_dir / CACHE)
        yield
        if (directory / RUN).is_file():
            (directory / STARTED).unlink(missing_ok=True)
    finally:
        lock.release()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def is_running(directory: Path) -> bool:
    """Tell whether a process works on the run in `directory`."""
    path = directory / _LOCK
    if not path.is_file():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except (NotImplementedError, OSError):
        return False
    lock.release()
    return False
