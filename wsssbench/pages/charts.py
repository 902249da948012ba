"""Bar charts as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from wsssbench.pages.svg import WIDTH, bar, diamond, finite, line, opened, shortened, text, ticks
from wsssbench.results.ladder import MISSING

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


def bar_chart(
    groups: Sequence[Bars],
    title: str,
    top: float | None = None,
    above: bool | None = None,
    looks: Sequence[str] = ("s0", "s1"),
) -> str:
    """Horizontal bars from zero, one group below the other, with their values in a column.

    Args:
        groups: all with the same number of values.
        title: what a screen reader says.
        top: the right end of the axis, per cent; by default a round number above every value.
        above: labels above the bars; by default if one of them is too long to be beside them.
        looks: the style sheet's class of each series.
    """
    series = max((len(group.values) for group in groups), default=1)
    above = any(map(needs_room, groups)) if above is None else above
    pitch = 44 if series == 1 else 18 * series + 10
    pitch += _ABOVE - 4 if above else 0
    height = pitch * len(groups) + 30
    top = top or axis_top(groups)
    start = 1 if above else _LABELS
    scale = (WIDTH - start - _VALUES) / top
    parts = [opened(WIDTH, height, title)]
    for tick in ticks(0, top, 5):
        x = start + tick * scale
        parts.append(line("grid", x, 0, x, height - 26))
        anchor = "start" if above and not tick else "middle"
        parts.append(text("tick", x, height - 8, f"{tick:g}", anchor))
    for number, group in enumerate(groups):
        parts += _group(group, number * pitch, pitch, start, scale, looks)
    parts.append(line("axis", start, 0, start, height - 26))
    return "".join([*parts, "</svg>"])


def needs_room(group: Bars) -> bool:
    """Is its label too long to be beside the bars?"""
    return len(group.label) > _SHORT


def axis_top(groups: Sequence[Bars]) -> float:
    """A round number of per cent that no value of `groups` exceeds."""
    values = [v for g in groups for v in (*g.values, g.oracle, g.paper, _high(g)) if finite(v)]
    return max(10.0, 10.0 * math.ceil(max((v or 0.0 for v in values), default=0.0) / 10))


def _high(group: Bars) -> float | None:
    value = group.values[0] if group.values else None
    return None if value is None or group.spread is None else value + group.spread


def _group(
    group: Bars, top: float, pitch: float, start: float, scale: float, looks: Sequence[str]
) -> list[str]:
    parts = [
        f'<g class="{"single" if len(group.values) == 1 else "many"}">'
        f"<title>{escape(group.label)}</title>"
    ]
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
            parts.append(bar(f"bar {looks[i]}", start, y, (value or 0.0) * scale, thick))
        shown = f"{value:.1f}" if finite(value) else MISSING
        parts.append(text("value", WIDTH - 2, y + thick / 2 + 5, shown, "end"))
    return [*parts, *_marks(group, middle, start, scale), "</g>"]


def _marks(group: Bars, middle: float, start: float, scale: float) -> list[str]:
    parts = []
    value = start + ((group.values[0] if group.values else None) or 0.0) * scale
    if finite(group.oracle):
        end = start + (group.oracle or 0.0) * scale
        parts.append(line("reach", min(value, end), middle, end, middle))
        parts.append(line("reach", end, middle - 6, end, middle + 6))
    reach = (group.spread or 0.0) * scale
    if reach > _SEEN and finite(group.values[0]):
        for name in ("halo", "spread"):
            parts.append(line(name, value - reach, middle, value + reach, middle))
            for end in (value - reach, value + reach):
                parts.append(line(name, end, middle - 5, end, middle + 5))
    if finite(group.paper):
        parts.append(diamond(start + (group.paper or 0.0) * scale, middle))
    return parts
