"""Curves as inline SVG: one rung's scores by threshold, and one line per row of a comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from wsssbench.pages.keys import RowKey
from wsssbench.pages.svg import Frame, badge, finite, line, opened, text
from wsssbench.results.ladder import MISSING, threshold_text
from wsssbench.results.run import Point

SERIES = ("miou", "precision", "recall")
_HOVER_LIMIT = 250  # thresholds; a curve with more gets no hover text
_BELOW = 20.0  # per cent that are shown below the highest peak at least
_BADGES = (0.06, 0.94)  # between which shares of the axis the numbers of the lines are put


@dataclass(frozen=True)
class Line:
    """A line of a chart: (x, y) points in ascending x; a NaN in y is left out."""

    key: RowKey
    points: Sequence[tuple[float, float]]


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
    points = [point for point in curve if finite(point.threshold)]
    at = [float(point.threshold or 0.0) for point in points] or [0.0]
    frame = Frame(_span(at), (0, 100))
    parts = [opened(frame.width, frame.height, title)]
    parts += frame.axes("background threshold", "per cent")
    for name in SERIES:
        values = [(float(p.threshold or 0.0), getattr(p, name)) for p in points]
        parts.append(frame.path(f"line {name}", values))
    parts += _thresholds(chosen, choice, oracle, frame)
    if len(points) <= _HOVER_LIMIT:
        parts += _hovers(points, frame)
    return "".join([*parts, "</svg>"])


def line_chart(lines: Sequence[Line], x_title: str, y_title: str, title: str) -> str:
    """Lines over each other, those of emphasised rows in front, each with its row's number.

    The vertical axis shows where the lines have their peaks; what is far below them is cut off.

    Args:
        lines: at least one with a point.
        x_title, y_title: of the axes.
        title: what a screen reader says.
    """
    low, high = _room([y for one in lines for _, y in one.points if finite(y)])
    peaks = [max((y for _, y in one.points if finite(y)), default=high) for one in lines]
    low = max(low, max(peaks) - max(_BELOW, 2.5 * (max(peaks) - min(peaks))))
    frame = Frame(_span([x for one in lines for x, _ in one.points]), (low, high), top=14)
    parts = [opened(frame.width, frame.height, title), *frame.axes(x_title, y_title, (7, 6))]
    seen = [Line(one.key, [(x, y) for x, y in one.points if y >= low]) for one in lines]
    return "".join([*parts, *_lines(seen, frame), "</svg>"])


def small_chart(lines: Sequence[Line], title: str, numbered: bool) -> str:
    """As `line_chart`, at half the width, without titles of axes and, if not `numbered`, without numbers."""
    frame = Frame(
        _span([x for one in lines for x, _ in one.points]),
        _room([y for one in lines for _, y in one.points if finite(y)]),
        *(260, 170, 44, 8, 10, 26),
    )
    parts = [opened(frame.width, frame.height, title, "small"), *frame.axes("", "", (4, 4))]
    return "".join([*parts, *_lines(lines, frame, numbered), "</svg>"])


def _lines(lines: Sequence[Line], frame: Frame, numbered: bool = True) -> list[str]:
    parts = []
    for one in sorted(lines, key=lambda one: one.key.emphasised):  # the emphasised ones on top
        parts.append(frame.path(f"line {one.key.css}", one.points, one.key.title))
    shown = [one for one in lines if one.key.emphasised and one.points] if numbered else []
    for place, one in enumerate(shown):
        # Where lines lie on each other their numbers still stand beside each other.
        share = (place + 0.5) / len(shown)
        x, y = _nearest(one, frame, _BADGES[0] + share * (_BADGES[1] - _BADGES[0]))
        parts.append(
            badge(one.key.css, frame.across(x), frame.up(y), one.key.number, one.key.title)
        )
    return parts


def _nearest(one: Line, frame: Frame, share: float) -> tuple[float, float]:
    wanted = frame.x[0] + share * (frame.x[1] - frame.x[0])
    there = [(x, y) for x, y in one.points if finite(y)] or [(frame.x[0], frame.y[0])]
    return min(there, key=lambda point: abs(point[0] - wanted))


def _span(values: Sequence[float]) -> tuple[float, float]:
    """From the least to the largest of `values`, with something between them."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    return (low, high) if high > low else (low - 0.05, high + 0.05)


def _room(values: Sequence[float]) -> tuple[float, float]:
    """A range that holds `values` and some air; from zero if that is near."""
    low, high = _span(values)
    air = 0.06 * (high - low)
    return (0.0 if 0 <= low < 0.3 * high else low - air), high + air


def _thresholds(chosen: Point | None, choice: str, oracle: Point | None, frame: Frame) -> list[str]:
    """A labelled vertical line per threshold, and a dot where it meets the mIoU."""
    marked = [
        (frame.across(float(point.threshold or 0.0)), kind, name, point)
        for kind, name, point in (("fixed", choice, chosen), ("oracle", "oracle", oracle))
        if point is not None and finite(point.threshold)
    ]
    if len(marked) == 2 and marked[0][0] == marked[1][0]:
        marked = [(marked[0][0], "fixed", f"{choice} = oracle", marked[0][3])]
    marked.sort(key=lambda item: item[0])
    parts = []
    for place, (across, kind, name, point) in enumerate(marked):
        parts.append(line(f"threshold {kind}", across, frame.top - 22, across, frame.floor))
        label = f"{name} {threshold_text(point.threshold)}"
        parts.append(_threshold_label(label, across, place < len(marked) - 1, frame))
        if finite(point.miou):
            parts.append(
                f'<circle class="dot {kind}" cx="{across:.1f}" cy="{frame.up(point.miou):.1f}" r="4.5"/>'
            )
    return parts


def _threshold_label(label: str, x: float, to_left: bool, frame: Frame) -> str:
    """Beside the top of its line, on the side away from the other's; a row lower if that is full."""
    room = 10.0 * len(label)  # with the larger letters
    if to_left:
        return (
            text("note", x - 6, frame.top - 12, label, "end")
            if x > room
            else text("note", x + 6, frame.top + 6, label, "start")
        )
    if x + room < frame.width:
        return text("note", x + 6, frame.top - 12, label, "start")
    return text("note", x - 6, frame.top + 6, label, "end")


def _hovers(points: Sequence[Point], frame: Frame) -> list[str]:
    """A strip per threshold that tells its numbers."""
    step = (frame.end - frame.left) / max(1, len(points) - 1)
    parts = []
    for point in points:
        values = ", ".join(
            f"{word} {value:.1f}" if math.isfinite(value) else f"{word} {MISSING}"
            for word, value in (
                ("mIoU", point.miou),
                ("precision", point.precision),
                ("recall", point.recall),
            )
        )
        said = escape(f"threshold {threshold_text(point.threshold)}: {values}")
        x = frame.across(float(point.threshold or 0.0)) - step / 2
        parts.append(
            f'<rect class="hover" x="{x:.1f}" y="{frame.top}" width="{step:.1f}" '
            f'height="{frame.floor - frame.top}"><title>{said}</title></rect>'
        )
    return parts
