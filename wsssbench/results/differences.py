"""Paired differences between two rows of a comparison, with intervals over images (bootstrap) and over seeds (t)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from wsssbench.evaluation.bootstrap import Scores, interval, resampled
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.progress import Progress, Silent
from wsssbench.results.comparison import Difference
from wsssbench.results.layout import Place, Scored
from wsssbench.results.metrics import Metric, Stat, metric_at, stored_choice
from wsssbench.results.separation import against

LONG = 1e8  # images times resamples that are worth a progress bar: they take about 5 seconds
SEED = 0  # of the drawing of images: the same for every run, so that they are paired
Sides = tuple[Mapping[int, Scored], Mapping[int, Scored]]  # a row and the baseline, by seed


class _Drawn(NamedTuple):
    """The resamples of one run, and what tells whether another run's are of the same images and classes."""

    images: str
    scores: Scores


def differences(
    wanted: Mapping[Place, Sides], resamples: int, confidence: float, progress: Progress
) -> dict[Place, tuple[Difference | None, list[str]]]:
    """The row minus the baseline at every place, and phrases about what is not as it seems.

    There is no difference if they share no seed, or were scored on other images; and no interval if
    the counts per image of one of them are lost.

    Args:
        wanted: the two sides at every place.
        resamples: of the bootstrap; each run is resampled once, whatever is computed from it.
        confidence: of the intervals, in (0, 1).
        progress: hears of it if it takes long.
    """
    todo = {
        _key(side[seed], metric_at(place.metric)): side[seed]
        for place, sides in wanted.items()
        for seed in sides[0].keys() & sides[1].keys()
        for side in sides
    }
    images = sum(int(one.evaluation.card.get("images") or 0) for one in todo.values())
    drawn = {}
    with (progress if images * resamples > LONG else Silent()).track(
        "bootstrap", total=len(todo)
    ) as task:
        for key, scored in todo.items():
            drawn[key] = _draw(scored, key[-1], resamples)
            task.advance(note=scored.member.row)
    return {
        place: _difference(sides, metric_at(place.metric), drawn, confidence)
        for place, sides in wanted.items()
    }


def over_seeds(
    found: Mapping[Place, Difference], wanted: Mapping[Place, Sides], confidence: float
) -> dict[Place, Difference]:
    """`found` with the paired t-interval over seeds of each difference, where it has enough of them.

    The levels are corrected (Holm) for the number of rows that are compared by one metric at one rung; a difference
    that was not `found` takes no part.

    Args:
        found: the differences.
        wanted: the two sides at every place, as of `differences`.
        confidence: one minus the chance that any row that is as good as the baseline gets an interval without 0.
    """
    families: dict[tuple[str, str, int | None], list[Place]] = {}
    for place in found:
        families.setdefault((place.rung, place.metric, place.seed), []).append(place)
    filled = dict(found)
    for places in families.values():
        ours = {str(at): _values(place, wanted[place][0]) for at, place in enumerate(places)}
        base = _values(places[0], wanted[places[0]][1])
        for place, versus in zip(places, against(base, ours, confidence), strict=True):
            if versus.low is not None:
                filled[place] = replace(found[place], seeds=versus.turned(place.row or ""))
    return filled


def _values(place: Place, side: Mapping[int, Scored]) -> dict[int, float]:
    metric = metric_at(place.metric)
    values = {seed: metric.of(one.evaluation) for seed, one in side.items()}
    return {seed: value for seed, value in values.items() if math.isfinite(value)}


def _difference(
    sides: Sides, metric: Metric, drawn: Mapping[tuple, _Drawn | None], confidence: float
) -> tuple[Difference | None, list[str]]:
    ours, theirs = sides
    pairs = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    values = [metric.of(one.evaluation) - metric.of(other.evaluation) for one, other in pairs]
    stat = Stat.of(values)
    if stat is None:
        return None, ["no seed in common"]
    pairs = [pair for pair, value in zip(pairs, values, strict=True) if math.isfinite(value)]
    resampled_pairs = [[drawn[_key(scored, metric)] for scored in pair] for pair in pairs]
    there = [(one, other) for one, other in resampled_pairs if one and other]
    if any(one.images != other.images for one, other in there):
        return None, ["scored on other images or classes"]
    ends: tuple[float | None, float | None] = (None, None)
    problems: list[str] = []
    if metric.of_class:
        return Difference(stat, *ends), problems  # resamples keep the means over classes only
    if len(there) < len(pairs):
        problems.append("no interval: counts per image are lost")
    else:
        of_seeds = zip(*there, strict=True)
        scores = [[getattr(one.scores, metric.measure) for one in side] for side in of_seeds]
        low, high = interval(scores[0], scores[1], confidence)
        ends = (low, high) if math.isfinite(low) else ends
    n = sum(math.isfinite(metric.of(one.evaluation)) for one in ours.values())
    if stat.n < n:
        problems.append(f"over the {stat.n} of {n} seeds that both have")
    return Difference(stat, *ends), problems


def _draw(scored: Scored, choice: str, resamples: int) -> _Drawn | None:
    """None if the counts per image are lost."""
    member = scored.member
    stored = (member.image_counts(scored.evaluation.node) or {}).get(choice)
    if stored is None or not stored.ids:
        return None
    order = np.argsort(np.array(stored.ids))  # so that equal images are equal rows in every run
    parts = (stored.counts.correct, stored.counts.predicted, stored.counts.true)
    counts = ClassCounts(*(part[order] for part in parts))
    # The pixels of every class in every image: equal if and only if the masks are.
    images = hashlib.sha256("\n".join(sorted(stored.ids)).encode())
    images.update(np.ascontiguousarray(counts.true, np.int64).tobytes())
    images.update("\n".join(member.result.class_names).encode())
    return _Drawn(images.hexdigest(), resampled(counts, resamples, SEED))


def _key(scored: Scored, metric: Metric) -> tuple:
    choice = stored_choice(scored.evaluation, metric)
    return scored.member.directory, scored.evaluation.node, choice
