"""Where one row beats another and where it does not: their scores on every single image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.evaluation.image_counts import ImageCounts
from wsssbench.results.choice import Choice
from wsssbench.results.collection import Member
from wsssbench.results.measures import Metric, stored_choice
from wsssbench.results.run import Rung


@dataclass(frozen=True)
class ImagePair:
    """The scores of A and B on one image, per cent."""

    id: str
    a: float
    b: float

    @property
    def difference(self) -> float:
        return self.a - self.b


def image_pairs(choice: Choice) -> tuple[list[ImagePair], str]:
    """Every image that A and B of `choice` were both scored on, the largest gain of A first; or why there is none.

    A score is `image_scores`, averaged over the seeds.
    """
    if choice.a is None or choice.b is None:
        return [], "there are no two rows with scores"
    ours, theirs = (_mean_scores(choice.scored[row], choice.metric) for row in (choice.a, choice.b))
    lost = [row for row, found in ((choice.a, ours), (choice.b, theirs)) if not found]
    if lost:
        return [], f"the counts per image of {' and '.join(lost)} are not there"
    pairs = [ImagePair(id, ours[id], theirs[id]) for id in ours if id in theirs]
    if not pairs:
        return [], f"{choice.a} and {choice.b} were scored on other images"
    return sorted(pairs, key=lambda pair: (-pair.difference, pair.id)), ""


def image_scores(counts: ClassCounts) -> np.ndarray:
    """Mean IoU of every image over the classes, background included, that occur in its truth.

    Args:
        counts: (n, K + 1) each.

    Returns:
        (n,) float64, per cent; NaN where the truth holds nothing but 255.
    """
    correct, predicted, true = (
        np.asarray(part, np.float64) for part in (counts.correct, counts.predicted, counts.true)
    )
    occurs = true > 0
    iou = np.divide(correct, predicted + true - correct, out=np.zeros_like(true), where=occurs)
    classes = occurs.sum(axis=1)
    sums = 100 * iou.sum(axis=1)
    return np.divide(sums, classes, out=np.full(len(true), np.nan), where=classes > 0)


def extremes(
    pairs: Sequence[ImagePair], count: int
) -> tuple[Sequence[ImagePair], Sequence[ImagePair]]:
    """The `count` pairs with the largest gain of A, and those with the smallest, it first; none is in both."""
    count = min(count, len(pairs) // 2)
    return pairs[:count], pairs[::-1][:count]


def _mean_scores(members: Sequence[tuple[Member, Rung]], metric: Metric) -> dict[str, float]:
    """The mean over seeds of the score of every image that all seeds with counts have."""
    found = [_scores(member, rung, metric) for member, rung in members]
    there = [scores for scores in found if scores]
    if not there:
        return {}
    return {
        id: float(np.mean([scores[id] for scores in there]))
        for id in there[0]
        if all(id in scores for scores in there)
    }


def _scores(member: Member, rung: Rung, metric: Metric) -> dict[str, float]:
    stored: ImageCounts | None = (member.image_counts(rung.node) or {}).get(
        stored_choice(rung, metric)
    )
    if stored is None:
        return {}
    scores = image_scores(stored.counts)
    return {
        id: float(score) for id, score in zip(stored.ids, scores, strict=True) if np.isfinite(score)
    }
