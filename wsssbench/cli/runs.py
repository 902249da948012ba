"""``wsssbench runs``: what there is in the work directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsssbench.cli.console import make_console

if TYPE_CHECKING:
    from wsssbench.results.run_list import ListedRun

app = typer.Typer(help="Runs in the work directory.", no_args_is_help=True)

EXAMPLES = """The number is the mIoU at the last place that was scored. A size includes what a run shares with others.

Examples:

  wsssbench runs list

  wsssbench runs list --work-dir /data/work --json
"""


@app.callback()
def _group() -> None:
    """Runs in the work directory."""


@app.command("list", epilog=EXAMPLES)
def list_(
    work_dir: Annotated[Path, typer.Option(metavar="DIR", help="cache and results")] = Path("work"),
    json_: Annotated[bool, typer.Option("--json", help="for programs, with the folders")] = False,
) -> None:
    """List every run, the newest first: finished, running, interrupted, smoke."""
    from wsssbench.results.run_list import in_cache, list_runs

    runs = list_runs(work_dir)
    results = {one.hash: one for one in in_cache(work_dir)}
    sizes = [run.size(results) for run in runs]
    if json_:
        records = [_record(run, size) for run, size in zip(runs, sizes, strict=True)]
        print(json.dumps(records, indent=1, ensure_ascii=False))
        return
    console = make_console()
    if not runs:
        console.print(f"no runs in {work_dir / 'runs'}", markup=False)
        return
    _show(runs, sizes)


def _record(run: ListedRun, size: int) -> dict[str, object]:
    return {
        "name": run.name,
        "id": run.id,
        "directory": str(run.directory),
        "state": run.state,
        "created": run.created,
        "smoke": run.trial == "smoke",
        "trial": run.trial,
        "stages": list(run.hashes or ()),
        "rung": run.rung,
        "mIoU": run.miou,
        "bytes": size,
        "problem": run.problem,
    }


def _show(runs: list[ListedRun], sizes: list[int]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from wsssbench.results.formatting import day, number
    from wsssbench.results.formatting import size as worded

    # two lines for each run, which fit a terminal of 80 columns; a long name is folded
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("name, id", overflow="fold", min_width=16)
    for column in ("date", "state", "mIoU"):
        table.add_column(column, no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    for run, size in zip(runs, sizes, strict=True):
        date = day(run.created).replace(" ", "\n")
        score = f"{number(run.miou)} {run.rung}" if run.rung else ""
        words = (f"{run.name}\n{run.id}", date, f"{run.state}\n{run.trial}", score)
        table.add_row(*map(Text, words), worded(size))
    console = make_console()
    console.print(table)
    for run in runs:
        if run.problem:
            console.print(f"{run.directory}: {run.problem}", style="red", markup=False)
