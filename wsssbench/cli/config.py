"""``wsssbench config``: an experiment with every default filled in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from wsssbench.cli.console import ConsoleProgress, log_noise, make_console

app = typer.Typer(help="Experiment configs.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Experiment configs."""


@app.command("show")
def show(
    config: Annotated[Path, typer.Argument(help="e.g. configs/aeft_synthetic.py")],
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="as --smoke of a run makes it")] = False,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="as --limit of a run makes it")
    ] = None,
) -> None:
    """Print the resolved config: bases merged, overrides applied, checked, every default filled in."""
    from wsssbench import api
    from wsssbench.experiment.config import config_text, resolve

    console = make_console()
    with log_noise(Path(os.devnull), ConsoleProgress(console)):
        resolved = resolve(api.read(config, set_ or [], smoke, limit))
    console.print(config_text(resolved), markup=False, end="")
