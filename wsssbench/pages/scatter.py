"""Precision against recall as inline SVG: which rows mark too much, and which too little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wsssbench.pages.keys import RowKey
from wsssbench.pages.svg import Frame, badge, finite, opened, text, width_of

_LEVELS = tuple(range(10, 100, 10))  # per cent of F1, of the guide lines
_LABEL = 210  # pixels; a longer name is in the legend only
_DISC = 9  # radius


@dataclass(frozen=True)
class Dot:
    """A row's, or a rung's, mean precision and recall, per cent."""

    key: RowKey
    precision: float
    recall: float


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def scatter_chart(dots: Sequence[Dot], title: str, joined: Sequence[Dot] = ()) -> str:
    """Precision over recall, both at the same scale, with lines of equal F1 and the diagonal.

    Below the diagonal precision is the lower one: more is marked than there is. Names stand beside their discs where
    there is room, numbers always.

    Args:
        dots: at least one with numbers.
        title: what a screen reader says.
        joined: those of them that a line joins, in order.
    """
    there = [dot for dot in dots if finite(dot.precision) and finite(dot.recall)]
    frame = Frame(*_domain(there), height=440, top=16, left=58, bottom=50)
    parts = [opened(frame.width, frame.height, title)]
    parts += frame.axes("recall, per cent", "precision, per cent", (6, 6), grid=False)
    parts += _guides(frame)
    if joined:
        parts.append(frame.path("way", [(dot.recall, dot.precision) for dot in joined]))
    taken = [_disc(frame, dot) for dot in there]
    labels = []
    for dot in sorted(there, key=lambda dot: not dot.key.emphasised):
        if not dot.key.emphasised or width_of(dot.key.name) > _LABEL:
            continue
        label = dot.key.name
        for box, anchor in _places(_disc(frame, dot), width_of(label)):
            if _inside(frame, box) and not any(box.meets(other) for other in taken):
                taken.append(box)
                at = box.left if anchor == "start" else box.right
                labels.append(text("note", at, box.bottom - 4, label, anchor))
                break
    for dot in sorted(there, key=lambda dot: dot.key.emphasised):
        x, y = frame.across(dot.recall), frame.up(dot.precision)
        said = f"{dot.key.title}: precision {dot.precision:.1f}, recall {dot.recall:.1f}"
        parts.append(badge(f"{dot.key.css} solid", x, y, dot.key.number, said))
    return "".join([*parts, *labels, "</svg>"])


def _domain(dots: Sequence[Dot]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ranges of recall and precision of equal scale that hold every dot, at least 16 per cent wide."""
    frame = Frame((0, 1), (0, 1), height=440, top=16, left=58, bottom=50)
    wide, high = frame.end - frame.left, frame.floor - frame.top
    recalls, precisions = [dot.recall for dot in dots], [dot.precision for dot in dots]
    spans = [max(v) - min(v) for v in (recalls, precisions)]
    scale = max(16.0 / high, 1.3 * spans[0] / wide, 1.3 * spans[1] / high)  # per cent per pixel
    scale = min(scale, 100.0 / high)
    return _around(recalls, scale * wide), _around(precisions, scale * high)


def _around(values: Sequence[float], span: float) -> tuple[float, float]:
    """A range of `span` with `values` in its middle, not below 0 and, if it can be, not above 100."""
    low = (min(values) + max(values) - span) / 2
    low = max(0.0, min(low, 100.0 - span))
    return low, low + span


def _guides(frame: Frame) -> Iterator[str]:
    """Lines of equal F1, the diagonal, and what its two sides mean."""
    for level in _LEVELS:
        curve = []
        for step in range(101):
            recall = frame.x[0] + step / 100 * (frame.x[1] - frame.x[0])
            if 2 * recall > level:
                precision = level * recall / (2 * recall - level)
                if frame.y[0] <= precision <= frame.y[1]:
                    curve.append((recall, precision))
        if len(curve) > 1:
            yield frame.path("guide", curve, f"F1 {level}")
            at = frame.across(curve[-1][0]), frame.up(curve[-1][1])
            if at[0] > frame.end - 2 and at[1] < frame.floor - 60:
                yield text("level", frame.end - 3, at[1] - 5, f"F1 {level}", "end")
    low, high = max(frame.x[0], frame.y[0]), min(frame.x[1], frame.y[1])
    if high > low:
        yield frame.path("diagonal", [(low, low), (high, high)])
    yield text("region", frame.left + 8, frame.top + 14, "under-activation", "start")
    yield text("region", frame.end - 8, frame.floor - 10, "over-activation", "end")


def _disc(frame: Frame, dot: Dot) -> _Box:
    x, y = frame.across(dot.recall), frame.up(dot.precision)
    return _Box(x - _DISC, y - _DISC, x + _DISC, y + _DISC)


def _places(disc: _Box, width: float) -> Iterator[tuple[_Box, str]]:
    """Where a label may stand: right, left, above, below its disc."""
    middle = (disc.top + disc.bottom) / 2
    for left, top in (
        (disc.right + 6, middle - 9),
        (disc.left - 6 - width, middle - 9),
        (disc.right - 6, disc.top - 16),
        (disc.right - 6, disc.bottom - 2),
        (disc.left + 6 - width, disc.top - 16),
        (disc.left + 6 - width, disc.bottom - 2),
    ):
        anchor = "start" if left > disc.left else "end"
        yield _Box(left, top, left + width, top + 18), anchor


def _inside(frame: Frame, box: _Box) -> bool:
    return (
        box.left > frame.left
        and box.right < frame.end
        and box.top > frame.top
        and box.bottom < frame.floor
    )
