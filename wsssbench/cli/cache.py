"""``wsssbench cache``: the room that results take, and what no run needs any more."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsssbench.cli.console import make_console
from wsssbench.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from wsssbench.experiment.stored import Stored

app = typer.Typer(help="Results of stages in the work directory.", no_args_is_help=True)

WORK = Annotated[Path, typer.Option(metavar="DIR", help="cache and results")]
SIZE_EXAMPLES = """A run needs its stages' results as long as its folder in work/runs is there, an interrupted one, too.

Examples:

  wsssbench cache size

  wsssbench cache size --work-dir /data/work --json
"""
CLEAN_EXAMPLES = """What the runs of 'wsssbench runs list' need stays, and so does what a process is making. To give up
a run, remove its folder first.

Examples:

  wsssbench cache clean

  rm -r work/runs/aeft_synthetic-smoke && wsssbench cache clean --yes
"""


@app.callback()
def _group() -> None:
    """Results of stages in the work directory."""


@app.command("size", epilog=SIZE_EXAMPLES)
def size(
    work_dir: WORK = Path("work"),
    json_: Annotated[bool, typer.Option("--json", help="for programs, in bytes")] = False,
) -> None:
    """Show the room that each kind of stage takes, and how much of it no run needs."""
    from wsssbench.results.run_list import in_cache, needed

    results, kept = in_cache(work_dir), needed(work_dir)
    unneeded = [one for one in results if one.hash not in kept]
    if json_:
        kinds = {one.stage: _counts(results, unneeded, one.stage) for one in results}
        print(json.dumps({"kinds": kinds, "total": _counts(results, unneeded)}, indent=1))
        return
    console = make_console()
    if not results:
        console.print(f"nothing in {work_dir / 'cache'}", markup=False)
        return
    _show(results, unneeded, console)
    if unneeded:
        console.print("wsssbench cache clean removes what no run needs, after a question")


@app.command("clean", epilog=CLEAN_EXAMPLES)
def clean(
    work_dir: WORK = Path("work"),
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Remove the results that no run needs, after a question."""
    from wsssbench.experiment.stored import CACHE, remove
    from wsssbench.results.formatting import size as worded
    from wsssbench.results.run_list import in_cache, needed

    console = make_console()
    kept = needed(work_dir)
    unneeded = [one for one in in_cache(work_dir) if one.hash not in kept]
    if not unneeded:
        console.print("nothing to remove: runs need all that is there", markup=False)
        return
    _show(unneeded, unneeded, console)
    if not yes and not _agreed(f"remove {_counted(unneeded)}, {worded(_sum(unneeded))}?"):
        console.print("nothing was removed")
        return
    gone = remove((work_dir / CACHE).resolve(), unneeded, lambda: needed(work_dir))
    console.print(f"removed {_counted(gone)}, {worded(_sum(gone))}", style="green")
    if len(gone) < len(unneeded):
        console.print(
            f"{_counted(unneeded[len(gone) :])} stayed: a process needs or makes them now"
        )


def _agreed(question: str) -> bool:
    """Ask; no answer is no."""
    if not sys.stdin.isatty():
        raise UserError(
            "cache clean asks before it removes anything, and nobody is there to answer: give --yes"
        )
    return typer.confirm(question)


def _show(results: Sequence[Stored], unneeded: Sequence[Stored], console: Console) -> None:
    from rich import box
    from rich.table import Table

    from wsssbench.results.formatting import size as worded

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("kind of stage", overflow="fold")
    for column in ("results", "size", "no run needs", "size of these"):
        table.add_column(column, justify="right")
    kinds = list(dict.fromkeys(one.stage for one in results))
    for kind in [*kinds, None]:
        counts = _counts(results, unneeded, kind)
        if kind is None:
            table.add_section()
        table.add_row(
            kind or "total",
            str(counts["results"]),
            worded(counts["bytes"]),
            str(counts["unneeded results"]),
            worded(counts["unneeded bytes"]),
        )
    console.print(table)


def _counts(
    results: Sequence[Stored], unneeded: Sequence[Stored], stage: str | None = None
) -> dict[str, int]:
    def of(those: Sequence[Stored]) -> list[Stored]:
        return [one for one in those if stage in (None, one.stage)]

    every, free = of(results), of(unneeded)
    return {
        "results": len(every),
        "bytes": _sum(every),
        "unneeded results": len(free),
        "unneeded bytes": _sum(free),
    }


def _sum(results: Sequence[Stored]) -> int:
    return sum(one.size for one in results)


def _counted(results: Sequence[Stored]) -> str:
    return f"{len(results)} result{'' if len(results) == 1 else 's'}"
