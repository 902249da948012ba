"""Paired differences between two rows of a comparison, with bootstrap intervals over images."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wsssbench.evaluation.bootstrap import Scores, interval, resampled
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.progress import Progress, Silent
from wsssbench.results.collection import Member
from wsssbench.results.ladder import Stat
from wsssbench.results.measures import Metric, point, stored_choice
from wsssbench.results.run import Rung

LONG = 5.0  # seconds of expected work that are worth a progress bar
SEED = 0  # of the drawing of images: the same for every run, so that they are paired


@dataclass(frozen=True)
class Difference:
    """How much a row differs from the baseline, per cent points.

    Attributes:
        stat: over the seeds that both have.
        low: the interval of the mean over images; None if the counts per image are lost.
        high: its other end.
    """

    stat: Stat
    low: float | None
    high: float | None


class Scored(NamedTuple):
    """One run at one rung."""

    member: Member
    rung: Rung


@dataclass(frozen=True)
class _Drawn:
    """The resamples of one run, and what tells whether another run's are of the same images and classes."""

    images: str
    scores: Scores


class Differences:
    """Differences to the runs of a baseline.

    Args:
        resamples: of the bootstrap; each run is resampled once, whatever is computed from it.
        confidence: of the intervals, in (0, 1).
    """

    def __init__(self, resamples: int, confidence: float) -> None:
        self.resamples, self.confidence = resamples, confidence
        self._drawn: dict[tuple[Path, str, str], _Drawn | None] = {}

    def prepare(self, wanted: Iterable[tuple[Scored, Metric]], progress: Progress) -> None:
        """Resample the runs of `wanted`, each once; `progress` hears of it if it takes long."""
        todo = {_key(scored, metric): scored for scored, metric in wanted}
        with (progress if self._seconds(todo.values()) > LONG else Silent()).track(
            "bootstrap", total=len(todo)
        ) as task:
            for key, scored in todo.items():
                self._drawn[key] = self._draw(scored.member, *key[1:])
                task.advance(note=scored.member.row)

    def _seconds(self, runs: Iterable[Scored]) -> float:
        """About how long resampling takes, by the images and classes that the cards tell of."""
        seconds = 0.0
        for member, rung in runs:
            images = int(rung.card.get("images") or 0)
            products = 3 * (len(member.result.class_names) + 1)
            seconds += images * self.resamples * (3e-8 + 3e-10 * products)
        return seconds

    def of(
        self, ours: Mapping[int, Scored], baseline: Mapping[int, Scored], metric: Metric
    ) -> tuple[Difference | None, str]:
        """`ours` - `baseline`, both by seed, and a phrase about what is wrong with it, mostly empty.

        There is no difference if they share no seed, or were scored on other images; and no interval if
        the counts per image of one of them are lost.
        """
        pairs = [(ours[seed], baseline[seed]) for seed in sorted(ours.keys() & baseline.keys())]
        values = [_value(one, metric) - _value(other, metric) for one, other in pairs]
        stat = Stat.of(values)
        if stat is None:
            return None, "no seed in common"
        pairs = [pair for pair, value in zip(pairs, values, strict=True) if math.isfinite(value)]
        drawn = [[self._drawn.get(_key(scored, metric)) for scored in pair] for pair in pairs]
        there = [(one, other) for one, other in drawn if one and other]
        if any(one.images != other.images for one, other in there):
            return None, "scored on other images or classes"
        if len(there) < len(pairs):
            return Difference(stat, None, None), "no interval: counts per image are lost"
        sides = [
            [getattr(part.scores, metric.measure) for part in side]
            for side in zip(*there, strict=True)
        ]
        low, high = interval(sides[0], sides[1], self.confidence)
        if not math.isfinite(low):
            return Difference(stat, None, None), ""
        return Difference(stat, low, high), ""

    def _draw(self, member: Member, node: str, choice: str) -> _Drawn | None:
        stored = (member.image_counts(node) or {}).get(choice)
        if stored is None or not stored.ids:
            return None
        order = np.argsort(np.array(stored.ids))  # so that equal images are equal rows in every run
        parts = (stored.counts.correct, stored.counts.predicted, stored.counts.true)
        counts = ClassCounts(*(part[order] for part in parts))
        # The pixels of every class in every image: equal if and only if the truth is.
        images = hashlib.sha256("\n".join(sorted(stored.ids)).encode())
        images.update(np.ascontiguousarray(counts.true, np.int64).tobytes())
        images.update("\n".join(member.result.class_names).encode())
        return _Drawn(images.hexdigest(), resampled(counts, self.resamples, SEED))


def _key(scored: Scored, metric: Metric) -> tuple[Path, str, str]:
    return scored.member.directory, scored.rung.node, stored_choice(scored.rung, metric)


def _value(scored: Scored, metric: Metric) -> float:
    found = point(scored.rung, metric)
    return math.nan if found is None else getattr(found, metric.measure)
