"""Methods beside each other, as values: mean and spread over seeds, paired differences, the paper's numbers.

    comparison = compare(load([Path("work/sweeps/table1_gpp")]), Options(metric="oracle"))
    for line in comparison.lines:
        print(line.name, [cell.stat for cell in line.cells])

`wsssbench.results.formats` makes texts of it. Only rows of one protocol compete for the best of a column:
a row whose protocol card differs from the baseline's gets a note instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from wsssbench.errors import UserError, unknown
from wsssbench.progress import Progress, Silent
from wsssbench.results.axes import NOT_OF_ROWS, Axes
from wsssbench.results.collection import Collection
from wsssbench.results.differences import Difference, Differences
from wsssbench.results.judging import judged, with_differences, with_paper
from wsssbench.results.ladder import Stat
from wsssbench.results.layout import Layout, Options, Place, Rungs, lay_out
from wsssbench.results.measures import METRICS, point
from wsssbench.results.notes import nothing_scored, remarks
from wsssbench.results.run import CardValue
from wsssbench.results.scored_runs import Runs


@dataclass(frozen=True)
class Cell:
    """One place of the table.

    Attributes:
        row: whose runs; None where no row belongs.
        rung: its title.
        metric: a key of `METRICS`.
        values: seed -> per cent.
        stat: their mean and spread; None if there are none.
        thresholds: the distinct background thresholds of these, ascending; empty where none is needed.
        difference: to the baseline.
        paper: the published number, per cent.
        rank: 1 for the best of its column, 2 for the second, otherwise 0; equal at the shown precision is equal.
        card: the protocol of the number, of its first run.
        notes: indices into the comparison's notes, about the number.
        difference_notes: about the difference.
        paper_notes: about the published number.
    """

    row: str | None
    rung: str
    metric: str
    values: Mapping[int, float] = field(default_factory=dict)
    stat: Stat | None = None
    thresholds: tuple[float, ...] = ()
    difference: Difference | None = None
    paper: float | None = None
    rank: int = 0
    card: Mapping[str, CardValue] = field(default_factory=dict)
    notes: tuple[int, ...] = ()
    difference_notes: tuple[int, ...] = ()
    paper_notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Line:
    """A line of the table: a row, or a value of an axis; `n` runs are behind a row."""

    name: str
    cells: tuple[Cell, ...]
    n: int | None = None


@dataclass(frozen=True)
class Comparison:
    """A table of numbers.

    Attributes:
        title: of the collection.
        kind: ``rungs``, ``rung`` or ``pivot``, see `Layout`.
        rung: the one that is compared with the baseline.
        metric: a key of `METRICS`: the one that was asked for.
        corner: what the lines are: ``row`` or an axis.
        across: the axis of a pivot's columns, otherwise empty.
        columns: headings.
        lines: of one cell per column each.
        baseline: the row that the differences are to; None if there are none.
        notes: what the cells' indices mean.
        remarks: what holds for the whole table.
        resamples: of the bootstrap.
        confidence: of its intervals.
    """

    title: str
    kind: str
    rung: str
    metric: str
    corner: str
    across: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    baseline: str | None
    notes: tuple[str, ...]
    remarks: tuple[str, ...]
    resamples: int
    confidence: float

    @property
    def line_wise(self) -> bool:
        """Do the cells of a line compete, rather than those of a column?"""
        return self.corner in NOT_OF_ROWS

    @property
    def cells(self) -> list[Cell]:
        return [cell for line in self.lines for cell in line.cells]


def compare(
    collection: Collection, options: Options | None = None, progress: Progress | None = None
) -> Comparison:
    """The table of `collection` that `options` ask for.

    Raises:
        UserError: nothing has been scored yet; an unknown rung, metric, axis or row; several rows in one cell.
    """
    options = options or Options()
    rungs = Rungs(collection.members)
    if not rungs.titles:
        raise UserError(nothing_scored(collection))
    layout = lay_out(collection, Axes(collection), rungs, options)
    baseline = _baseline(collection, layout, options.baseline)
    runs = Runs(collection, rungs, baseline)
    differences = _differences(runs, layout, options, progress or Silent())
    notes: list[str] = []
    found = {place: _cell(runs, place) for place in layout.places}
    found = judged(runs, layout, found, notes)
    found = with_differences(found, differences, baseline, notes)
    found = with_paper(runs, layout, found, notes)
    comparison = Comparison(
        title=collection.title,
        kind=layout.kind,
        rung=layout.rung,
        metric=layout.metric,
        corner=layout.corner,
        across=layout.across,
        columns=layout.columns,
        lines=tuple(
            Line(name, tuple(found[place] for place in places), _count(collection, layout, places))
            for name, places in layout.lines
        ),
        baseline=baseline if any(cell.difference for cell in found.values()) else None,
        notes=tuple(notes),
        remarks=(),
        resamples=options.resamples,
        confidence=options.confidence,
    )
    return replace(comparison, remarks=tuple(remarks(comparison, collection)))


def _baseline(collection: Collection, layout: Layout, wanted: str | None) -> str | None:
    """The row to compare with: the named one, the collection's, or the first of the table that has runs."""
    there = [row for row in collection.rows if collection.of(row)]
    if wanted is not None:
        if wanted not in collection.rows:
            raise UserError(f"--baseline: {unknown('row', wanted, there)}")
        if wanted not in there:
            raise UserError(
                f"--baseline {wanted}: has no results yet; with results: {', '.join(there)}"
            )
        return wanted
    if collection.baseline in there:
        return collection.baseline
    return next((place.row for place in layout.places if place.row in there), None)


def _differences(
    runs: Runs, layout: Layout, options: Options, progress: Progress
) -> dict[Place, tuple[Difference | None, str]]:
    """Of the compared rung, or of every cell of a pivot whose baseline was named."""
    choice = METRICS[layout.metric].choice
    wanted = {
        place: (runs.at(place), runs.of_baseline(place))
        for place in layout.places
        if place.row != runs.baseline
        and (
            options.baseline is not None
            if layout.kind == "pivot"
            else place.rung == layout.rung and METRICS[place.metric].choice == choice
        )
    }
    wanted = {place: sides for place, sides in wanted.items() if all(sides)}
    found = Differences(options.resamples, options.confidence)
    found.prepare(
        (
            (one, METRICS[place.metric])
            for place, (ours, theirs) in wanted.items()
            for seed in ours.keys() & theirs.keys()
            for one in (ours[seed], theirs[seed])
        ),
        progress,
    )
    return {
        place: found.of(ours, theirs, METRICS[place.metric])
        for place, (ours, theirs) in wanted.items()
    }


def _count(collection: Collection, layout: Layout, places: Sequence[Place]) -> int | None:
    """The runs behind a line that is a row."""
    if layout.kind == "pivot":
        return None
    return len(collection.of(places[0].row or ""))


def _cell(runs: Runs, place: Place) -> Cell:
    """The numbers of `place`, without what depends on its neighbours."""
    metric = METRICS[place.metric]
    points = {seed: point(one.rung, metric) for seed, one in runs.at(place).items()}
    values = {seed: getattr(found, metric.measure) for seed, found in points.items() if found}
    thresholds = {found.threshold for found in points.values() if found}
    first = runs.rungs(place)[:1]
    return Cell(
        place.row,
        place.rung,
        place.metric,
        values,
        Stat.of(values.values()),
        tuple(sorted(t for t in thresholds if t is not None)),
        card=dict(first[0].card) if first else {},
    )
