"""Pieces of inline SVG. Colours and text sizes are the page's, by class name.

Coordinates are those of a drawing that is about as wide as it is shown on a desktop, in CSS pixels; room is left for
the larger letters that the page's style sheet gives it on a telephone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import TypeGuard

from markupsafe import Markup

_LARGEST = 1e100
WIDTH = 520  # of a drawing of which two stand beside each other


@dataclass(frozen=True)
class Frame:
    """A pair of axes: `x` and `y` are the values at the ends of the axes, the rest is in pixels."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = WIDTH
    height: float = 330
    left: float = 58
    right: float = 14
    top: float = 36
    bottom: float = 50

    @property
    def floor(self) -> float:
        """The height of the horizontal axis."""
        return self.height - self.bottom

    @property
    def end(self) -> float:
        """The right end of the horizontal axis."""
        return self.width - self.right

    def across(self, value: float) -> float:
        low, high = self.x
        return self.left + (value - low) / (high - low) * (self.end - self.left)

    def up(self, value: float) -> float:
        low, high = self.y
        return self.floor - (value - low) / (high - low) * (self.floor - self.top)

    def axes(
        self, x_title: str, y_title: str, most: tuple[int, int] = (7, 5), grid: bool = True
    ) -> list[str]:
        """Ticks, at most `most` + 1 of them in x and y, horizontal grid lines, and the titles."""
        parts = []
        for tick in ticks(*self.y, most[1]):
            at = self.up(tick)
            if grid:
                parts.append(line("grid", self.left, at, self.end, at))
            parts.append(text("tick", self.left - 8, at + 4, f"{tick:g}", "end"))
        parts.append(line("axis", self.left, self.floor, self.end, self.floor))
        for tick in ticks(*self.x, most[0]):
            at = self.across(tick)
            parts.append(line("axis", at, self.floor, at, self.floor + 5))
            parts.append(text("tick", at, self.floor + 20, f"{tick:g}", "middle"))
        across, up = (self.left + self.end) / 2, (self.top + self.floor) / 2
        parts.append(text("title", across, self.height - 6, x_title, "middle"))
        turned = f"translate(15 {up:.1f}) rotate(-90)"
        parts.append(f'<g transform="{turned}">{text("title", 0, 0, y_title, "middle")}</g>')
        return parts

    def path(self, name: str, points: Iterable[tuple[float, float]], title: str = "") -> str:
        """A polyline through those of `points` whose values are numbers."""
        vertices = " ".join(
            f"{self.across(x):.1f},{self.up(y):.1f}" for x, y in points if finite(x) and finite(y)
        )
        said = f"<title>{escape(title)}</title>" if title else ""
        return f'<polyline class="{name}" points="{vertices}">{said}</polyline>'


def svg(width: float, height: float, title: str, parts: Iterable[str], name: str = "") -> Markup:
    """The drawing of `parts`; `title` is what a screen reader says."""
    names = f"chart {name}".rstrip()
    return Markup(
        f'<svg class="{names}" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="{escape(title)}" preserveAspectRatio="xMinYMin meet">{"".join(parts)}</svg>'
    )


def line(name: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{name}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(name: str, x: float, y: float, words: str, anchor: str) -> str:
    at = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{name}" {at}>{escape(words)}</text>'


def badge(name: str, x: float, y: float, number: int, title: str = "") -> str:
    """The number of a row of the comparison in a disc."""
    said = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<g class="badge {name}">{said}<circle cx="{x:.1f}" cy="{y:.1f}" r="8.5"/>'
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" dominant-baseline="central">{number}'
        "</text></g>"
    )


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` + 1 round numbers (1, 2 or 5 times a power of ten apart) in [low, high]."""
    raw = (high - low) / most
    if not 0 < raw < _LARGEST:
        return []
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * f for f in (1, 2, 5, 10) if power * f >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def finite(value: float | None) -> TypeGuard[float]:
    """Can a chart show `value`? The differences of larger numbers are no numbers any more."""
    return value is not None and abs(value) < _LARGEST
