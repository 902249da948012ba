"""Curves as inline SVG: one rung's scores by threshold, and one line per row of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from wsssbench.pages.row_styles import RowStyle
from wsssbench.pages.svg import Frame, badge, finite, line, svg, text
from wsssbench.results.formatting import number, threshold_text
from wsssbench.results.run import Point

SERIES = {"miou": "mIoU", "precision": "precision", "recall": "recall"}
_HOVER_LIMIT = 250  # thresholds; a curve with more gets no hover text
_NOTE = 150  # pixels for the label of a threshold
_BELOW = 20.0  # per cent that are shown below the highest peak at least
_BADGES = (0.06, 0.94)  # between which shares of the axis the numbers of the lines are put


@dataclass(frozen=True)
class Curve:
    """A line of a chart: (x, y) points in ascending x; a NaN in y is left out."""

    style: RowStyle
    points: Sequence[tuple[float, float]]

    @property
    def finite(self) -> list[tuple[float, float]]:
        return [(x, y) for x, y in self.points if finite(y)]


def curve_chart(
    curve: Sequence[Point],
    chosen: Point | None,
    oracle: Point | None,
    title: str,
    choice: str = "fixed",
) -> Markup:
    """mIoU, precision and recall against the background threshold; two thresholds marked.

    Args:
        curve: ascending in threshold; points without a threshold are left out.
        chosen: the score at the threshold fixed beforehand, or selected.
        oracle: the score at the best threshold.
        title: what a screen reader says.
        choice: how the chosen threshold came about.
    """
    points = [(point.threshold, point) for point in curve if finite(point.threshold)]
    frame = Frame(_span([at for at, _ in points]), (0, 100))
    parts = frame.axes("background threshold", "per cent")
    for name in SERIES:
        parts.append(frame.path(f"line {name}", [(at, getattr(p, name)) for at, p in points]))
    parts += _thresholds(chosen, choice, oracle, frame)
    if len(points) <= _HOVER_LIMIT:  # a strip per threshold that tells its numbers
        step = (frame.end - frame.left) / max(1, len(points) - 1)
        for at, point in points:
            values = [f"{word} {number(getattr(point, name))}" for name, word in SERIES.items()]
            said = escape(f"threshold {threshold_text(at)}: {', '.join(values)}")
            parts.append(
                f'<rect class="hover" x="{frame.across(at) - step / 2:.1f}" y="{frame.top}" '
                f'width="{step:.1f}" height="{frame.floor - frame.top}"><title>{said}</title></rect>'
            )
    return svg(frame.width, frame.height, title, parts)


def line_chart(curves: Sequence[Curve], x_title: str, y_title: str, title: str) -> Markup:
    """Lines over each other, those of emphasised rows in front, each with its row's number.

    The vertical axis shows where the lines have their peaks; what is far below them is cut off.

    Args:
        curves: at least one with a point.
        x_title, y_title: of the axes.
        title: what a screen reader says.
    """
    low, high = _room([y for one in curves for _, y in one.finite])
    peaks = [max((y for _, y in one.finite), default=high) for one in curves]
    low = max(low, max(peaks) - max(_BELOW, 2.5 * (max(peaks) - min(peaks))))
    frame = Frame(_span([x for one in curves for x, _ in one.points]), (low, high), top=14)
    seen = [Curve(one.style, [(x, y) for x, y in one.points if y >= low]) for one in curves]
    parts = [*frame.axes(x_title, y_title, (7, 6)), *_lines(seen, frame)]
    return svg(frame.width, frame.height, title, parts)


def small_chart(curves: Sequence[Curve], title: str, numbered: bool) -> Markup:
    """A `line_chart` at half the width, without titles of axes and, if not `numbered`, without numbers."""
    frame = Frame(
        _span([x for one in curves for x, _ in one.points]),
        _room([y for one in curves for _, y in one.finite]),
        *(260, 170, 44, 8, 10, 26),
    )
    parts = [*frame.axes("", "", (4, 4)), *_lines(curves, frame, numbered)]
    return svg(frame.width, frame.height, title, parts, "small")


def _lines(curves: Sequence[Curve], frame: Frame, numbered: bool = True) -> list[str]:
    parts = []
    for one in sorted(curves, key=lambda one: one.style.emphasised):  # the emphasised ones on top
        parts.append(frame.path(f"line {one.style.css}", one.points, one.style.title))
    shown = [one for one in curves if one.style.emphasised and one.finite] if numbered else []
    for place, one in enumerate(shown):
        # Where lines lie on each other their numbers still stand beside each other.
        share = _BADGES[0] + (place + 0.5) / len(shown) * (_BADGES[1] - _BADGES[0])
        wanted = frame.x[0] + share * (frame.x[1] - frame.x[0])
        x, y = min(one.finite, key=lambda point: abs(point[0] - wanted))
        parts.append(
            badge(one.style.css, frame.across(x), frame.up(y), one.style.number, one.style.title)
        )
    return parts


def _span(values: Sequence[float]) -> tuple[float, float]:
    """From the least to the largest of `values`, with something between them."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    # Numbers that are equal but for rounding are one number; the air is in proportion, else it would be lost in it.
    air = max(0.05, 0.05 * abs(low))
    return (low, high) if high - low > 1e-9 * air else (low - air, high + air)


def _room(values: Sequence[float]) -> tuple[float, float]:
    """A range that holds `values` and some air; from zero if that is near."""
    low, high = _span(values)
    air = 0.06 * (high - low)
    return (0.0 if 0 <= low < 0.3 * high else low - air), high + air


def _thresholds(chosen: Point | None, choice: str, oracle: Point | None, frame: Frame) -> list[str]:
    """A labelled vertical line per threshold, and a dot where it meets the mIoU."""
    marked = [
        (point.threshold, kind, name, point)
        for kind, name, point in (("fixed", choice, chosen), ("oracle", "oracle", oracle))
        if point is not None and finite(point.threshold)
    ]
    if len(marked) == 2 and marked[0][0] == marked[1][0]:
        marked = [(marked[0][0], "fixed", f"{choice} = oracle", marked[0][3])]
    parts = []
    for row, (at, kind, name, point) in enumerate(sorted(marked, key=lambda mark: mark[0])):
        x = frame.across(at)
        parts.append(line(f"threshold {kind}", x, frame.top - 22, x, frame.floor))
        # On the side away from the other line if there is room, and in a row of its own.
        to_left = (row < len(marked) - 1 and x > _NOTE) or x > frame.width - _NOTE
        anchor, shift = ("end", -6) if to_left else ("start", 6)
        y = frame.top - 12 + 18 * row
        parts.append(text("note", x + shift, y, f"{name} {threshold_text(at)}", anchor))
        if finite(point.miou):
            parts.append(
                f'<circle class="dot {kind}" cx="{x:.1f}" cy="{frame.up(point.miou):.1f}" r="4.5"/>'
            )
    return parts
