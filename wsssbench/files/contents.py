"""What is in many files, as one id: read once, and known again by the state of the files.

The id is over names and contents, not over places or times: a copy of a data set is the same data set, and a file that
was replaced by another of equal size is another file. Contents are read again only where size, time of the last
change, time of the last change of the entry or inode differ from what was seen before; ``cp -p`` and ``rsync -t`` keep
size and time, but not the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from operator import attrgetter
from pathlib import Path

from wsssbench.errors import UserError
from wsssbench.files.atomic import remove_partials, write_atomically
from wsssbench.progress import Progress

_FOUR = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")
MISSING = "missing"  # the content of a file that is not there
_BLOCK = 1 << 20
_THREADS = 8
_SHOWN_FROM = 2000  # files whose reading takes long enough to be shown

# Of this process: a list of files -> their state and content id.
_known: dict[str, tuple[str, str]] = {}


def content_id(
    files: Mapping[str, str], memory: Path | None = None, progress: Progress | None = None
) -> str:
    """Return 16 hex digits over the names and contents of `files`.

    Args:
        files: name -> path, as texts; the name counts, the path does not. Files may be missing.
        memory: a folder that remembers what was read from one process to the next; None: only this process does.
        progress: told while many files are read.
    """
    paths = list(files.values())
    states = _states(paths)
    place = _digest("\0".join([*files, "", *paths]).encode("utf-8", "surrogateescape"))
    state = _digest(states.tobytes())
    known = _known.get(place) or _recall(memory, place)
    if known is None or known[0] != state:
        before = _recall_files(memory, place)
        one_by_one = [",".join(map(str, states[i : i + 4])) for i in range(0, len(states), 4)]
        contents = _contents(paths, one_by_one, before, progress)
        lines = "".join(f"{n}\0{c}\n" for n, c in zip(files, contents, strict=True))
        known = (state, _digest(lines.encode("utf-8", "surrogateescape")))
        now = zip(one_by_one, contents, strict=True)
        _remember(memory, place, known, dict(zip(paths, now, strict=True)))
    _known[place] = known
    return known[1]


def file_content(path: Path) -> str:
    """Return the first 16 hex digits of the SHA-256 of one file; it is read once per process and state of the file."""
    key, state = f"file {path.resolve()}", str(_states([str(path)]))
    known = _known.get(key)
    if known is None or known[0] != state:
        known = _known[key] = (state, _read(str(path), hashlib.sha256())[:16])
    return known[1]


def _states(paths: Sequence[str]) -> array[int]:
    """Four numbers per file that change when it changes; -1 for a missing one."""
    try:
        # of 80,000 files: without a line of Python for each
        return array("q", chain.from_iterable(map(_FOUR, map(os.stat, paths))))
    except (OSError, ValueError, OverflowError):
        return array("q", chain.from_iterable(map(_state, paths)))


def _state(path: str) -> tuple[int, int, int, int]:
    try:
        size, changed, entry_changed, inode = _FOUR(os.stat(path))  # noqa: PTH116
    except (OSError, ValueError):
        return -1, -1, -1, -1
    return size, changed, entry_changed, inode & 0x7FFF_FFFF_FFFF_FFFF


def _contents(
    paths: Sequence[str],
    states: Sequence[str],
    before: Mapping[str, tuple[str, str]],
    progress: Progress | None,
) -> list[str]:
    """The content of every file; those that are in the state of `before` are not read."""
    unread = [p for p, s in zip(paths, states, strict=True) if before.get(p, ("", ""))[0] != s]
    read: dict[str, str] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        contents = zip(unread, pool.map(_content, unread), strict=True)
        if progress is None or len(unread) < _SHOWN_FROM:
            read.update(contents)
        else:
            with progress.track("reading the data set once", total=len(unread)) as task:
                for path, content in contents:
                    read[path] = content
                    task.advance()
    return [read[path] if path in read else before[path][1] for path in paths]


def _content(path: str) -> str:
    try:
        return _read(path, hashlib.blake2b(digest_size=8))
    except OSError:
        return MISSING


def _read(path: str, digest: hashlib._Hash | hashlib.blake2b) -> str:
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _recall(memory: Path | None, place: str) -> tuple[str, str] | None:
    stored = _read_json(memory, f"{place}.json")
    try:
        return None if stored is None else (str(stored["state"]), str(stored["content"]))
    except (KeyError, TypeError):
        return None


def _recall_files(memory: Path | None, place: str) -> dict[str, tuple[str, str]]:
    """Path -> its state and content when it was read last; nothing if that is not known any more."""
    stored = _read_json(memory, f"{place}.files.json")
    try:
        return {p: (str(s), str(c)) for p, (s, c) in stored.items()} if stored else {}
    except (AttributeError, TypeError, ValueError):
        return {}


def _read_json(memory: Path | None, name: str):  # type: ignore[no-untyped-def]
    try:
        return None if memory is None else json.loads((memory / name).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _remember(
    memory: Path | None, place: str, known: tuple[str, str], files: Mapping[str, tuple[str, str]]
) -> None:
    if memory is None:
        return
    # What cannot be remembered is read again: a plan of results in a read-only folder is a plan, too.
    with suppress(OSError, UserError):
        memory.mkdir(parents=True, exist_ok=True)
        remove_partials(memory)
        write_atomically(memory / f"{place}.files.json", json.dumps(files).encode())
        content = {"state": known[0], "content": known[1]}
        write_atomically(memory / f"{place}.json", json.dumps(content).encode())
