"""Finds the folders of runs and sweeps that a command is given."""

from __future__ import annotations

from pathlib import Path


def find(path: Path, work_dir: Path) -> Path:
    """Return `path`, or the sweep or the runs in the working directory that are called so."""
    if not path.exists() and not path.is_absolute():
        for kind in ("sweeps", "runs"):
            if (there := work_dir / kind / path).is_dir():
                return there
    return path
