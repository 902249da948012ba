"""The report's charts as inline SVG. Colours and text sizes are the page's, by class name.

Coordinates are those of a drawing 520 wide, which is about its size in CSS pixels on a desktop;
room is left for the larger letters that the page's style sheet gives it on a telephone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from wsssbench.report.ladder import MISSING, threshold_text
from wsssbench.report.results import Point

WIDTH = 520
_LABELS = 150  # where the bars begin
_VALUES = 62  # kept free to the right of the bars
_LEFT, _RIGHT, _TOP, _BOTTOM, _HEIGHT = 58, 14, 36, 50, 330  # of the curve's drawing
_HOVER_LIMIT = 250  # thresholds; a curve with more gets no hover text
_Scale = Callable[[float], float]
SERIES = ("miou", "precision", "recall")


@dataclass(frozen=True)
class Bars:
    """One labelled group of bars: a value per series, and marks on the first bar.

    Attributes:
        label: beside the bars.
        values: per cent, None where there is none.
        oracle: where a thin extension of the first bar ends.
        paper: where a diamond stands.
    """

    label: str
    values: tuple[float | None, ...]
    oracle: float | None = None
    paper: float | None = None


def bar_chart(groups: Sequence[Bars], title: str, top: float | None = None) -> str:
    """Horizontal bars from zero, one group below the other, with their values in a column.

    Args:
        groups: all with the same number of values.
        title: what a screen reader says.
        top: the right end of the axis, per cent; by default a round number above every value.
    """
    series = max((len(group.values) for group in groups), default=1)
    pitch = 44 if series == 1 else 18 * series + 10
    height = pitch * len(groups) + 30
    top = top or axis_top(groups)
    scale = (WIDTH - _LABELS - _VALUES) / top
    parts = [_open(height, title)]
    for tick in ticks(0, top, 5):
        x = _LABELS + tick * scale
        parts.append(_line("grid", x, 0, x, height - 26))
        parts.append(_text("tick", x, height - 8, f"{tick:g}", "middle"))
    for number, group in enumerate(groups):
        parts += _group(group, number * pitch, pitch, scale)
    parts.append(_line("axis", _LABELS, 0, _LABELS, height - 26))
    return "".join([*parts, "</svg>"])


def axis_top(groups: Sequence[Bars]) -> float:
    """A round number of per cent that no value of `groups` exceeds."""
    values = [v for g in groups for v in (*g.values, g.oracle, g.paper) if _finite(v)]
    return max(10.0, 10.0 * math.ceil(max((v or 0.0 for v in values), default=0.0) / 10))


def curve_chart(
    curve: Sequence[Point],
    chosen: Point | None,
    oracle: Point | None,
    title: str,
    choice: str = "fixed",
) -> str:
    """mIoU, precision and recall against the background threshold; two thresholds marked.

    Args:
        curve: ascending in threshold; points without a threshold are left out.
        chosen: the score at the threshold fixed beforehand, or selected.
        oracle: the score at the best threshold.
        title: what a screen reader says.
        choice: how the chosen threshold came about.
    """
    points = [point for point in curve if _finite(point.threshold)]
    at = [float(point.threshold or 0.0) for point in points] or [0.0]
    low, high = min(at), max(at)
    if high <= low:
        low, high = low - 0.05, high + 0.05
    right, floor = WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x(threshold: float) -> float:
        return _LEFT + (threshold - low) / (high - low) * (right - _LEFT)

    def y(value: float) -> float:
        return floor - value / 100 * (floor - _TOP)

    parts = [_open(_HEIGHT, title)]
    for tick in range(0, 101, 20):
        parts.append(_line("axis" if tick == 0 else "grid", _LEFT, y(tick), right, y(tick)))
        parts.append(_text("tick", _LEFT - 8, y(tick) + 4, str(tick), "end"))
    for threshold in ticks(low, high, 7):
        parts.append(_line("axis", x(threshold), floor, x(threshold), floor + 5))
        parts.append(_text("tick", x(threshold), floor + 20, f"{threshold:g}", "middle"))
    middle = (_TOP + floor) / 2
    parts.append(_text("title", (_LEFT + right) / 2, _HEIGHT - 6, "background threshold", "middle"))
    parts.append(
        f'<text class="title" text-anchor="middle" transform="translate(15 {middle:.1f}) '
        'rotate(-90)">per cent</text>'
    )
    placed = [(x(float(point.threshold or 0.0)), point) for point in points]
    parts += [_series(name, placed, y) for name in SERIES]
    parts += _thresholds(chosen, choice, oracle, x, y)
    if len(points) <= _HOVER_LIMIT:
        step = (right - _LEFT) / max(1, len(points) - 1)
        parts += [_hover(point, across - step / 2, step, floor) for across, point in placed]
    return "".join([*parts, "</svg>"])


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` + 1 round numbers (1, 2 or 5 times a power of ten apart) in [low, high]."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * f for f in (1, 2, 5, 10) if power * f >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _group(group: Bars, top: float, pitch: float, scale: float) -> list[str]:
    middle = top + pitch / 2
    label = group.label if len(group.label) <= 17 else group.label[:16] + "…"
    parts = [
        f'<g class="{"single" if len(group.values) == 1 else "many"}">'
        f"<title>{escape(group.label)}</title>",
        _text("label", _LABELS - 10, middle + 5, label, "end"),
    ]
    thick = 22 if len(group.values) == 1 else 14
    first = middle - thick * len(group.values) / 2 - (len(group.values) - 1) * 2
    for i, value in enumerate(group.values):
        y = first + i * (thick + 4)
        if _finite(value):
            parts.append(_bar(f"bar s{i}", _LABELS, y, (value or 0.0) * scale, thick))
        shown = f"{value:.1f}" if _finite(value) else MISSING
        parts.append(_text("value", WIDTH - 2, y + thick / 2 + 5, shown, "end"))
    if _finite(group.oracle):
        start = _LABELS + (group.values[0] or 0.0) * scale
        end = _LABELS + (group.oracle or 0.0) * scale
        parts.append(_line("reach", min(start, end), middle, end, middle))
        parts.append(_line("reach", end, middle - 6, end, middle + 6))
    if _finite(group.paper):
        x = _LABELS + (group.paper or 0.0) * scale
        parts.append(f'<path class="paper" d="M{x:.1f} {middle - 6:.1f}l6 6l-6 6l-6-6z"/>')
    return [*parts, "</g>"]


def _series(name: str, points: list[tuple[float, Point]], y: _Scale) -> str:
    """A polyline with one vertex per point whose value is a number."""
    values = [(x, getattr(point, name)) for x, point in points]
    path = " ".join(f"{x:.1f},{y(value):.1f}" for x, value in values if _finite(value))
    return f'<polyline class="line {name}" points="{path}"/>'


def _thresholds(
    chosen: Point | None, choice: str, oracle: Point | None, x: _Scale, y: _Scale
) -> list[str]:
    """A labelled vertical line per threshold, and a dot where it meets the mIoU."""
    marked = [
        (x(float(point.threshold or 0.0)), kind, name, point)
        for kind, name, point in (("fixed", choice, chosen), ("oracle", "oracle", oracle))
        if point is not None and _finite(point.threshold)
    ]
    if len(marked) == 2 and marked[0][0] == marked[1][0]:
        marked = [(marked[0][0], "fixed", f"{choice} = oracle", marked[0][3])]
    marked.sort(key=lambda item: item[0])
    parts = []
    for place, (across, kind, name, point) in enumerate(marked):
        parts.append(_line(f"threshold {kind}", across, _TOP - 22, across, _HEIGHT - _BOTTOM))
        label = f"{name} {threshold_text(point.threshold)}"
        parts.append(_threshold_label(label, across, to_left=place < len(marked) - 1))
        if _finite(point.miou):
            parts.append(
                f'<circle class="dot {kind}" cx="{across:.1f}" cy="{y(point.miou):.1f}" r="4.5"/>'
            )
    return parts


def _threshold_label(text: str, x: float, to_left: bool) -> str:
    """Beside the top of its line, on the side away from the other's; a row lower if that is full."""
    room = 10.0 * len(text)  # with the larger letters
    if to_left:
        return (
            _text("note", x - 6, _TOP - 12, text, "end")
            if x > room
            else _text("note", x + 6, _TOP + 6, text, "start")
        )
    if x + room < WIDTH:
        return _text("note", x + 6, _TOP - 12, text, "start")
    return _text("note", x - 6, _TOP + 6, text, "end")


def _hover(point: Point, x: float, width: float, floor: float) -> str:
    values = ", ".join(
        f"{word} {value:.1f}" if _finite(value) else f"{word} {MISSING}"
        for word, value in (
            ("mIoU", point.miou),
            ("precision", point.precision),
            ("recall", point.recall),
        )
    )
    return (
        f'<rect class="hover" x="{x:.1f}" y="{_TOP}" width="{width:.1f}" '
        f'height="{floor - _TOP}"><title>threshold {threshold_text(point.threshold)}: {values}</title></rect>'
    )


def _open(height: float, title: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height:g}" role="img" '
        f'aria-label="{escape(title)}" preserveAspectRatio="xMinYMin meet">'
    )


def _line(name: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{name}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(name: str, x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _bar(name: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.0):.1f}" '
        f'height="{height:.1f}"/>'
    )


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
