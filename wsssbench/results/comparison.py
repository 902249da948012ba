"""A comparison as values: the numbers of every row with their spread, differences, ranks and notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wsssbench.results.axes import NOT_OF_ROWS
from wsssbench.results.layout import Layout, Options
from wsssbench.results.metrics import Stat
from wsssbench.results.run import CardValue
from wsssbench.results.separation import Separation, Versus


@dataclass(frozen=True)
class Difference:
    """How much a row differs from the baseline, per cent points.

    Attributes:
        stat: over the seeds that both have.
        low: the interval of the mean over images; None if the counts per image are lost.
        high: its other end.
        seeds: the row and its interval over seeds, of the same mean; None where there are too few of them.
    """

    stat: Stat
    low: float | None
    high: float | None
    seeds: Versus | None = None


@dataclass(frozen=True)
class Score:
    """The number at one place of the table.

    Attributes:
        row: whose runs; None where no row belongs.
        rung: the evaluation's title.
        metric: a key of `METRICS`.
        rank: 1 for the best of its column, 2 for the second, otherwise 0; see `wsssbench.results.separation`.
        values: seed -> per cent.
        stat: their mean and spread; None if there are none.
        thresholds: the distinct background thresholds of these, ascending; empty where none is needed.
        difference: to the baseline.
        paper: the published number, per cent.
        card: the protocol of the number, of its first run.
        notes: indices into the comparison's notes, about the number.
        difference_notes: about the difference.
        paper_notes: about the published number.
    """

    row: str | None
    rung: str
    metric: str
    rank: int = 0
    values: Mapping[int, float] = field(default_factory=dict)
    stat: Stat | None = None
    thresholds: tuple[float, ...] = ()
    difference: Difference | None = None
    paper: float | None = None
    card: Mapping[str, CardValue] = field(default_factory=dict)
    notes: tuple[int, ...] = ()
    difference_notes: tuple[int, ...] = ()
    paper_notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Line:
    """A line of the table: a row, or a value of an axis; `n` runs are behind a row."""

    name: str
    cells: tuple[Score, ...]
    n: int | None = None


@dataclass(frozen=True)
class Comparison:
    """A table of numbers.

    Attributes:
        title: of the collection.
        layout: what its lines and columns are.
        options: that it was made with.
        lines: of one cell per column of the layout each.
        baseline: the row that the differences are to; None if there are none.
        notes: what the cells' indices mean.
        remarks: what holds for the whole table.
        separations: of the columns, or lines, in which rows compete, by their headings.
    """

    title: str
    layout: Layout
    options: Options
    lines: tuple[Line, ...]
    baseline: str | None
    notes: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    separations: Mapping[str, Separation] = field(default_factory=dict)

    @property
    def best_per_row(self) -> bool:
        """True if the cells of a line compete, rather than those of a column."""
        return self.layout.corner in NOT_OF_ROWS

    @property
    def cells(self) -> list[Score]:
        return [cell for line in self.lines for cell in line.cells]
