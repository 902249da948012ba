"""Which runs, at which rung, by which figure, stand where in a comparison's table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wsssbench.errors import UserError, unknown
from wsssbench.results.axes import METRIC, ROW, RUNG, SEED, Axes
from wsssbench.results.collection import Collection, Member
from wsssbench.results.measures import METRICS
from wsssbench.results.run import Rung


@dataclass(frozen=True)
class Options:
    """What to show of a collection; see ``wsssbench compare --help``.

    Attributes:
        rung: this one alone, by its name or its node; None: all of them.
        metric: one of `METRICS`: the figure in the cells and in the difference.
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
    """What a cell shows: the runs of `row` (None: nothing) at `rung` by `metric`; of all seeds, or of one."""

    row: str | None
    rung: str
    metric: str
    seed: int | None = None


@dataclass(frozen=True)
class Layout:
    """The table's plan.

    Attributes:
        kind: ``rungs``: a line per row, a column per rung; ``rung``: a line per row, a column per figure of one rung;
            ``pivot``: lines and columns are the values of two axes.
        rung: the one that is compared with the baseline.
        metric: the figure that is; the asked one, or its like where a rung needs no threshold.
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


class Rungs:
    """The rungs of several runs by title: their names, with the node where a run has two of one name."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._twice = {
            rung.name
            for member in members
            for rung in member.result.rungs
            if sum(other.name == rung.name for other in member.result.rungs) > 1
        }
        self.titles: list[str] = []
        self._nodes: dict[
            str, str
        ] = {}  # node, with and without "refine.", and lower-case title -> title
        for member in members:
            self._add(member)

    def of(self, member: Member) -> dict[str, Rung]:
        """The rungs of `member` by title."""
        return {self._title(rung): rung for rung in member.result.rungs}

    def named(self, wanted: str) -> str:
        """The title of the rung that is called `wanted`, or whose node is; UserError with near matches."""
        if wanted in self.titles:
            return wanted
        for name in (wanted, wanted.lower(), f"+ {wanted}".lower()):
            if name in self._nodes:
                return self._nodes[name]
        raise UserError(f"--rung: {unknown('rung', wanted, [*self.titles, *self._nodes])}")

    def _title(self, rung: Rung) -> str:
        twice = rung.name in self._twice
        return f"{rung.name} ({rung.node.removeprefix('refine.')})" if twice else rung.name

    def _add(self, member: Member) -> None:
        """A rung that is new comes right after the one that it follows in its run."""
        position = 0
        for rung in member.result.rungs:
            title = self._title(rung)
            if title not in self.titles:
                self.titles.insert(position, title)
            position = self.titles.index(title) + 1
            for name in (title.lower(), rung.node, rung.node.removeprefix("refine.")):
                self._nodes.setdefault(name, title)


def lay_out(collection: Collection, axes: Axes, rungs: Rungs, options: Options) -> Layout:
    """The plan of the table that `options` ask for.

    Raises:
        UserError: unknown rung, metric or axis; more than the cell's axes varies inside a cell.
    """
    if options.metric not in METRICS:
        raise UserError(f"--metric: {unknown('metric', options.metric, METRICS)}")
    rows = axes.select(options.where)
    rung = rungs.titles[0] if options.rung is None else rungs.named(options.rung)
    if options.rows is not None or options.columns is not None:
        return _pivot(collection, axes, rungs, options, rows, rung)
    if options.rung is None and len(rungs.titles) > 1:
        columns = {title: Place(None, title, options.metric) for title in rungs.titles}
        return _of_rows("rungs", rows, rung, options.metric, columns)
    metric, figures = _figures(collection, rungs, options.metric, rung)
    columns = {METRICS[name].title: Place(None, rung, name) for name in figures}
    return _of_rows("rung", rows, rung, metric, columns)


