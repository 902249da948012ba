"""``wsssbench compare``: methods beside each other."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from wsssbench.cli.console import ConsoleProgress, make_console
from wsssbench.cli.places import find
from wsssbench.errors import UserError, unknown

if TYPE_CHECKING:
    from wsssbench.results.comparison import Comparison

EXAMPLES = """Metrics: miou, precision, recall: at the threshold that was fixed, or selected, beforehand; oracle,
oracle-precision, oracle-recall: at the one that is best on the scored split's masks, as papers have it; boundary: IoU
of the classes' contours (label maps only).
Axes: those of the sweep (pooling, erasing, ...), row, rung, metric, class, seed, or a path in the configs such as
cam.scales.

Examples:

  wsssbench compare work/sweeps/table1_gpp --metric oracle

  wsssbench compare work/runs/gap_synthetic work/runs/aeft_synthetic --rung CAM --baseline gap_synthetic

  wsssbench compare table4_refinement --format latex --out table4.tex

  wsssbench compare aeft_synthetic-pooling-erasing --rows pooling --columns erasing --metric oracle

  wsssbench compare work/runs/aeft_synthetic --rows rung --columns metric

  wsssbench compare work/sweeps/table1_gpp --columns class --rung CAM --format csv
"""


def compare(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", help="work/sweeps/NAME, work/runs/NAME[/ID], or NAME"),
    ],
    rung: Annotated[
        str | None, typer.Option(help="one rung alone, e.g. CAM, or by its node: crf")
    ] = None,
    metric: Annotated[str, typer.Option(help="in the cells and in the difference")] = "miou",
    baseline: Annotated[
        str | None, typer.Option(metavar="ROW", help="default: the sweep's, or the first row")
    ] = None,
    rows: Annotated[
        str | None, typer.Option(metavar="AXIS", help="its values are the lines; default: row")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="AXIS", help="its values are the columns; default: rung")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="AXIS=VALUE", help="these rows only; repeatable")
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="terminal|markdown|csv|json|latex")
    ] = "terminal",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="write it there")] = None,
    resamples: Annotated[int, typer.Option(min=1, help="of the bootstrap over images")] = 1000,
    confidence: Annotated[float, typer.Option(help="of its intervals")] = 0.95,
    work_dir: Annotated[Path, typer.Option(metavar="DIR", help="where a NAME is looked up")] = Path(
        "work"
    ),
) -> None:
    """Tabulate methods: mean ± std over seeds, paired differences with bootstrap intervals, papers' numbers."""
    from wsssbench.results.collection import load
    from wsssbench.results.compare import make_comparison
    from wsssbench.results.formats import WRITERS
    from wsssbench.results.layout import Options

    if format_ not in (allowed := ("terminal", *WRITERS)):
        raise UserError(f"--format: {unknown('format', format_, allowed)}")
    if not 0 < confidence < 1:
        raise UserError(f"--confidence {confidence:g}: has to be between 0 and 1, e.g. 0.95")
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        problem = "is a folder" if out.is_dir() else f"the folder {out.parent} does not exist"
        raise UserError(f"--out {out}: {problem}")
    collection = load([find(path, work_dir) for path in paths])
    options = Options(rung, metric, baseline, rows, columns, where or (), resamples, confidence)
    comparison = make_comparison(collection, options, ConsoleProgress(make_console(sys.stderr)))
    if format_ == "terminal":
        show(comparison, out)
        return
    text = WRITERS[format_](comparison)
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")


def show(comparison: Comparison, out: Path | None = None) -> None:
    """Print a comparison, or write to `out` what would be printed."""
    from wsssbench.results.formats import comparison_table
    from wsssbench.results.table import terminal

    def show_on(stream: TextIO | None = None) -> None:
        console = make_console(stream)
        styled = console.color_system is not None
        console.print(terminal(comparison_table(comparison), console.width, styled))

    if out is None:
        show_on()
    else:
        with out.open("w", encoding="utf-8") as stream:
            show_on(stream)
