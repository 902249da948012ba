"""Precision against recall as inline SVG: which rows mark too much, and which too little."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from wsssbench.pages.row_styles import RowStyle
from wsssbench.pages.svg import Frame, badge, line, svg, text

_DISC = 17.0  # pixels across
_LEVELS = range(10, 100, 10)  # per cent of F1, of the guide lines


@dataclass(frozen=True)
class Dot:
    """A row's, or a rung's, mean precision and recall, per cent, both finite."""

    style: RowStyle
    precision: float
    recall: float


def scatter_chart(
    dots: Sequence[Dot], title: str, joined: Sequence[tuple[Dot, Dot]] = ()
) -> Markup:
    """Precision over recall, both at the same scale, with lines of equal F1 and the diagonal.

    Below the diagonal precision is the lower one: more is marked than there is. The discs have numbers; the page
    has their names in a table.

    Args:
        dots: at least one.
        title: what a screen reader says, before the numbers.
        joined: pairs of them that a line joins.
    """
    frame = _frame(dots)
    said = "; ".join(f"{d.style.title} {d.precision:.1f}, {d.recall:.1f}" for d in dots)
    parts = frame.axes("recall, per cent", "precision, per cent", (6, 6), grid=False)
    parts += _guides(frame)
    parts += [frame.path("way", [(d.recall, d.precision) for d in pair]) for pair in joined]
    places = _apart(
        [(frame.across(dot.recall), frame.up(dot.precision)) for dot in dots], frame.end
    )
    order = sorted(range(len(dots)), key=lambda place: dots[place].style.emphasised)
    for dot, (x, y) in ((dots[place], places[place]) for place in order):
        told = f"{dot.style.title}: precision {dot.precision:.1f}, recall {dot.recall:.1f}"
        parts.append(line("leader", frame.across(dot.recall), frame.up(dot.precision), x, y))
        parts.append(badge(f"{dot.style.css} solid", x, y, dot.style.number, told))
    return svg(frame.width, frame.height, f"{title}: {said}", parts)


def _apart(places: Sequence[tuple[float, float]], end: float) -> list[tuple[float, float]]:
    """Where the discs go so that every number can be read: beside those that they would lie on, and before `end`."""
    found: list[tuple[float, float]] = []
    for x, y in places:
        step = _DISC
        while near := [other for other in found if math.dist((x, y), other) < _DISC - 0.1]:
            outermost = max(near) if step > 0 else min(near)
            x = outermost[0] + step
            if x > end - _DISC / 2:
                x, step = min(near)[0] - _DISC, -_DISC
        found.append((x, y))
    return found


def _frame(dots: Sequence[Dot]) -> Frame:
    """Axes of equal scale that hold every dot, at least 16 per cent wide, between 0 and 100 where that is possible."""
    frame = Frame((0, 1), (0, 1), height=440, top=16)
    sides = (frame.end - frame.left, frame.floor - frame.top)
    values = ([dot.recall for dot in dots], [dot.precision for dot in dots])
    spans = [max(of) - min(of) for of in values]
    scale = max(16 / sides[1], *(1.3 * s / side for s, side in zip(spans, sides, strict=True)))
    scale = min(scale, 100 / sides[1])  # per cent per pixel
    ranges = []
    for of, side in zip(values, sides, strict=True):
        span = scale * side
        low = max(0.0, min((min(of) + max(of) - span) / 2, 100 - span))
        ranges.append((low, low + span))
    return replace(frame, x=ranges[0], y=ranges[1])


def _guides(frame: Frame) -> Iterator[str]:
    """Lines of equal F1, the diagonal, and what its two sides mean."""
    for level in _LEVELS:
        recalls = [frame.x[0] + i / 100 * (frame.x[1] - frame.x[0]) for i in range(101)]
        curve = [(r, level * r / (2 * r - level)) for r in recalls if 2 * r > level]
        curve = [(r, p) for r, p in curve if frame.y[0] <= p <= frame.y[1]]
        if len(curve) > 1:
            yield frame.path("guide", curve, f"F1 {level}")
            x, y = frame.across(curve[-1][0]), frame.up(curve[-1][1])
            if x > frame.end - 2 and y < frame.floor - 60:
                yield text("level", frame.end - 3, y - 5, f"F1 {level}", "end")
    low, high = max(frame.x[0], frame.y[0]), min(frame.x[1], frame.y[1])
    if high > low:
        yield frame.path("diagonal", [(low, low), (high, high)])
    yield text("region", frame.left + 8, frame.top + 14, "under-activation", "start")
    yield text("region", frame.end - 8, frame.floor - 10, "over-activation", "end")
