"""Where a run keeps what: the files in ``runs/<name>/<run id>/``."""

from __future__ import annotations

from pathlib import Path


def image_counts_path(run: Path, node: str) -> Path:
    """Where the folder of a `run` keeps the counts per image of the rung of `node`."""
    return run / "image_counts" / f"{node}.npz"
