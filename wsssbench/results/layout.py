"""A layout says which rows, rungs and metrics stand where in a comparison's table; `Runs` are behind its places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from wsssbench.errors import UserError, unknown
from wsssbench.results.axes import CLASS, METRIC, ROW, RUNG, SEED, Axes
from wsssbench.results.collection import Collection, Member
from wsssbench.results.metrics import (
    METRICS,
    OF_CLASSES,
    as_scored,
    class_key,
    metric_at,
    metric_named,
    point,
)
from wsssbench.results.run import Evaluation
from wsssbench.stages import short_name


@dataclass(frozen=True)
class Options:
    """The user's choice of what a comparison shows; see ``wsssbench compare --help``.

    Attributes:
        rung: this one alone, by its name or its node; None: all of them.
        metric: one of `METRICS`: the number in the cells and in the difference.
        baseline: the row that the others are compared with; None: the sweep's, or the first one with runs.
        rows: the axis whose values are the lines; None for one line per row.
        columns: the axis whose values are the columns.
        where: conditions on the rows, ``axis=value``.
        resamples: of the bootstrap.
        confidence: of its intervals, in (0, 1).
    """

    rung: str | None = None
    metric: str = "miou"
    baseline: str | None = None
    rows: str | None = None
    columns: str | None = None
    where: Sequence[str] = ()
    resamples: int = 1000
    confidence: float = 0.95


@dataclass(frozen=True)
class Place:
    """A cell shows the runs of `row` (None: nothing) at `rung` by `metric`; of all seeds, or of one."""

    row: str | None
    rung: str
    metric: str
    seed: int | None = None


@dataclass(frozen=True)
class Layout:
    """The table's plan.

    Attributes:
        kind: ``rungs``: a line per row, a column per rung; ``rung``: a line per row, a column per metric of one rung;
            ``pivot``: lines and columns are the values of two axes.
        rung: the one that is compared with the baseline.
        metric: of that comparison; the asked one, or its like where a rung needs no threshold.
        corner: what the lines are: ``row`` or an axis.
        across: the axis of a pivot's columns, otherwise empty.
        columns: headings.
        lines: (heading, one place per column).
    """

    kind: str
    rung: str
    metric: str
    corner: str
    across: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Place, ...]], ...]

    @property
    def places(self) -> list[Place]:
        return [place for _, places in self.lines for place in places]


class RungNames:
    """The evaluations of several runs by title: their names, with the node where a run has two of one name.

    Attributes:
        titles: of all runs; what only some have comes right after the one that it follows there.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.titles: list[str] = []
        # By title in lower case, and by node with and without "refine.".
        self._titles: dict[str, str] = {}
        lists = [[one.name for one in member.result.evaluations] for member in members]
        self._twice = {name for names in lists for name in names if names.count(name) > 1}
        for member in members:
            position = 0
            for title, evaluation in self.of(member).items():
                if title not in self.titles:
                    self.titles.insert(position, title)
                position = self.titles.index(title) + 1
                for name in (title.lower(), evaluation.node, short_name(evaluation.node)):
                    self._titles.setdefault(name, title)

    def of(self, member: Member) -> dict[str, Evaluation]:
        """The evaluations of `member` by title."""
        return {
            f"{one.name} ({short_name(one.node)})" if one.name in self._twice else one.name: one
            for one in member.result.evaluations
        }

    def named(self, wanted: str) -> str:
        """The title of the evaluation that is called `wanted`, or whose node is.

        Raises:
            UserError: there is none; the error names near matches.
        """
        if wanted in self.titles:
            return wanted
        for name in (wanted, wanted.lower(), f"+ {wanted}".lower()):
            if name in self._titles:
                return self._titles[name]
        raise UserError(f"--rung: {unknown('rung', wanted, [*self.titles, *self._titles])}")


class Scored(NamedTuple):
    """One run at one rung."""

    member: Member
    evaluation: Evaluation


class Runs:
    """The scored runs of `collection` by place.

    Args:
        collection: the rows and their runs.
        names: of the evaluations.
        baseline: the row that others are compared with, if there is one.
    """

    def __init__(self, collection: Collection, names: RungNames, baseline: str | None) -> None:
        self.collection, self.baseline = collection, baseline
        self._of = {
            row: [(member, names.of(member)) for member in collection.of(row)]
            for row in collection.rows
        }

    def at(self, place: Place) -> dict[int, Scored]:
        """By seed, those of `place` that have its number."""
        return {
            member.seed: Scored(member, evaluations[place.rung])
            for member, evaluations in self._of.get(place.row or "", ())
            if place.seed in (None, member.seed)
            and place.rung in evaluations
            and point(evaluations[place.rung], metric_at(place.metric))
        }

    def of_baseline(self, place: Place) -> dict[int, Scored]:
        """The baseline's, where it has what `place` shows."""
        return self.at(replace(place, row=self.baseline)) if self.baseline else {}

    def evaluations(self, place: Place) -> list[Evaluation]:
        """The evaluations of `place`, with the cards of the numbers that it shows."""
        metric = metric_at(place.metric)
        return [as_scored(one.evaluation, metric) for one in self.at(place).values()]