def _of_rows(
    kind: str, rows: Sequence[str], rung: str, metric: str, columns: dict[str, Place]
) -> Layout:
    lines = ((row, tuple(replace(place, row=row) for place in columns.values())) for row in rows)
    return Layout(kind, rung, metric, ROW, "", tuple(columns), tuple(lines))


def _figures(collection: Collection, rungs: Rungs, metric: str, rung: str) -> tuple[str, list[str]]:
    """The metric, and all figures of one rung that say something, those at the same threshold first."""
    found = [rungs.of(member).get(rung) for member in collection.members]
    if not any(one is not None and one.oracle is not None for one in found):
        measure = METRICS[metric].measure  # maps that need no threshold have no best one
        return measure, [name for name, of in METRICS.items() if of.choice == "chosen"]
    choice = METRICS[metric].choice
    names = [name for name, of in METRICS.items() if of.choice == choice]
    return metric, [*names, "miou" if choice == "oracle" else "oracle"]


def _pivot(
    collection: Collection, axes: Axes, rungs: Rungs, options: Options, rows: list[str], rung: str
) -> Layout:
    lines = options.rows or (ROW if options.columns != ROW else RUNG)
    columns = options.columns or (RUNG if lines != RUNG else ROW)
    if lines == columns:
        raise UserError(f"--rows {lines} --columns {columns}: these have to be two axes")
    of_lines = _entries(collection, axes, rungs, options, rows, lines)
    of_columns = _entries(collection, axes, rungs, options, rows, columns)
    plan = []
    for name, entry in of_lines.items():
        places = []
        for heading, other in of_columns.items():
            there = [row for row in rows if row in entry.rows and row in other.rows]
            if len(there) > 1:
                _refuse(axes, there, f"{lines} = {name}, {columns} = {heading}")
            places.append(_place(there, (entry, other), rung, options.metric))
        plan.append((name, tuple(places)))
    return Layout("pivot", rung, options.metric, lines, columns, tuple(of_columns), tuple(plan))


@dataclass(frozen=True)
class _Entry:
    """One value of an axis: the rows that have it, and what else it fixes."""

    rows: frozenset[str]
    rung: str | None = None
    metric: str | None = None
    seed: int | None = None


def _entries(
    collection: Collection,
    axes: Axes,
    rungs: Rungs,
    options: Options,
    rows: Sequence[str],
    axis: str,
) -> dict[str, _Entry]:
    """Every value of `axis` among `rows`."""
    everything = frozenset(rows)
    members = [member for member in collection.members if member.row in everything]
    if axis == RUNG:
        shown = rungs.titles if options.rung is None else [rungs.named(options.rung)]
        return {title: _Entry(everything, rung=title) for title in shown}
    if axis == METRIC:
        scored = [rung for member in members for rung in member.result.rungs]
        some = [
            n for n, m in METRICS.items() if m.choice == "chosen" or any(r.oracle for r in scored)
        ]
        return {METRICS[name].title: _Entry(everything, metric=name) for name in some}
    if axis == SEED:
        seeds = sorted({member.seed for member in members})
        return {f"seed {seed}": _Entry(everything, seed=seed) for seed in seeds}
    values = axes.values(axis)
    found = dict.fromkeys(values[row] for row in rows if row in values)
    return {
        value: _Entry(frozenset(row for row in rows if values.get(row) == value)) for value in found
    }


def _place(there: Sequence[str], entries: Sequence[_Entry], rung: str, metric: str) -> Place:
    for entry in entries:
        rung = entry.rung or rung
        metric = entry.metric or metric
    seed = next((entry.seed for entry in entries if entry.seed is not None), None)
    return Place(there[0] if there else None, rung, metric, seed)


def _refuse(axes: Axes, rows: Sequence[str], cell: str) -> None:
    names = axes.differing(rows)
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    raise UserError(
        f"{len(rows)} rows would share the cell {cell} ({'; '.join(rows[:3])}{more}): "
        f"they differ in {', '.join(names[:6])}; choose with --where {names[0]}=VALUE"
    )
