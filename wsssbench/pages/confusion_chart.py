"""A confusion matrix as inline SVG: what the pixels of every class were taken for."""

from __future__ import annotations

from html import escape

import numpy as np
from markupsafe import Markup

from wsssbench.evaluation.confusion_file import Confusion
from wsssbench.pages.svg import line, svg, text

WIDE = 24  # classes from which on the drawing needs the page's whole width
_LEAST = 0.5  # per cent of a line; less is not drawn
_LETTER = 6.6  # pixels of a letter, about
_LONGEST = 16  # letters of a name


def confusion_chart(confusion: Confusion, title: str) -> Markup:
    """A line per ground-truth class, a column per prediction; the darker, the more of the line's pixels.

    Classes that are neither in the masks nor predicted are left out, and so is "ignored" where nothing was.

    Args:
        confusion: pixels.
        title: what a screen reader says.
    """
    pixels = confusion.pixels
    rows = np.flatnonzero(pixels.sum(axis=1))
    names = [*confusion.names, "ignored"]
    columns = sorted({*rows.tolist(), *np.flatnonzero(pixels.sum(axis=0)).tolist()})
    shares = 100 * pixels / np.maximum(1, pixels.sum(axis=1, keepdims=True))
    longest = min(_LONGEST, max((len(names[i]) for i in columns), default=1))
    left, width = 14 + _LETTER * longest, 1080 if len(columns) > WIDE else 520
    side = min(44.0, (width - left - 8) / max(1, len(columns)))
    top = 36 + _LETTER * longest * 0.72
    numbered = side >= 24
    small = " tiny" if side < 15 else ""
    parts = [text("title", left, 12, "predicted, per cent of the ground-truth class", "start")]
    for place, column in enumerate(columns):
        x = left + (place + 0.5) * side
        turned = f"translate({x + 3:.1f} {top - 6:.1f}) rotate(-45)"
        name = text(f"tick{small}", 0, 0, _short(names[column]), "start")
        parts.append(f'<g transform="{turned}">{name}</g>')
    for line_, row in enumerate(rows):
        y = top + line_ * side
        name = _short(names[row])
        parts.append(text(f"tick{small}", left - 7, y + side / 2 + 4, name, "end"))
        for place, column in enumerate(columns):
            share = float(shares[row, column])
            if share >= _LEAST:
                said = f"{names[row]} taken for {names[column]}: {share:.1f} %"
                parts.append(_cell(left + place * side, y, side, share, row == column, said))
                if numbered:
                    light = " light" if share > 55 else ""
                    x = left + (place + 0.5) * side
                    parts.append(
                        text(f"share{light}", x, y + side / 2 + 4, f"{share:.0f}", "middle")
                    )
    across, down = left + len(columns) * side, top + len(rows) * side
    for place in range(len(rows) + 1):
        parts.append(line("grid", left, top + place * side, across, top + place * side))
    for place in range(len(columns) + 1):
        parts.append(line("grid", left + place * side, top, left + place * side, down))
    return svg(max(across + 0.72 * _LETTER * longest, 300), down + 4, title, parts, "confusion")


def _cell(x: float, y: float, side: float, share: float, right: bool, said: str) -> str:
    name = "right" if right else "wrong"
    place = f'x="{x:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}"'
    opacity = 0.08 + 0.92 * share / 100
    return f'<rect class="{name}" {place} fill-opacity="{opacity:.2f}"><title>{escape(said)}</title></rect>'


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
