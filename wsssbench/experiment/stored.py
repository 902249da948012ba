"""The results that are in a cache: how much room they take, and how they are removed without harm."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from wsssbench.experiment.cache import INTENT, MANIFEST, read_entry_sizes

CACHE = "cache"  # the folder in the work directory
_CLEANING = ".clean.lock"  # held while results are removed
_HASH = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Stored:
    """One result in the cache.

    Attributes:
        directory: of its files.
        size: bytes.
        complete: False for work that was interrupted, or is being done.
    """

    directory: Path
    size: int
    complete: bool

    @property
    def stage(self) -> str:
        """The kind of stage."""
        return self.directory.parent.name

    @property
    def hash(self) -> str:
        return self.directory.name


def stored(root: Path) -> list[Stored]:
    """Return every result in the cache at `root`, by kind of stage and hash.

    Only folders that this toolkit has made: anything else there is nobody's to count or to remove, and neither is what
    a symbolic link leads to.
    """
    found = []
    for stage in _folders(root):
        for directory in _folders(stage):
            complete = (directory / MANIFEST).is_file()
            if _HASH.fullmatch(directory.name) and (complete or (directory / INTENT).is_file()):
                sizes = read_entry_sizes(directory) if complete else None
                size = folder_size(directory) if sizes is None else sum(sizes)
                found.append(Stored(directory, size, complete))
    return found


def folder_size(directory: Path) -> int:
    """Return the bytes of all files in `directory`."""
    size = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                size += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
    return size


def remove(
    root: Path, results: Iterable[Stored], needed: Callable[[], Collection[str]]
) -> list[Stored]:
    """Remove those of `results` whose hashes are not `needed`, and return them.

    A result that a process is making is left alone. Runs that begin meanwhile wait, see `wait_for_cleaning`.

    Args:
        needed: asked once no further run can begin.
    """
    gone = []
    with _cleaning(root):
        kept = needed()
        for one in results:
            if one.hash not in kept and _removed(one):
                gone.append(one)
    return gone


def wait_for_cleaning(root: Path) -> None:
    """Return as soon as nobody removes results; whoever cleans later sees what was announced before this call."""
    if (root / _CLEANING).exists():
        with _cleaning(root):
            pass


def _removed(one: Stored) -> bool:
    """Remove one result unless somebody is making it."""
    lock = FileLock(one.directory.parent / f"{one.hash}.lock")
    try:
        with _acquired(lock, 0):
            # Without its manifest nobody takes it for complete, should this process be killed now.
            (one.directory / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(one.directory)
    except Timeout:
        return False
    return True


@contextmanager
def _cleaning(root: Path) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with _acquired(FileLock(root / _CLEANING), -1):
        yield


@contextmanager
def _acquired(lock: FileLock, timeout: float) -> Iterator[None]:
    """Hold `lock`; a file system without locks has none to hold."""
    with suppress(NotImplementedError):
        lock.acquire(timeout=timeout)
    try:
        yield
    finally:
        lock.release()


def _folders(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if path.is_dir() and not path.is_symlink())
