"""A comparison in every format: as a `Table` for the terminal, Markdown and LaTeX; CSV and JSON with full numbers.

CSV is tidy: one line per cell of the table, see `CSV_COLUMNS`; what is not there is empty.

JSON is one object; what is not there is null::

    {"schema": "wsssbench.comparison/1", "title": str, "metric": str, "baseline": str | null,
     "lines": axis, "columns": axis | null (columns are rungs or metrics then), "confidence": float, "resamples": int,
     "table": [{"line": str, "n": int | null,
                "cells": [{"column": str, "row": str, "rung": str, "metric": str, "rank": 0 | 1 | 2,
                           "values": {seed: per cent}, "mean": per cent, "std": float, "n": int, "thresholds": [float],
                           "difference": {"mean": float, "std": float, "n": int, "low": float, "high": float,
                                          "seeds": {"low": float, "high": float, "confidence": float, ...} | null},
                           "paper": per cent, "card": {str: str | int | float | bool | null},
                           "notes": [int], "difference_notes": [int], "paper_notes": [int]}, ...]}, ...],
     "separations": {column or line in which rows compete:
                     {"best": str, "others": [{"row": str, "n": int, "mean": float, "low": float, "high": float,
                                               "confidence": float}, ...],
                      "ranks": {row: 1 | 2}, "reason": str}},
     "notes": [str, ...], "remarks": [str, ...]}

``notes`` of a cell are indices into ``notes``. A `std` is over the n seeds, `low` and `high` of a difference
over images, and those of its `seeds` and of a separation over seeds (see `wsssbench.results.separation`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from wsssbench.results.axes import CLASS
from wsssbench.results.comparison import Comparison, Difference, Line, Score
from wsssbench.results.formatting import MISSING, interval, number, signed, signs, thresholds_text
from wsssbench.results.latex import latex
from wsssbench.results.metrics import class_title, metric_at
from wsssbench.results.table import Column, Table, TableCell, markdown

SCHEMA = "wsssbench.comparison/1"
CSV_COLUMNS = (
    *("line", "column", "row", "rung", "metric", "mean", "std", "n"),
    *("threshold_min", "threshold_max", "baseline", "diff", "diff_std", "diff_n"),
    *("ci_low", "ci_high", "seeds_low", "seeds_high", "seeds_confidence"),
    *("paper", "rank", "notes"),
)


def comparison_table(comparison: Comparison) -> Table:
    """The table with one decimal. With a line per row, the differences and the paper's numbers are columns."""
    lines, pivot = comparison.lines, comparison.layout.kind == "pivot"
    names = [TableCell(line.name, signs(_shared_notes(comparison, line))) for line in lines]
    columns = [(Column(comparison.layout.corner, number=False), names)]
    for index, title in enumerate(comparison.layout.columns):
        scores = [line.cells[index] for line in lines]
        cells = [_number(comparison, *pair) for pair in zip(lines, scores, strict=True)]
        columns.append((Column(title), cells))
        if not pivot and any(score.paper is not None for score in scores):
            papers = [TableCell(number(one.paper), signs(one.paper_notes)) for one in scores]
            columns.append((Column("paper"), papers))
    if not pivot:
        columns.append((Column("n"), [TableCell(str(line.n or MISSING)) for line in lines]))
        columns += _difference_column(comparison)
    notes = [f"{signs([i])} {note}" for i, note in enumerate(comparison.notes)]
    return Table(
        _title(comparison),
        [column for column, _ in columns],
        list(zip(*(cells for _, cells in columns), strict=True)),
        [*notes, *comparison.remarks],
        "line" if comparison.best_per_row else "column",
    )


def records(comparison: Comparison) -> list[dict[str, Any]]:
    """A dict per cell of the table with the keys of `CSV_COLUMNS`, None where there is nothing."""
    empty = dict.fromkeys(CSV_COLUMNS)
    return [
        {**empty, "line": line.name, "column": column, **_record(comparison, score)}
        for line in comparison.lines
        for column, score in zip(comparison.layout.columns, line.cells, strict=True)
    ]


def csv_text(comparison: Comparison) -> str:
    """One line per cell of the table, plain numbers with four decimals."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for record in records(comparison):
        writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in record.items()})
    return stream.getvalue()


def json_text(comparison: Comparison) -> str:
    """The document that the module describes."""
    document = {
        "schema": SCHEMA,
        "title": comparison.title,
        "metric": comparison.layout.metric,
        "baseline": comparison.baseline,
        "lines": comparison.layout.corner,
        "columns": comparison.layout.across or None,
        "confidence": comparison.options.confidence,
        "resamples": comparison.options.resamples,
        "table": [
            {
                "line": line.name,
                "n": line.n,
                "cells": [
                    {"column": column, **_json_cell(vars(score))}
                    for column, score in zip(comparison.layout.columns, line.cells, strict=True)
                ],
            }
            for line in comparison.lines
        ],
        "separations": {heading: asdict(of) for heading, of in comparison.separations.items()},
        "notes": comparison.notes,
        "remarks": comparison.remarks,
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


WRITERS: dict[str, Callable[[Comparison], str]] = {
    "markdown": lambda comparison: markdown(comparison_table(comparison)),
    "csv": csv_text,
    "json": json_text,
    "latex": lambda comparison: latex(comparison_table(comparison)),
}


def _number(comparison: Comparison, line: Line, score: Score) -> TableCell:
    """The number with its spread; behind it the thresholds, in a pivot the difference and the paper's number."""
    shared = _shared_notes(comparison, line)
    notes = [note for note in score.notes if note not in shared]
    more = []
    if comparison.layout.kind == "rung" and score.metric == "oracle" and score.thresholds:
        more.append(f"({thresholds_text(score.thresholds)})")
    if comparison.layout.kind == "pivot":
        if score.difference:
            more += _signed(score.difference)
            if seeds := over_seeds_text(score.difference):
                more.append(f"seeds {seeds}")
            notes += score.difference_notes
        if score.paper is not None:
            more.append(f"(paper {score.paper:.1f})")
            notes += score.paper_notes
    return TableCell(str(score.stat or MISSING), signs(notes), score.rank, " ".join(more))


