"""Bringing somebody else's files into an experiment: the work of ``import-cams`` and ``import-labels``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from wsssbench.cli.console import ConsoleProgress, log_noise, make_console
from wsssbench.cli.run import run_one
from wsssbench.parallel import ranks


def run_import(
    section: str,
    directory: Path,
    more: Mapping[str, str],
    node: str,
    config: Path,
    settings: Sequence[str],
    work_dir: Path,
    workers: int | None,
) -> None:
    """Import and score, and say how to go on.

    Args:
        section: of the config that says where the files are.
        directory: their folder.
        more: further values of the section.
        node: the stage that they become.
        config: the experiment.
        settings: overrides.
    """
    from wsssbench import api

    console = make_console()
    progress = ConsoleProgress(console)
    log = work_dir / "logs" / f"rank{ranks.rank()}.txt"
    with log_noise(log, progress):
        loaded = api.read(config, settings)
        loaded[section] = {"directory": str(directory), **more}
        how = api.make_settings(work_dir, "cpu", workers, progress, until=node)
        run_one(api.plan(loaded, how), how, console, log)
    if ranks.is_main():
        place = directory if len(directory.parts) > 1 else f"./{directory}"  # 2012 were a number
        values = {"directory": str(place), **more}
        options = [*settings, *(f"{section}.{key}={value}" for key, value in values.items())]
        where = [] if work_dir == Path("work") else ["--work-dir", str(work_dir)]
        sets = [word for option in options for word in ("--set", option)]
        command = shlex.join(["wsssbench", "run", str(config), *sets, *where])
        console.print(f"go on with: {command}", markup=False, soft_wrap=True)
