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
    smoke: Annotated[
        bool, typer.Option("--smoke", help="with the config's smoke overrides")
    ] = False,
) -> None:
    """Print the resolved config: bases merged, overrides applied, checked, every default filled in."""
    from wsssbench.experiment.config import config_text, read_config, resolve
    from wsssbench.experiment.overrides import apply_overrides, apply_smoke

    console = make_console()
    with log_noise(Path(os.devnull), ConsoleProgress(console)):
        loaded = read_config(config)
        if smoke:
            loaded = apply_smoke(loaded)
        resolved = resolve(apply_overrides(loaded, set_ or []))
    console.print(config_text(resolved), markup=False, end="")
