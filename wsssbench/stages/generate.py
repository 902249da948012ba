"""generate: write a generated data set to disk. Config: the dataset component."""

from __future__ import annotations

import shutil
from typing import Any

from wsssbench.parallel import ranks
from wsssbench.stages.work import StageWork

FOLDER = "dataset"  # where in the stage's directory the files are


def run(work: StageWork) -> dict[str, Any]:
    """Write the data set next to its place and move it there whole. One rank does it."""
    target = work.directory / FOLDER
    if ranks.is_main() and not target.is_dir():
        partial = work.directory / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        work.dataset.generate(partial, work.context.progress)
        partial.rename(target)
    return {}
