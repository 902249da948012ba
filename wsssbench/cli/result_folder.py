"""Finds the results of a stage of a run, for the commands that export them."""

from __future__ import annotations

from pathlib import Path

from wsssbench.errors import UserError


def result_folder(run: Path, node: str, what: str) -> Path:
    """Return the folder in the cache with the result of `node` of a `run`; `what` is that in words, e.g. ``CAMs``.

    Raises:
        UserError: no run, it has no such stage, or the result is not in the cache any more.
    """
    from wsssbench.results.run_files import read_stages, stage_directory

    stages = read_stages(run)
    if node not in stages:
        raise UserError(f"{run} is a run without {what}: its stages are {', '.join(stages)}")
    directory = stage_directory(run, stages[node])
    if directory is None:
        raise UserError(
            f"the {what} of {run} are not in {stages[node].directory} any more: "
            f"run the experiment again with --until {node}"
        )
    return directory