def lay_out(collection: Collection, axes: Axes, names: RungNames, options: Options) -> Layout:
    """The plan of the table that `options` ask for.

    Raises:
        UserError: unknown rung, metric or axis; more than the cell's axes varies inside a cell.
    """
    metric = options.metric
    if metric not in METRICS:
        raise UserError(f"--metric: {unknown('metric', metric, METRICS)}")
    rows = axes.select(options.where)
    rung = names.titles[0] if options.rung is None else names.named(options.rung)
    kind, corner, across = _kind(options, len(names.titles))
    if kind == "rung":
        at_rung = [of[rung] for m in collection.members if rung in (of := names.of(m))]
        metric = metric_named(metric, at_rung)
        choice = METRICS[metric].choice
        metrics = [name for name, of in METRICS.items() if of.choice == choice]
        if any(one.oracle for one in at_rung):
            metrics.append("miou" if choice == "oracle" else "oracle")
        if choice != "boundary" and any(one.boundary for one in at_rung):
            metrics.append("boundary")
    else:
        members = [member for member in collection.members if member.row in rows]
        found = [one for member in members for one in member.result.evaluations]
        has = {"chosen": True, "oracle": any(one.oracle for one in found)}
        has["boundary"] = any(one.boundary for one in found)
        metrics = [name for name, of in METRICS.items() if has[of.choice]]
    seeds = sorted({member.seed for member in collection.members if member.row in rows})
    rungs = names.titles if options.rung is None else [rung]
    # Every value of the axes inside a row, with the field of a `Place` that it fixes.
    inside: dict[str, dict[str, dict[str, Any]]] = {
        RUNG: {title: {"rung": title} for title in rungs},
        METRIC: {METRICS[name].title: {"metric": name} for name in metrics},
        SEED: {f"seed {seed}": {"seed": seed} for seed in seeds},
        CLASS: {
            name: {"metric": class_key(name, metric)}
            for name in (_classes(names, collection, rung) if metric in OF_CLASSES.values() else ())
        },
    }
    values = {axis: axes.values(axis) for axis in (corner, across) if axis not in inside}
    titles, columns = (
        inside.get(axis) or dict.fromkeys(values[axis][r] for r in rows if r in values[axis])
        for axis in (corner, across)
    )
    lines = []
    for name in titles:
        places = []
        for title in columns:
            cell = {corner: name, across: title}
            there = [row for row in rows if all(of.get(row) == cell[a] for a, of in values.items())]
            if len(there) > 1:
                raise UserError(_several(axes, there, cell))
            fixed: dict[str, Any] = {"rung": rung, "metric": metric}
            for axis, value in cell.items():
                fixed |= inside.get(axis, {}).get(value, {})
            places.append(Place(there[0] if there else None, **fixed))
        lines.append((name, tuple(places)))
    across = across if kind == "pivot" else ""
    return Layout(kind, rung, metric, corner, across, tuple(columns), tuple(lines))


def _classes(names: RungNames, collection: Collection, rung: str) -> list[str]:
    """The classes that have an IoU at `rung`, in order."""
    found = [of[rung] for member in collection.members if rung in (of := names.of(member))]
    return list(dict.fromkeys(name for one in found for name in one.iou))


def _kind(options: Options, rungs: int) -> tuple[str, str, str]:
    """The kind of the table, and the axes of its lines and its columns."""
    if options.rows is None and options.columns is None:
        several = options.rung is None and rungs > 1
        return ("rungs", ROW, RUNG) if several else ("rung", ROW, METRIC)
    lines = options.rows or (ROW if options.columns != ROW else RUNG)
    columns = options.columns or (RUNG if lines not in (RUNG, CLASS) else ROW)
    if CLASS in (lines, columns) and (
        METRIC in (lines, columns) or options.metric not in OF_CLASSES.values()
    ):
        raise UserError(
            f"--rows {lines} --columns {columns}: classes have their IoU, precision and recall at the fixed or "
            f"selected threshold only: choose one with --metric ({', '.join(OF_CLASSES.values())})"
        )
    if lines == columns:
        raise UserError(f"--rows {lines} --columns {columns}: these have to be two axes")
    return "pivot", lines, columns


def _several(axes: Axes, rows: Sequence[str], cell: Mapping[str, str]) -> str:
    """Why a cell cannot show several rows, and how to choose one of them."""
    names = axes.differing(rows)
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    place = ", ".join(f"{axis} = {value}" for axis, value in cell.items())
    return (
        f"{len(rows)} rows would share the cell {place} ({'; '.join(rows[:3])}{more}): "
        f"they differ in {', '.join(names[:6])}; choose with --where {names[0]}=VALUE"
    )
