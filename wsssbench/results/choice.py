"""What a report of several rows looks at: one rung, and two rows, A and B, whose images it compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wsssbench.errors import UserError, unknown
from wsssbench.results.collection import Collection, Member
from wsssbench.results.ladder import Stat, card_differences
from wsssbench.results.layout import Rungs
from wsssbench.results.measures import METRICS, Metric, as_scored, point
from wsssbench.results.notes import nothing_scored
from wsssbench.results.run import Rung


@dataclass(frozen=True)
class Choice:
    """What is looked at.

    Attributes:
        rung: its title.
        metric: the figure by which rows are ranked, of `METRICS`.
        scored: row -> its runs that have the rung, with it, by seed; rows without any are left out.
        ranked: the rows of `scored`, best first, those of another protocol last.
        a, b: two of them; None if there is only one.
    """

    rung: str
    metric: Metric
    scored: Mapping[str, tuple[tuple[Member, Rung], ...]]
    ranked: tuple[str, ...]
    a: str | None = None
    b: str | None = None

    def stat(self, row: str) -> Stat | None:
        """Mean and spread of the figure over the seeds of `row`."""
        return row_stat(self.scored.get(row, ()), self.metric)


def choose(
    collection: Collection,
    rung: str | None = None,
    metric: str = "miou",
    a: str | None = None,
    b: str | None = None,
) -> Choice:
    """The choice; by default the last rung that every row has, the baseline as B, the best of the others as A.

    Raises:
        UserError: nothing was scored; an unknown rung, metric or row.
    """
    rungs = Rungs(collection.members)
    if not rungs.titles:
        raise UserError(nothing_scored(collection))
    if metric not in METRICS:
        raise UserError(f"--metric: {unknown('metric', metric, METRICS)}")
    title = _last_shared(collection, rungs) if rung is None else rungs.named(rung)
    scored = {
        row: tuple((m, of[title]) for m in collection.of(row) if title in (of := rungs.of(m)))
        for row in collection.rows
    }
    scored = {row: members for row, members in scored.items() if members}
    if not any(rung.oracle for members in scored.values() for _, rung in members):
        metric = METRICS[metric].measure  # maps that need no threshold have no best one
    _check_rows(a, b, scored)
    b = b or _baseline(collection, [row for row in scored if row != a])
    ranked = _ranked(scored, METRICS[metric], b)
    a = a or next((row for row in (*ranked, *scored) if row != b), None)
    pair = (a, b) if a and b else (None, None)
    return Choice(title, METRICS[metric], scored, ranked, *pair)


def _ranked(
    scored: Mapping[str, tuple[tuple[Member, Rung], ...]], metric: Metric, base: str | None
) -> tuple[str, ...]:
    """Rows that have the figure, best first; those of another protocol than `base` do not compete and come last."""
    means = {row: stat.mean for row in scored if (stat := row_stat(scored[row], metric))}
    rungs = {row: as_scored(scored[row][0][1], metric) for row in means}
    odd = {
        row: base in rungs and bool(card_differences(rungs[base], rung))
        for row, rung in rungs.items()
    }
    return tuple(sorted(means, key=lambda row: (odd[row], -means[row])))


def _check_rows(a: str | None, b: str | None, scored: Mapping[str, object]) -> None:
    for option, given in (("--a", a), ("--b", b)):
        if given is not None and given not in scored:
            raise UserError(f"{option}: {unknown('row', given, scored)}")
    if a is not None and a == b:
        raise UserError(f"--a and --b are both {a}: name two rows")


def row_stat(members: tuple[tuple[Member, Rung], ...], metric: Metric) -> Stat | None:
    """Mean and spread of `metric` over runs at a rung."""
    points = [point(rung, metric) for _, rung in members]
    return Stat.of(getattr(found, metric.measure) for found in points if found)


def _last_shared(collection: Collection, rungs: Rungs) -> str:
    """The last rung that every row has, or that most rows have."""
    rows = [[rungs.of(m) for m in collection.of(row)] for row in collection.rows]
    counts = {title: sum(any(title in of for of in row) for row in rows) for title in rungs.titles}
    most = max(counts.values())
    return [title for title, count in counts.items() if count == most][-1]


def _baseline(collection: Collection, rows: list[str]) -> str | None:
    return collection.baseline if collection.baseline in rows else next(iter(rows), None)
