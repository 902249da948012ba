"""``wsssbench config``: an experiment with every default filled in, and what two of them set differently."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from wsssbench.cli import complete
from wsssbench.cli.console import ConsoleProgress, log_noise, make_console
from wsssbench.cli.plugin_option import with_plugin_files

app = typer.Typer(help="Experiment configs.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Experiment configs."""


@app.command("show")
@with_plugin_files
def show(
    config: Annotated[Path, typer.Argument(help="e.g. configs/aeft_synthetic.py")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", autocompletion=complete.assignments),
    ] = None,
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


DIFF_EXAMPLES = """Exit code 0 if nothing differs, 1 if something does, 2 if one of them cannot be read.

Examples:

  wsssbench config diff configs/aeft_voc.py configs/aeft_voc_released.py

  wsssbench config diff configs/aeft_synthetic.py work/runs/aeft_synthetic/1f0c2a9b-seed0
"""


@app.command("diff", epilog=DIFF_EXAMPLES)
@with_plugin_files
def diff(
    a: Annotated[Path, typer.Argument(help="a config file, or the folder of a run")],
    b: Annotated[Path, typer.Argument(help="another one")],
    json_: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Show the values in which two experiments differ, with every default filled in; nothing of a run is executed."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from wsssbench.results.config_diff import ABSENT, differences, resolved_values

    console = make_console()
    with log_noise(Path(os.devnull), ConsoleProgress(console)):
        found = differences(resolved_values(a), resolved_values(b))
    if json_:
        sides = ("a", "b")
        records = {
            key: {side: v for side, v in zip(sides, values, strict=True) if v is not ABSENT}
            for key, values in found.items()
        }
        print(json.dumps(records, indent=1, ensure_ascii=False, default=list))
    elif found:
        console.print(f"A: {a}\nB: {b}", markup=False)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("key", overflow="fold", min_width=40)
        for side in ("A", "B"):
            table.add_column(side, overflow="fold")
        for key, values in found.items():
            table.add_row(Text(key), *(Text("–" if v is ABSENT else repr(v)) for v in values))
        console.print(table)
    else:
        console.print("no value differs")
    if found:
        raise typer.Exit(1)
