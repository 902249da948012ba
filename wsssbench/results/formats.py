"""A comparison as text: a `Grid` for the terminal, Markdown and LaTeX; CSV and JSON with full numbers.

CSV is tidy: one line per cell of the table, see `CSV_COLUMNS`; what is not there is empty.

JSON is one object; what is not there is null::

    {"schema": "wsssbench.comparison/1", "title": str, "metric": str, "baseline": str | null,
     "lines": axis, "columns": axis | null (columns are rungs or metrics then), "confidence": float, "resamples": int,
     "table": [{"line": str, "n": int | null,
                "cells": [{"column": str, "row": str, "rung": str, "metric": str, "rank": 0 | 1 | 2,
                           "values": {seed: per cent}, "mean": per cent, "std": float, "n": int, "thresholds": [float],
                           "difference": {"mean": float, "std": float, "n": int, "low": float, "high": float},
                           "paper": per cent, "card": {str: str | int | float | bool | null},
                           "notes": [int], "difference_notes": [int], "paper_notes": [int]}, ...]}, ...],
     "notes": [str, ...], "remarks": [str, ...]}

``notes`` of a cell are indices into ``notes``. Numbers of a `std` are over the n seeds, `low` and `high` over images.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from wsssbench.results import grid as grids
from wsssbench.results.compare import Cell, Comparison, Line
from wsssbench.results.differences import Difference
from wsssbench.results.grid import Column, Grid
from wsssbench.results.ladder import MISSING, Stat, mark, thresholds_text
from wsssbench.results.latex import latex
from wsssbench.results.measures import METRICS

SCHEMA = "wsssbench.comparison/1"
CSV_COLUMNS = (
    *(
        "line",
        "column",
        "row",
        "rung",
        "metric",
        "mean",
        "std",
        "n",
        "threshold_min",
        "threshold_max",
    ),
    *("baseline", "diff", "diff_std", "diff_n", "ci_low", "ci_high", "paper", "rank", "notes"),
)


def grid(comparison: Comparison) -> Grid:
    """The table with one decimal. With a line per row, the differences and the paper's numbers are columns."""
    lines = comparison.lines
    names = [grids.Cell(line.name, _signs(_common(comparison, line))) for line in lines]
    filled = [(Column(comparison.corner, number=False), names)]
    for index, title in enumerate(comparison.columns):
        cells = [line.cells[index] for line in lines]
        numbers = [_number(comparison, *pair) for pair in zip(lines, cells, strict=True)]
        filled.append((Column(title), numbers))
        if comparison.kind != "pivot" and any(cell.paper is not None for cell in cells):
            filled.append((Column("paper"), [_paper(cell) for cell in cells]))
    if comparison.kind != "pivot":
        counts = [grids.Cell(str(line.n) if line.n else MISSING) for line in lines]
        filled.append((Column("n"), counts))
        if cells := _compared(comparison):
            filled.append((Column(_versus(comparison)), [_difference(cell) for cell in cells]))
    notes = [f"{mark(i)} {note}" for i, note in enumerate(comparison.notes)]
    return Grid(
        _heading(comparison),
        [column for column, _ in filled],
        list(zip(*(cells for _, cells in filled), strict=True)),
        [*notes, *comparison.remarks],
        "line" if comparison.line_wise else "column",
    )


def markdown(comparison: Comparison) -> str:
    """A GitHub-flavoured Markdown table."""
    return grids.markdown(grid(comparison))


def latex_text(comparison: Comparison) -> str:
    """A LaTeX table that compiles as pasted, with ``\\usepackage{booktabs}``."""
    return latex(grid(comparison))


def csv_text(comparison: Comparison) -> str:
    """One line per cell of the table, plain numbers with four decimals."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for line in comparison.lines:
        for column, cell in zip(comparison.columns, line.cells, strict=True):
            writer.writerow([line.name, column, *_csv_cell(comparison, cell)])
    return stream.getvalue()


def json_text(comparison: Comparison) -> str:
    """The document that the module describes."""
    document = {
        "schema": SCHEMA,
        "title": comparison.title,
        "metric": comparison.metric,
        "baseline": comparison.baseline,
        "lines": comparison.corner,
        "columns": comparison.across or None,
        "confidence": comparison.confidence,
        "resamples": comparison.resamples,
        "table": [
            {
                "line": line.name,
                "n": line.n,
                "cells": [
                    {"column": column, **_json_cell(cell)}
                    for column, cell in zip(comparison.columns, line.cells, strict=True)
                ],
            }
            for line in comparison.lines
        ],
        "notes": comparison.notes,
        "remarks": comparison.remarks,
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Comparison], str]] = {
    "markdown": markdown,
    "csv": csv_text,
    "json": json_text,
    "latex": latex_text,
}


def _number(comparison: Comparison, line: Line, cell: Cell) -> grids.Cell:
    """The number with its spread; behind it the thresholds, in a pivot the difference and the paper's number."""
    text = MISSING if cell.stat is None else str(cell.stat)
    notes = [note for note in cell.notes if note not in _common(comparison, line)]
    more = []
    if comparison.kind == "rung" and cell.metric == "oracle" and cell.thresholds:
        more.append(f"({thresholds_text(cell.thresholds)})")
    if comparison.kind == "pivot":
        if cell.difference:
            more.append(_signed(cell.difference))
            notes += cell.difference_notes
        if cell.paper is not None:
            more.append(f"(paper {cell.paper:.1f})")
            notes += cell.paper_notes
    return grids.Cell(text, _signs(notes), cell.rank, " ".join(more))


