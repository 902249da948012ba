"""Finds the folders of runs and sweeps that a command is given."""

from __future__ import annotations

from pathlib import Path

_FILES = ("sweep.json", "metrics.json")


def find(path: Path, work_dir: Path) -> Path:
    """Return `path`, or the sweep or the runs in the working directory that are called so.

    A folder that has a run's or a sweep's files, or whose folders have, is what is meant; any other folder may have the
    name of a run by accident, like a data set's.
    """
    inside = path.parts and not path.is_absolute() and ".." not in path.parts
    if inside and not _has_results(path):
        for kind in ("sweeps", "runs"):
            if (there := work_dir / kind / path).is_dir():
                return there
    return path


def _has_results(path: Path) -> bool:
    return any(next(path.glob(f"{below}{name}"), None) for name in _FILES for below in ("", "*/"))
