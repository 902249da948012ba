"""``wsssbench report``: one self-contained HTML page about a run, or about the rows of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsssbench.cli.console import ConsoleProgress, make_console
from wsssbench.cli.places import find
from wsssbench.errors import UserError

if TYPE_CHECKING:
    from wsssbench.results.collection import Collection, Member

EXAMPLES = """The page needs no network and opens from disk. A and B are the rows whose images are compared one by one:
by default the baseline is B, and the best of the others is A.

Examples:

  wsssbench report work/sweeps/table1_gpp

  wsssbench report table1_gpp --rung CAM --metric oracle --a GPP --b GAP --images 100

  wsssbench report work/runs/aeft_synthetic/0a1b2c3d-seed0 --out aeft.html

  wsssbench report work/runs/gap_synthetic work/runs/aeft_synthetic --out both.html
"""
EXTREMES = 6  # images where A beats B most, and least


def report(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN|SWEEP...", help="work/sweeps/NAME, work/runs/NAME[/ID], or NAME"
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="default: report.html in the folder")
    ] = None,
    rung: Annotated[
        str | None, typer.Option(help="of a sweep; default: the last one that all rows have")
    ] = None,
    metric: Annotated[str, typer.Option(help="by which rows are ranked, as of 'compare'")] = "miou",
    a: Annotated[str | None, typer.Option(metavar="ROW", help="default: the best row")] = None,
    b: Annotated[str | None, typer.Option(metavar="ROW", help="default: the baseline")] = None,
    images: Annotated[
        int | None,
        typer.Option(min=0, help="in the gallery; default: 24, of a run 8 of each split"),
    ] = None,
    work_dir: Annotated[Path, typer.Option(metavar="DIR", help="where a NAME is looked up")] = Path(
        "work"
    ),
) -> None:
    """Write the page of a run, or of the rows of a sweep beside each other."""
    from wsssbench.results.collection import load
    from wsssbench.results.sweep_record import FILE as SWEEP_FILE

    folders = [find(path, work_dir) for path in paths]
    target = _target(folders, out)
    collection = load(folders)
    progress = ConsoleProgress(make_console())
    single = len(collection.members) == 1 and not (folders[0] / SWEEP_FILE).is_file()
    if single:
        if rung or a or b:
            raise UserError("--rung, --a and --b choose among the rows of a sweep; this is one run")
        _of_run(collection.members[0], target, images, progress)
    else:
        _of_rows(collection, target, (rung, metric, a, b), images, progress)
    progress.say(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


def _target(paths: list[Path], out: Path | None) -> Path:
    if out is None:
        if len(paths) > 1:
            raise UserError("several folders make one page: say where it goes, --out FILE.html")
        return paths[0] / "report.html"
    if out.is_dir() or not out.parent.is_dir():
        problem = "is a folder" if out.is_dir() else f"the folder {out.parent} does not exist"
        raise UserError(f"--out {out}: {problem}")
    return out


def _of_run(member: Member, target: Path, images: int | None, progress: ConsoleProgress) -> None:
    from wsssbench.pages.run_report import OF_RUN, write_run_page
    from wsssbench.results.run_artefacts import RunArtefacts

    count = OF_RUN if images is None else images
    folder = member.directory
    write_run_page(
        target, folder, member.result, lambda: RunArtefacts.of_run(folder), count, progress
    )


def _of_rows(
    collection: Collection,
    target: Path,
    options: tuple[str | None, str, str | None, str | None],
    images: int | None,
    progress: ConsoleProgress,
) -> None:
    from dataclasses import replace

    from wsssbench.pages.comparison_page import ComparisonReport, render
    from wsssbench.pages.gallery import OF_COMPARISON, comparison_pictures
    from wsssbench.pages.html import write_page
    from wsssbench.results.compare import make_comparison
    from wsssbench.results.image_pairs import extremes, image_pairs
    from wsssbench.results.layout import Options
    from wsssbench.results.selection import select

    selection = select(collection, *options)
    of_rung = Options(selection.rung, options[1], selection.b)
    tables = [make_comparison(collection, of_rung, progress)]
    if len({one.name for m in collection.members for one in m.result.evaluations}) > 1:
        tables.append(make_comparison(collection, replace(of_rung, rung=None), progress))
    pairs, problem = image_pairs(selection)
    most, least = extremes(pairs, EXTREMES)
    count = OF_COMPARISON if images is None else images
    pictures = comparison_pictures(selection, count, (most, least), progress)
    for note in pictures.notes:
        progress.warn(note)
    made = ComparisonReport(collection, selection, tables, most, least, problem, pictures)
    write_page(target, render(made, progress=progress))
