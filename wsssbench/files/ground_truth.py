"""The leak guard: pixel ground truth is for evaluation only.

* `read_mask` is the one function that opens a mask; it works inside `allow_masks` only.
* `forbid` closes the mask folders to everything else in the process while an image-level stage
  runs, e.g. to a plugin that calls ``open`` or ``PIL.Image.open``: a Python audit hook refuses the
  file, and the stage fails even if the plugin swallows that error.

Both hold for the whole process with all its threads, and for the workers it forks. Workers that are
spawned start open: pass them `guard_state` and let them call `restore_guard` first.

What the hook cannot see: files that C or C++ code opens by itself (``cv2.imread``,
``torchvision.io.read_image``, a program started by the plugin), and a copy of the masks in another
place. It is a guard against mistakes, not a sandbox.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wsssbench.errors import LeakError, UserError
from wsssbench.files.images import read_label
from wsssbench.interfaces import IGNORE, Dataset


@dataclass(eq=False)
class _Ban:
    stage: str
    roots: tuple[str, ...]
    attempts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class GuardState:
    """The masks that are allowed and closed, to hand to a spawned worker."""

    allowed: tuple[str, ...]
    closed: tuple[tuple[str, tuple[str, ...]], ...]


# A path counts by its name and by where its links lead. (Path.resolve may raise, and is slower.)
_NAMES = (os.path.abspath, os.path.realpath)

# Replaced as a whole under the lock, so that the hook may read them without it.
_lock = threading.Lock()
_allowed: tuple[str, ...] = ()
_bans: tuple[_Ban, ...] = ()
_installed = False


@contextmanager
def allow_masks(stage: str) -> Iterator[None]:
    """Let `read_mask` work while `stage` runs: an evaluation, or ``wsssbench data labels``."""
    global _allowed
    with _lock:
        _allowed = (*_allowed, stage)
    try:
        yield
    finally:
        with _lock:
            rest = list(_allowed)
            rest.remove(stage)
            _allowed = tuple(rest)


def read_mask(dataset: Dataset, id: str, split: str) -> np.ndarray:
    """Read the ground-truth label map of `id`, (H, W) uint8 in 0..K or 255.

    Raises:
        LeakError: outside `allow_masks`.
        UserError: the split has no masks, or the mask is missing, unreadable, or has a label
        outside 0..K.
    """
    if not _allowed:
        stage = f"stage '{_bans[-1].stage}'" if _bans else "an image-level stage"
        raise LeakError(
            f"{stage} asked for the ground-truth mask of '{id}': only evaluation may open pixel "
            "ground truth, every other stage has to do with image-level labels"
        )
    path = dataset.mask_path(id, split)
    if path is None:
        raise UserError(
            f"split '{split}' has no ground-truth masks, so it cannot be evaluated: use a split "
            "that has"
        )
    return read_mask_file(path, len(dataset.classes))


def read_mask_file(path: Path, num_classes: int | None) -> np.ndarray:
    """Read a mask, (H, W) uint8 in 0..K or 255, that is known to be one and may be opened.

    Args:
        num_classes: K; None accepts any label.

    Raises:
        UserError: unreadable, or it has a label outside 0..K.
    """
    label = read_label(path)
    if num_classes is not None:
        wrong = np.unique(label[(label > num_classes) & (label != IGNORE)])
        if len(wrong):
            raise UserError(
                f"mask {path} has the label {int(wrong[0])}, but there are {num_classes} classes: labels are 0 "
                "(background), 1..K and 255, which alone is ignored"
            )
    return label


@contextmanager
def forbid(directories: Iterable[Path], stage: str) -> Iterator[None]:
    """Close `directories` to every ``open`` of this process and its forks while `stage` runs.

    Raises:
        LeakError: from the offending ``open``; and at the end, if that error was swallowed.
    """
    ban = _ban(stage, tuple(str(directory) for directory in directories))
    try:
        yield
    finally:
        _lift(ban)
    if ban.attempts:
        raise _leak(ban, ban.attempts[0])


def guard_state() -> GuardState:
    """Return what is allowed and closed now: for the initialiser of spawned workers."""
    return GuardState(_allowed, tuple((ban.stage, ban.roots) for ban in _bans))


def restore_guard(state: GuardState) -> None:
    """Take over the guard of the process that spawned this one; once, at its start."""
    global _allowed
    with _lock:
        _allowed = state.allowed
    for stage, roots in state.closed:
        _ban(stage, roots)


def _ban(stage: str, directories: tuple[str, ...]) -> _Ban:
    global _bans, _installed
    roots = {resolve(directory) for directory in directories for resolve in _NAMES}
    ban = _Ban(stage, tuple(sorted(root.rstrip(os.sep) + os.sep for root in roots)))
    with _lock:
        _bans = (*_bans, ban)
        if not _installed:  # a hook cannot be taken out again
            sys.addaudithook(_hook)
            _installed = True
    return ban


def _lift(ban: _Ban) -> None:
    global _bans
    with _lock:
        _bans = tuple(other for other in _bans if other is not ban)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and _bans:
        _refuse(args[0])


def _refuse(opened: Any) -> None:
    if not isinstance(opened, str | bytes | os.PathLike):
        return  # a file descriptor
    path = os.fsdecode(opened)
    try:
        names = [resolve(path) for resolve in _NAMES]
    except (OSError, ValueError):
        return  # nothing that can be opened
    for ban in _bans:
        if any(name.startswith(ban.roots) for name in names):
            ban.attempts.append(path)
            raise _leak(ban, path)


def _leak(ban: _Ban, path: str) -> LeakError:
    return LeakError(
        f"stage '{ban.stage}' may see image-level labels only, but something in it opened the "
        f"ground truth {path}: only evaluation may open pixel ground truth"
    )
