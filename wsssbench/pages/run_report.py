"""Writes the page of a run: its pictures from the cache, everything else from its results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from wsssbench.errors import UserError
from wsssbench.pages import run_page
from wsssbench.pages.gallery import Shown, run_gallery
from wsssbench.pages.html import write_page
from wsssbench.progress import Progress, Silent
from wsssbench.results.run import RunResult
from wsssbench.results.run_artefacts import RunArtefacts
from wsssbench.results.run_details import read_details

OF_RUN = 8  # images of each split, if nobody says how many


def write_run_page(
    target: Path,
    directory: Path,
    result: RunResult,
    files: Callable[[], RunArtefacts],
    count: int = OF_RUN,
    progress: Progress | None = None,
) -> None:
    """Write the page of `result` to `target`; pictures that cannot be had cost a warning.

    Args:
        target: the file.
        directory: the run's folder.
        result: the run.
        files: gives its files in the cache.
        count: images of each split.
        progress: told about it.
    """
    told, note = progress or Silent(), ""
    details = read_details(directory, result)
    last = {one.split: one for one in result.evaluations}
    shown = [
        Shown(split, one.name, details.images.get(one.node, {})) for split, one in last.items()
    ]
    try:
        result = replace(result, gallery=run_gallery(files(), count, told, shown))
    except (UserError, OSError) as error:
        note = str(error)
        told.warn(f"the page has no pictures: {note}")
    write_page(target, run_page.render(result, None, note, told, details))
