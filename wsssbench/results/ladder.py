"""The ladder of one run, or of several runs averaged, as values and as a table.

``terminal(ladder_table(aggregate([result])))`` shows one run; give the results of several seeds for their mean.
Several methods beside each other: `wsssbench.results.compare`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wsssbench.results.formatting import MISSING, number, signs, thresholds_text
from wsssbench.results.metrics import Stat, thresholds_of
from wsssbench.results.protocol import mixed_protocols, threshold_origin
from wsssbench.results.run import Evaluation, RunResult
from wsssbench.results.table import Column, Footnotes, Table, TableCell


@dataclass(frozen=True)
class LadderRow:
    """One rung of one run, or of several runs averaged.

    Attributes:
        rung, node, split: name, node and split of the `Evaluation`; several splits are joined by commas.
        miou, precision, recall: at the threshold fixed beforehand, per cent.
        thresholds: the distinct thresholds of these, ascending; empty where none is needed.
        oracle: mIoU at the best threshold, per cent.
        oracle_thresholds: the distinct best thresholds, ascending.
        paper: the mIoU that a paper reports for this rung.
        n: runs that have this rung.
        notes: indices into the ladder's notes.
        boundary: boundary IoU of label maps, per cent.
    """

    rung: str
    node: str
    split: str
    miou: Stat | None
    precision: Stat | None
    recall: Stat | None
    thresholds: tuple[float, ...]
    oracle: Stat | None
    oracle_thresholds: tuple[float, ...]
    paper: float | None
    n: int
    notes: tuple[int, ...]
    boundary: Stat | None = None


@dataclass(frozen=True)
class Ladder:
    """Rows in the order of the pipeline, and the notes they refer to; `runs` were put in."""

    title: str
    rows: tuple[LadderRow, ...]
    notes: tuple[str, ...]
    runs: int


def aggregate(results: Sequence[RunResult]) -> Ladder:
    """The ladder of one run, or the mean ± std of runs that differ in their seed only.

    Evaluations are matched by name. One whose protocol differs between the runs, or that not every run
    has, gets a note.

    Raises:
        ValueError: `results` is empty.
    """
    if not results:
        raise ValueError("a ladder needs at least one run")
    # By name, and by which of that name they are.
    groups: dict[tuple[str, int], list[Evaluation]] = {}
    for result in results:
        names = [one.name for one in result.evaluations]
        for place, one in enumerate(result.evaluations):
            groups.setdefault((one.name, names[:place].count(one.name)), []).append(one)
    footnotes = Footnotes()
    rows = []
    for (name, _), group in groups.items():
        chosen = [one.chosen for one in group if one.chosen]
        oracle = [one.oracle for one in group if one.oracle]
        origins = dict.fromkeys(
            f"{origin} ({one.card['threshold_choice']})"
            for one in group
            if one.chosen and (origin := threshold_origin(one.card))
        )
        notes = [*origins, *mixed_protocols(group)]
        if len(group) < len(results):
            notes.append(f"only {len(group)} of {len(results)} runs have this rung")
        rows.append(
            LadderRow(
                rung=name,
                node=group[0].node,
                split=", ".join(dict.fromkeys(one.split for one in group)),
                miou=Stat.of(point.miou for point in chosen),
                precision=Stat.of(point.precision for point in chosen),
                recall=Stat.of(point.recall for point in chosen),
                thresholds=thresholds_of(chosen),
                oracle=Stat.of(point.miou for point in oracle),
                oracle_thresholds=thresholds_of(oracle),
                paper=next((r.reference[name] for r in results if name in r.reference), None),
                n=len(group),
                notes=footnotes.numbers(notes),
                boundary=Stat.of(one.boundary.miou for one in group if one.boundary),
            )
        )
    title = ", ".join(dict.fromkeys(result.name for result in results))
    return Ladder(title, tuple(rows), tuple(footnotes.texts), len(results))


def ladder_records(ladder: Ladder) -> list[dict[str, Any]]:
    """A dict per row: means over the runs in per cent, None where there is no number or not one threshold."""
    records = []
    for row in ladder.rows:
        record: dict[str, Any] = {
            k: v.mean if isinstance(v, Stat) else v for k, v in vars(row).items()
        }
        del record["notes"]
        for key in ("thresholds", "oracle_thresholds"):
            thresholds = record.pop(key)
            record[key.removesuffix("s")] = thresholds[0] if len(thresholds) == 1 else None
        record["oracle_miou"] = record.pop("oracle")
        records.append(record)
    return records


def ladder_table(ladder: Ladder, boundary: bool = True) -> Table:
    """Per cent with one decimal; paper and n (if it varies) only where they say something.

    Args:
        ladder: what is shown.
        boundary: show the boundary IoU, for which a narrow terminal has no room.
    """
    has_paper = any(row.paper is not None for row in ladder.rows)
    has_boundary = boundary and any(row.boundary for row in ladder.rows)
    has_n = any(row.n != ladder.runs for row in ladder.rows)
    rows = []
    for row in ladder.rows:
        best = thresholds_text(row.oracle_thresholds)
        cells = [
            TableCell(row.rung, signs(row.notes)),
            TableCell(row.split),
            *(TableCell(str(stat or MISSING)) for stat in (row.miou, row.precision, row.recall)),
            TableCell(thresholds_text(row.thresholds) or MISSING),
            TableCell(str(row.oracle or MISSING), more=f"({best})" if best else ""),
        ]
        cells += [TableCell(str(row.boundary or MISSING))] if has_boundary else []
        cells += [TableCell(number(row.paper))] if has_paper else []
        cells += [TableCell(str(row.n))] if has_n else []
        rows.append(cells)
    columns = [
        Column("rung", number=False),
        Column("split", number=False),
        *map(Column, ("mIoU", "precision", "recall", "threshold", "oracle mIoU (threshold)")),
        *([Column("boundary IoU")] if has_boundary else []),
        *([Column("paper")] if has_paper else []),
        *([Column("n")] if has_n else []),
    ]
    notes = [f"{signs([i])} {note}" for i, note in enumerate(ladder.notes)]
    if ladder.runs > 1:
        notes.append(f"mean ± sample standard deviation over n = {ladder.runs} runs")
    if has_paper:
        notes.append("paper: mIoU as published, by the paper's own protocol")
    return Table(ladder.title, columns, rows, notes)
