"""Numbers as the report says them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from wsssbench.results.ladder import MISSING
from wsssbench.results.run import CardValue


def memory(mib: float) -> str:
    """``812 MiB`` or ``1.3 GiB``."""
    if not math.isfinite(mib):
        return MISSING
    return f"{mib:.0f} MiB" if mib < 1024 else f"{mib / 1024:.1f} GiB"


def number(value: float | None) -> str:
    """With one decimal."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.1f}"


def signed(value: float) -> str:
    """``+1.8`` or ``−0.4``."""
    return f"{value:+.1f}".replace("-", "−")


def day(created: str) -> str:
    """ISO 8601 as people write it: date and minute."""
    return created[:16].replace("T", " ")


def said(value: CardValue) -> str:
    """An entry of a protocol card."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def listed(words: Iterable[str]) -> str:
    """``a, b and c``."""
    *most, last = list(words) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def card_lines(
    cards: Sequence[Mapping[str, CardValue]],
) -> list[tuple[str, list[str], bool]]:
    """Protocol cards side by side: (entry, its value per card, whether they differ)."""
    keys = list(dict.fromkeys(key for card in cards for key in card))
    lines = []
    for key in keys:
        values = [said(card[key]) if key in card else "" for card in cards]
        lines.append((key.replace("_", " "), values, len(set(values)) > 1))
    return lines