def _difference_column(comparison: Comparison) -> list[tuple[Column, list[TableCell]]]:
    """The differences of the compared rung and metric to the baseline, with the intervals over images and over seeds.

    There is no column of what nobody has.
    """
    compared = (comparison.layout.rung, comparison.layout.metric)
    scores = [one for one in comparison.cells if (one.rung, one.metric) == compared]
    if not any(score.difference for score in scores):
        return []
    cells = []
    for score in scores:
        text, *more = _signed(score.difference) if score.difference else [MISSING]
        cells.append(TableCell(text, signs(score.difference_notes), more=" ".join(more)))
    title = metric_at(comparison.layout.metric).title
    title = f"{comparison.layout.rung} {title}" if comparison.layout.kind == "rungs" else title
    level = f"[{100 * comparison.options.confidence:g} %]"
    columns = [(Column(f"{title} vs. {comparison.baseline} {level}"), cells)]
    seeds = [over_seeds_text(score.difference) or MISSING for score in scores]
    if any(score.difference and score.difference.seeds for score in scores):
        columns.append((Column(f"over seeds {level}"), [TableCell(text) for text in seeds]))
    return columns


def _signed(difference: Difference) -> list[str]:
    """``+1.8`` and, if it is known, ``[1.1, 2.4]``."""
    text = [signed(difference.stat.mean)]
    if difference.low is not None and difference.high is not None:
        text.append(interval(difference.low, difference.high))
    return text


def over_seeds_text(difference: Difference | None) -> str:
    """The interval over seeds, ``[0.9, 2.7]``; empty if there is none."""
    seeds = difference.seeds if difference else None
    if seeds is None or seeds.low is None or seeds.high is None:
        return ""
    return interval(seeds.low, seeds.high)


def _shared_notes(comparison: Comparison, line: Line) -> list[int]:
    """The notes that all numbers of a row share: they are about the row."""
    told = [score.notes for score in line.cells if score.stat]
    if comparison.layout.kind == "pivot" or not told:
        return []
    return [note for note in told[0] if all(note in notes for notes in told)]


def _title(comparison: Comparison) -> str:
    metric = metric_at(comparison.layout.metric).title
    if comparison.layout.kind == "rungs":
        return f"{comparison.title}, {metric} (%)"
    if comparison.layout.kind == "rung":
        return f"{comparison.title}, {comparison.layout.rung} (%)"
    what = [comparison.layout.rung] if len({score.rung for score in comparison.cells}) == 1 else []
    what += [metric] if len({score.metric for score in comparison.cells}) == 1 else []
    what += (
        [class_title(comparison.layout.metric)]
        if CLASS in (comparison.layout.corner, comparison.layout.across)
        else []
    )
    of = f"{' '.join(what)} by " if what else ""
    return f"{comparison.title}, {of}{comparison.layout.corner} and {comparison.layout.across} (%)"


def _record(comparison: Comparison, score: Score) -> dict[str, Any]:
    cell: dict[str, Any] = {"row": score.row, "rung": score.rung, "metric": score.metric}
    if score.stat:
        cell |= {"mean": score.stat.mean, "std": score.stat.std, "n": score.stat.n}
    if score.thresholds:
        cell |= {"threshold_min": score.thresholds[0], "threshold_max": score.thresholds[-1]}
    if difference := score.difference:
        stat = difference.stat
        cell |= {"baseline": comparison.baseline, "diff": stat.mean, "diff_std": stat.std}
        cell |= {"diff_n": stat.n, "ci_low": difference.low, "ci_high": difference.high}
        if seeds := difference.seeds:
            cell |= {"seeds_low": seeds.low, "seeds_high": seeds.high}
            cell |= {"seeds_confidence": seeds.confidence}
    notes = dict.fromkeys((*score.notes, *score.difference_notes, *score.paper_notes))
    paper = None if score.paper is None else float(score.paper)
    cell |= {"paper": paper, "rank": score.rank or None}
    cell["notes"] = "; ".join(comparison.notes[note] for note in notes)
    return cell


def _json_cell(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `Score` or a `Difference` with those of their `Stat` among them."""
    cell: dict[str, Any] = {}
    for key, value in fields.items():
        if key == "stat":
            cell |= vars(value) if value else {"mean": None, "std": None, "n": 0}
        elif key == "difference":
            cell[key] = value and _json_cell(vars(value))
        elif key == "seeds":
            cell[key] = value and asdict(value)
        else:
            cell[key] = value
    return cell
