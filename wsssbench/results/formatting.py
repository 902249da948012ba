"""How numbers, thresholds, and the values of protocol cards are worded, on the terminal as on the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from wsssbench.results.run import SMOKE, CardValue

MISSING = "–"
_SIGNS = "†‡§¶"


def number(value: float | None) -> str:
    """With one decimal; a dash for none."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.1f}"


def signed(value: float) -> str:
    """``+1.8`` or ``−0.4``."""
    return f"{value:+.1f}".replace("-", "−")


def interval(low: float, high: float) -> str:
    """``[1.1, 2.4]``."""
    return f"[{low:.1f}, {high:.1f}]".replace("-", "−")


def threshold_text(threshold: float | None) -> str:
    """Two decimals, more only where they are needed; a dash for none."""
    if threshold is None or not math.isfinite(threshold):
        return MISSING
    two = f"{threshold:.2f}"
    return two if abs(threshold - float(two)) < 5e-5 else f"{threshold:.4g}"


def thresholds_text(thresholds: Sequence[float]) -> str:
    """The thresholds of several runs, ascending: ``0.25``, or ``0.24–0.28`` if they differ; empty if there are none."""
    return "–".join(dict.fromkeys(threshold_text(t) for t in (*thresholds[:1], *thresholds[-1:])))


def card_value(value: CardValue) -> str:
    """The value of an entry of a protocol card."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def card_key(key: str) -> str:
    """The name of an entry of a protocol card."""
    return key.replace("_", " ")


def memory(mib: float) -> str:
    """``812 MiB`` or ``1.3 GiB``."""
    if not math.isfinite(mib):
        return MISSING
    return f"{mib:.0f} MiB" if mib < 1024 else f"{mib / 1024:.1f} GiB"


def pixels(count: int | None) -> str:
    """``812``, ``34 k`` or ``5.2 M``."""
    if count is None:
        return MISSING
    if count < 1e4:
        return str(count)
    return f"{count / 1e3:.0f} k" if count < 1e6 else f"{count / 1e6:.1f} M"


def size(count: int) -> str:
    """Bytes as people say them: ``512 B``, ``3.4 GB``."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return (
        f"{value:.0f} {units[0]}" if units[0] == "B" or value >= 99.5 else f"{value:.1f} {units[0]}"
    )


def day(created: str) -> str:
    """ISO 8601 as people write it: date and minute."""
    return created[:16].replace("T", " ")


def trial_text(trial: str) -> str:
    """Say what a run's `trial` means for its numbers; empty for a real run."""
    if trial == SMOKE:
        return "smoke run: a handful of images and tiny trainings, its numbers mean nothing"
    return f"trial run: {trial.removeprefix('limit')} images of each split at most" if trial else ""


def listed(words: Iterable[str]) -> str:
    """``a, b and c``."""
    *most, last = list(words) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def signs(notes: Iterable[int]) -> str:
    """The signs of footnotes by their indices: †, ‡, §, ¶, ††, ..."""
    return " ".join(
        _SIGNS[note % len(_SIGNS)] * (note // len(_SIGNS) + 1) for note in dict.fromkeys(notes)
    )
