"""Is the best of several rows better than chance? Paired t-intervals over seeds, corrected for the number of rows.

    separation = separate({"A": {0: 48.1, 1: 48.6, 2: 48.3}, "B": {0: 53.0, 1: 53.9, 2: 53.2}})
    separation.ranks      # {"B": 1}
    separation.reason     # empty, or why nothing is best

Whatever a table marks as best comes from here. A row is the best if it has at least `MIN_SEEDS` seeds in common with
every other row and its paired interval against each of them excludes 0. The levels of these intervals are those of S.
Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979: with m
rows beside the best one, the clearest difference is tested at alpha / m, the next at alpha / (m - 1), and so on; the
first that fails ends it, and its level is that of all that are left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from scipy.special import stdtr, stdtrit

from wsssbench.results.formatting import interval, signed

MIN_SEEDS = 3
Values = Mapping[int, float]  # seed -> per cent


@dataclass(frozen=True)
class Versus:
    """The highest row minus another one, over the seeds that both have.

    Attributes:
        row: the other one.
        n: seeds in common.
        mean: of the differences, per cent points; None for n = 0.
        low, high: the paired interval, corrected for the number of rows; None below `MIN_SEEDS`.
        confidence: its level after the correction.
    """

    row: str
    n: int
    mean: float | None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None

    @property
    def separated(self) -> bool:
        """Is the difference larger than chance explains?"""
        return self.low is not None and self.low > 0

    def turned(self, row: str) -> Versus:
        """The same seen from the other side: `row` minus the row that was the first one."""
        mean, low, high = (
            None if end is None else -end for end in (self.mean, self.high, self.low)
        )
        return replace(self, row=row, mean=mean, low=low, high=high)


@dataclass(frozen=True)
class Separation:
    """What can be said about the order of several rows.

    Attributes:
        best: the row with the highest mean.
        others: it against each of the others, the next one first.
        ranks: row -> 1 for the best, 2 for the second, as far as they are separated from all below them.
        reason: why there is no best one; empty if there is.
    """

    best: str
    others: tuple[Versus, ...]
    ranks: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""


def separate(rows: Mapping[str, Values], confidence: float = 0.95) -> Separation | None:
    """Which of `rows` is the best, and which the second; None if fewer than two have values.

    Args:
        rows: name -> seed -> number, higher is better.
        confidence: one minus the chance that a row is called the best though another is as good.
    """
    order = sorted((row for row in rows if rows[row]), key=lambda row: -fmean(rows[row].values()))
    if len(order) < 2:
        return None
    best, *below = order
    others = against(rows[best], {row: rows[row] for row in below}, confidence)
    ranks: dict[str, int] = {}
    if all(one.separated for one in others):
        ranks[best] = 1
        second, *rest = below
        if rest and all(
            one.separated
            for one in against(rows[second], {row: rows[row] for row in rest}, confidence)
        ):
            ranks[second] = 2
    return Separation(
        best, others, ranks, "" if ranks else _reason(best, rows[best], others, confidence)
    )


def against(best: Values, others: Mapping[str, Values], confidence: float) -> tuple[Versus, ...]:
    """`best` minus each of `others`, in their order, with intervals whose levels together are `confidence`."""
    pairs = {row: _differences(best, values) for row, values in others.items()}
    p_values = {row: _p_value(differences) for row, differences in pairs.items()}
    levels = _holm(p_values, 1 - confidence)
    return tuple(_versus(row, differences, levels[row]) for row, differences in pairs.items())


def _differences(one: Values, other: Values) -> list[float]:
    return [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]


def _p_value(differences: Sequence[float]) -> float:
    """Two-sided, of the paired t-test; 1 where there are too few seeds to say anything."""
    if len(differences) < MIN_SEEDS:
        return 1.0
    mean, error = fmean(differences), _error(differences)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stdtr(len(differences) - 1, -abs(mean) / error))


def _holm(p_values: Mapping[str, float], alpha: float) -> dict[str, float]:
    """The level at which each of `p_values` is tested."""
    levels = {}
    level = alpha / max(1, len(p_values))
    failed = False
    for place, row in enumerate(sorted(p_values, key=p_values.__getitem__)):
        if not failed:
            level = alpha / (len(p_values) - place)
            failed = p_values[row] > level
        levels[row] = level
    return levels


def _versus(row: str, differences: Sequence[float], level: float) -> Versus:
    n = len(differences)
    if n < MIN_SEEDS:
        return Versus(row, n, fmean(differences) if n else None)
    mean = fmean(differences)
    reach = float(stdtrit(n - 1, 1 - level / 2)) * _error(differences)
    return Versus(row, n, mean, mean - reach, mean + reach, 1 - level)


def _error(differences: Sequence[float]) -> float:
    """The standard error of the mean."""
    n, mean = len(differences), fmean(differences)
    return math.sqrt(sum((one - mean) ** 2 for one in differences) / (n - 1) / n)


def _reason(best: str, values: Values, others: Sequence[Versus], confidence: float) -> str:
    """Why `best` is not the best, by the highest row that it is not separated from."""
    other = next(one for one in others if not one.separated)
    if other.mean is None or other.low is None or other.high is None:
        seeds = "seed" if other.n == 1 else "seeds"
        shared = f"{best} and {other.row} have {other.n} {seeds} in common"
        n = f"n = {other.n}" if other.n == len(values) else shared
        return f"{n}, and at least {MIN_SEEDS} seeds are needed to tell rows apart"
    rows = f", corrected for {len(others) + 1} rows (Holm)" if len(others) > 1 else ""
    return (
        f"{best} minus {other.row} is {signed(other.mean)} {interval(other.low, other.high)}, the paired "
        f"{100 * confidence:g} % interval over {other.n} seeds{rows}"
    )
