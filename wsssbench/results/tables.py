"""A run's ladder, or the mean of several seeds, as a table for the terminal and the report's page.

``terminal(aggregate([result]))`` shows one run, ``terminal(aggregate(results))`` the mean of several seeds.
Several methods beside each other: `wsssbench.results.compare`.
"""

from __future__ import annotations

from rich.console import Group

from wsssbench.results import grid
from wsssbench.results.grid import Cell, Column, Grid
from wsssbench.results.ladder import MISSING, Ladder, LadderRow, Stat, mark, thresholds_text


def columns(ladder: Ladder) -> list[Column]:
    """The headings of `rows`: paper and n (if it varies) only where they say something."""
    return [
        Column("rung", number=False),
        Column("split", number=False),
        Column("mIoU"),
        Column("precision"),
        Column("recall"),
        Column("threshold"),
        Column("oracle mIoU (threshold)"),
        *([Column("paper")] if _has_paper(ladder) else []),
        *([Column("n")] if _has_n(ladder) else []),
    ]


def rows(ladder: Ladder) -> list[list[str]]:
    """The cells under `columns`: per cent with one decimal, and the rung with its notes' signs."""
    return [[cell.plain for cell in _cells(ladder, row)] for row in ladder.rows]


def notes(ladder: Ladder) -> list[str]:
    """The footnotes, each beginning with its sign; then what ± and the paper's column mean."""
    said = [f"{mark(i)} {note}" for i, note in enumerate(ladder.notes)]
    if ladder.runs > 1:
        said.append(f"mean ± sample standard deviation over n = {ladder.runs} runs")
    if _has_paper(ladder):
        said.append("paper: mIoU as published, by the paper's own protocol")
    return said


def terminal(ladder: Ladder) -> Group:
    """The ladder for rich; no text of it is read as markup."""
    body = [_cells(ladder, row) for row in ladder.rows]
    return grid.terminal(Grid(ladder.title, columns(ladder), body, notes(ladder)))


def _cells(ladder: Ladder, row: LadderRow) -> list[Cell]:
    best = thresholds_text(row.oracle_thresholds)
    return [
        Cell(row.rung, " ".join(mark(note) for note in row.notes)),
        Cell(row.split),
        *(_number(stat) for stat in (row.miou, row.precision, row.recall)),
        Cell(thresholds_text(row.thresholds) or MISSING),
        Cell(_number(row.oracle).text, more=f"({best})" if best else ""),
        *(
            [Cell(MISSING if row.paper is None else f"{row.paper:.1f}")]
            if _has_paper(ladder)
            else []
        ),
        *([Cell(str(row.n))] if _has_n(ladder) else []),
    ]


def _number(stat: Stat | None) -> Cell:
    return Cell(MISSING if stat is None else str(stat))


def _has_paper(ladder: Ladder) -> bool:
    return any(row.paper is not None for row in ladder.rows)


def _has_n(ladder: Ladder) -> bool:
    return any(row.n != ladder.runs for row in ladder.rows)
