"""A report of several rows looks at one rung, and at two rows, A and B, whose images it compares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wsssbench.errors import UserError, unknown
from wsssbench.results.collection import Collection
from wsssbench.results.layout import RungNames, Scored
from wsssbench.results.metrics import METRICS, Metric, Stat, as_scored, metric_named
from wsssbench.results.notes import nothing_scored
from wsssbench.results.protocol import card_differences


@dataclass(frozen=True)
class Selection:
    """The rung and the rows that a report looks at.

    Attributes:
        rung: its title.
        metric: by which rows are ranked.
        scored: row -> its runs that have the rung, by seed; rows without any are left out.
        ranked: the rows of `scored`, best first, those of another protocol last.
        a, b: two of them; None if there is only one.
    """

    rung: str
    metric: Metric
    scored: Mapping[str, tuple[Scored, ...]]
    ranked: tuple[str, ...]
    a: str | None = None
    b: str | None = None

    @property
    def pair(self) -> tuple[str, ...]:
        """B and A, as far as there are such rows."""
        return tuple(row for row in (self.b, self.a) if row)

    def stat(self, row: str) -> Stat | None:
        """Mean and spread of the metric over the seeds of `row`."""
        return _stat(self.scored.get(row, ()), self.metric)


def select(
    collection: Collection,
    rung: str | None = None,
    metric: str = "miou",
    a: str | None = None,
    b: str | None = None,
) -> Selection:
    """The selection; by default the last rung that every row has, the baseline as B, the best of the others as A.

    Raises:
        UserError: nothing was scored; an unknown rung, metric or row.
    """
    names = RungNames(collection.members)
    if not names.titles:
        raise UserError(nothing_scored(collection))
    of_rows = {
        row: [(member, names.of(member)) for member in collection.of(row)]
        for row in collection.rows
    }
    if rung is None:  # the last one that every row has, or that most rows have
        counts = [
            sum(any(title in evaluations for _, evaluations in runs) for runs in of_rows.values())
            for title in names.titles
        ]
        title = [t for t, count in zip(names.titles, counts, strict=True) if count == max(counts)][
            -1
        ]
    else:
        title = names.named(rung)
    scored = {
        row: shown
        for row, runs in of_rows.items()
        if (shown := tuple(Scored(m, of[title]) for m, of in runs if title in of))
    }
    chosen = METRICS[metric_named(metric, (one.evaluation for of in scored.values() for one in of))]
    for option, given in (("--a", a), ("--b", b)):
        if given is not None and given not in scored:
            raise UserError(f"{option}: {unknown('row', given, scored)}")
    if a is not None and a == b:
        raise UserError(f"--a and --b are both {a}: name two rows")
    others = [row for row in scored if row != a]
    if b is None:
        b = collection.baseline if collection.baseline in others else next(iter(others), None)
    ranked = _ranked(scored, chosen, b)
    a = a or next((row for row in (*ranked, *scored) if row != b), None)
    pair = (a, b) if a and b else (None, None)
    return Selection(title, chosen, scored, ranked, *pair)


def _ranked(
    scored: Mapping[str, tuple[Scored, ...]], metric: Metric, base: str | None
) -> tuple[str, ...]:
    """Rows that have the number, best first; those of another protocol than `base` do not compete and come last."""
    means = {row: stat.mean for row in scored if (stat := _stat(scored[row], metric))}
    firsts = {row: as_scored(scored[row][0].evaluation, metric) for row in means}
    odd = {
        row: base in firsts and bool(card_differences(firsts[base], first))
        for row, first in firsts.items()
    }
    return tuple(sorted(means, key=lambda row: (odd[row], -means[row])))


def _stat(runs: Iterable[Scored], metric: Metric) -> Stat | None:
    return Stat.of(metric.of(one.evaluation) for one in runs)
