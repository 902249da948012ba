"""Bar charts, which the page draws as boxes of HTML: see ``bar_chart`` in ``parts.html.j2``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wsssbench.pages.svg import finite, ticks
from wsssbench.results.formatting import number

_CLASSES = 12  # per chart; more go into a second one beside it


@dataclass(frozen=True)
class Bars:
    """One labelled group of bars: a value per series, and marks on the first bar.

    Attributes:
        label: beside the bars.
        values: per cent, None where there is none.
        oracle: where a thin extension of the first bar ends.
        paper: where a diamond stands.
        spread: the standard deviation of the first value, drawn to both sides of its end.
    """

    label: str
    values: tuple[float | None, ...]
    oracle: float | None = None
    paper: float | None = None
    spread: float | None = None

    @property
    def words(self) -> str:
        """The sentence that a screen reader says."""
        paper = "" if self.paper is None else f", paper {number(self.paper)}"
        return f"{self.label} {', '.join(map(number, self.values))}{paper}"


@dataclass(frozen=True)
class BarChart:
    """Groups of bars from zero to `top` per cent; `looks`: the style sheet's class of each series."""

    title: str
    groups: Sequence[Bars]
    top: float
    looks: Sequence[str]

    @property
    def words(self) -> str:
        """The sentence that a screen reader says."""
        return f"{self.title}, per cent: {'; '.join(group.words for group in self.groups)}"

    @property
    def ticks(self) -> list[float]:
        return ticks(0, self.top, 5)

    def share(self, value: float | None) -> str | None:
        """How far `value` is along the axis, as CSS says it; None if it cannot be drawn."""
        return f"{max(0.0, 100 * value / self.top):.2f}%" if finite(value) else None


def bar_charts(
    groups: Sequence[Bars], title: str, most: int = 50, looks: Sequence[str] = ("s0", "s1")
) -> list[BarChart]:
    """`groups` in one chart, or in two of the same scale beside each other if they are more than `most`."""
    length = len(groups) if len(groups) <= most else -(-len(groups) // 2)
    parts = [groups[start : start + length] for start in range(0, len(groups), length or 1)]
    spreads = [(one.values[0] or 0.0) + one.spread for one in groups if one.spread is not None]
    values = [value for one in groups for value in (*one.values, one.oracle, one.paper)]
    highest = max((value for value in (*spreads, *values) if finite(value)), default=0.0)
    top = max(10.0, 10.0 * math.ceil(highest / 10))
    return [BarChart(title, part, top, looks) for part in parts]


def class_charts(
    series: Sequence[Mapping[str, float | None]],
    looks: Sequence[str] = ("s0", "s1"),
    what: str = "IoU",
) -> tuple[list[BarChart], list[str]]:
    """IoU, or `what` it is, per class of each of `series` (class -> per cent), and the classes that have no number.

    There is one chart, or two beside each other. `looks` are the style sheet's classes of the series.
    """
    names = dict.fromkeys(name for iou in series for name in iou)
    groups = [Bars(name, tuple(iou.get(name) for iou in series)) for name in names]
    shown = [group for group in groups if any(map(finite, group.values))]
    absent = [group.label for group in groups if not any(map(finite, group.values))]
    return bar_charts(shown, f"{what} per class", _CLASSES, looks), absent
