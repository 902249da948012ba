"""Bar charts as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from wsssbench.pages.svg import WIDTH, bar, diamond, finite, line, opened, shortened, text, ticks
from wsssbench.results.formatting import number

_LABELS = 150  # where the bars begin if their labels are beside them
_SHORT = 17  # letters of a label that fits there
_ABOVE = 22  # height of a label above its bar
_SEEN = 2.5  # half the length of the shortest spread that is drawn
_VALUES = 62  # kept free to the right of the bars


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
        """What a screen reader says."""
        paper = "" if self.paper is None else f", paper {number(self.paper)}"
        return f"{self.label} {', '.join(map(number, self.values))}{paper}"


def bar_charts(
    groups: Sequence[Bars],
    title: str,
    most: int = 50,
    looks: Sequence[str] = ("s0", "s1"),
) -> list[Markup]:
    """Horizontal bars from zero, one group below the other, with their values in a column.

    They are in one drawing, or in two of the same scale beside each other if the groups are more than `most`.

    Args:
        groups: all with the same number of values.
        title: what a screen reader says, before the values.
        most: groups in one drawing.
        looks: the style sheet's class of each series.
    """
    length = len(groups) if len(groups) <= most else -(-len(groups) // 2)
    drawings = [groups[start : start + length] for start in range(0, len(groups), length or 1)]
    top = _axis_top(groups)
    series = max((len(group.values) for group in groups), default=1)
    above = any(len(group.label) > _SHORT for group in groups)
    pitch = (44 if series == 1 else 18 * series + 10) + (_ABOVE - 4 if above else 0)
    start = 1 if above else _LABELS
    scale = (WIDTH - start - _VALUES) / top
    charts = []
    for part in drawings:
        height = pitch * len(part) + 30
        said = "; ".join(group.words for group in part)
        parts = [opened(WIDTH, height, f"{title}, per cent: {said}")]
        for tick in ticks(0, top, 5):
            x = start + tick * scale
            parts.append(line("grid", x, 0, x, height - 26))
            anchor = "start" if above and not tick else "middle"
            parts.append(text("tick", x, height - 8, f"{tick:g}", anchor))
        for place, group in enumerate(part):
            parts += _group(group, place * pitch, pitch, start, scale, looks)
        parts.append(line("axis", start, 0, start, height - 26))
        charts.append(Markup("".join([*parts, "</svg>"])))
    return charts


def _axis_top(groups: Sequence[Bars]) -> float:
    """A round number of per cent that no value of `groups` exceeds."""
    highs = [(g.values[0] or 0.0) + g.spread for g in groups if g.spread is not None]
    values = [value for g in groups for value in (*g.values, g.oracle, g.paper)]
    highest = max((value for value in (*highs, *values) if finite(value)), default=0.0)
    return max(10.0, 10.0 * math.ceil(highest / 10))


def _group(
    group: Bars, top: float, pitch: float, start: float, scale: float, looks: Sequence[str]
) -> list[str]:
    kind = "single" if len(group.values) == 1 else "many"
    parts = [f'<g class="{kind}"><title>{escape(group.label)}</title>']
    if start < _LABELS:
        label = shortened(group.label, WIDTH - start)
        parts.append(text("label above", start + 6, top + 19, label, "start"))
        top, pitch = top + _ABOVE, pitch - _ABOVE
    middle = top + pitch / 2
    if start == _LABELS:
        parts.append(text("label", start - 10, middle + 5, group.label, "end"))
    thick = 22 if len(group.values) == 1 else 14
    first = middle - thick * len(group.values) / 2 - (len(group.values) - 1) * 2
    for i, value in enumerate(group.values):
        y = first + i * (thick + 4)
        if finite(value):
            parts.append(bar(f"bar {looks[i]}", start, y, value * scale, thick))
        parts.append(text("value", WIDTH - 2, y + thick / 2 + 5, number(value), "end"))
    return [*parts, *_marks(group, middle, start, scale), "</g>"]


def _marks(group: Bars, middle: float, start: float, scale: float) -> list[str]:
    """Oracle, spread and published number of the first bar."""
    parts = []
    value = group.values[0]
    end = start + (value * scale if finite(value) else 0.0)
    if finite(group.oracle):
        reach = start + group.oracle * scale
        parts.append(line("reach", min(end, reach), middle, reach, middle))
        parts.append(line("reach", reach, middle - 6, reach, middle + 6))
    spread = (group.spread or 0.0) * scale
    if spread > _SEEN and finite(value):
        for name in ("halo", "spread"):
            parts.append(line(name, end - spread, middle, end + spread, middle))
            for x in (end - spread, end + spread):
                parts.append(line(name, x, middle - 5, x, middle + 5))
    if finite(group.paper):
        parts.append(diamond(start + group.paper * scale, middle))
    return parts