def _paper(cell: Cell) -> grids.Cell:
    if cell.paper is None:
        return grids.Cell(MISSING)
    return grids.Cell(f"{cell.paper:.1f}", _signs(cell.paper_notes))


def _difference(cell: Cell) -> grids.Cell:
    number, _, interval = _signed(cell.difference).partition(" ")
    return grids.Cell(number, _signs(cell.difference_notes), more=interval)


def _signed(difference: Difference | None) -> str:
    """``+1.8 [1.1, 2.4]``."""
    if difference is None:
        return MISSING
    text = f"{difference.stat.mean:+.1f}"
    if difference.low is not None and difference.high is not None:
        text += f" [{difference.low:.1f}, {difference.high:.1f}]"
    return text.replace("-", "−")


def _common(comparison: Comparison, line: Line) -> list[int]:
    """The notes that all numbers of a row share: they are about the row."""
    told = [cell.notes for cell in line.cells if cell.stat]
    if comparison.kind == "pivot" or not told:
        return []
    return [note for note in told[0] if all(note in notes for notes in told)]


def _compared(comparison: Comparison) -> list[Cell]:
    """The cells of the column whose differences are shown; empty if there are none."""
    compared = (comparison.rung, comparison.metric)
    cells = [c for c in comparison.cells if (c.rung, c.metric) == compared]
    return cells if any(cell.difference for cell in cells) else []


def _versus(comparison: Comparison) -> str:
    what = METRICS[comparison.metric].title
    name = f"{comparison.rung} {what}" if comparison.kind == "rungs" else what
    return f"{name} vs. {comparison.baseline} [{100 * comparison.confidence:g} %]"


def _heading(comparison: Comparison) -> str:
    metric = METRICS[comparison.metric].title
    if comparison.kind == "rungs":
        return f"{comparison.title}, {metric} (%)"
    if comparison.kind == "rung":
        return f"{comparison.title}, {comparison.rung} (%)"
    shown = {(cell.rung, cell.metric) for cell in comparison.cells}
    rungs, metrics = ({pair[i] for pair in shown} for i in (0, 1))
    what = [comparison.rung] if len(rungs) == 1 else []
    what += [metric] if len(metrics) == 1 else []
    of = f"{' '.join(what)} by " if what else ""
    return f"{comparison.title}, {of}{comparison.corner} and {comparison.across} (%)"


def _signs(notes: tuple[int, ...] | list[int]) -> str:
    return " ".join(mark(note) for note in dict.fromkeys(notes))


def _csv_cell(comparison: Comparison, cell: Cell) -> list[Any]:
    difference = cell.difference
    ends = (difference.low, difference.high) if difference else (None, None)
    thresholds = (*cell.thresholds[:1], *cell.thresholds[-1:]) or (None, None)
    notes = dict.fromkeys((*cell.notes, *cell.difference_notes, *cell.paper_notes))
    return [
        *(cell.row or "", cell.rung, cell.metric, *_csv_stat(cell.stat)),
        *(_csv_number(threshold) for threshold in thresholds),
        (comparison.baseline or "") if difference else "",
        *_csv_stat(difference.stat if difference else None),
        *(_csv_number(number) for number in (*ends, cell.paper)),
        cell.rank or "",
        "; ".join(comparison.notes[i] for i in notes),
    ]


def _csv_stat(stat: Stat | None) -> list[Any]:
    if stat is None:
        return ["", "", ""]
    return [_csv_number(stat.mean), _csv_number(stat.std), stat.n]


def _csv_number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _json_cell(cell: Cell) -> dict[str, Any]:
    difference = cell.difference
    return {
        "row": cell.row,
        "rung": cell.rung,
        "metric": cell.metric,
        "rank": cell.rank,
        "values": {str(seed): value for seed, value in cell.values.items()},
        **_json_stat(cell.stat),
        "thresholds": cell.thresholds,
        "difference": None
        if difference is None
        else {**_json_stat(difference.stat), "low": difference.low, "high": difference.high},
        "paper": cell.paper,
        "card": dict(cell.card),
        "notes": cell.notes,
        "difference_notes": cell.difference_notes,
        "paper_notes": cell.paper_notes,
    }


def _json_stat(stat: Stat | None) -> dict[str, Any]:
    if stat is None:
        return {"mean": None, "std": None, "n": 0}
    return {"mean": stat.mean, "std": stat.std, "n": stat.n}
