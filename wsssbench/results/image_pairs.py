"""The scores of two rows on every single image show where one beats the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.results.layout import Scored
from wsssbench.results.metrics import Metric, stored_choice
from wsssbench.results.selection import Selection


@dataclass(frozen=True)
class ImagePair:
    """The scores of A and B on one image, per cent."""

    id: str
    a: float
    b: float

    @property
    def difference(self) -> float:
        return self.a - self.b


def image_pairs(selection: Selection) -> tuple[list[ImagePair], str]:
    """Every image that A and B were both scored on, the largest gain of A first; or why there is none.

    A score is `image_scores`, averaged over the seeds.
    """
    if selection.a is None or selection.b is None:
        return [], "there are no two rows with scores"
    rows = (selection.a, selection.b)
    scores = [_mean_scores(selection.scored[row], selection.metric) for row in rows]
    lost = [row for row, of_row in zip(rows, scores, strict=True) if not of_row]
    if lost:
        return [], f"the counts per image of {' and '.join(lost)} are not there"
    ours, theirs = scores
    pairs = [ImagePair(id, ours[id], theirs[id]) for id in ours if id in theirs]
    if not pairs:
        return [], f"{selection.a} and {selection.b} were scored on other images"
    return sorted(pairs, key=lambda pair: (-pair.difference, pair.id)), ""


def image_scores(counts: ClassCounts) -> np.ndarray:
    """Mean IoU of every image over the classes, background included, that occur in its mask.

    Args:
        counts: (n, K + 1) each.

    Returns:
        (n,) float64, per cent; NaN where the mask holds nothing but 255.
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


def _mean_scores(runs: Sequence[Scored], metric: Metric) -> dict[str, float]:
    """The mean over seeds of the score of every image that all seeds with counts have."""
    of_seeds = []
    for member, evaluation in runs:
        counts = member.image_counts(evaluation.node) or {}
        if stored := counts.get(stored_choice(evaluation, metric)):
            scores = zip(stored.ids, image_scores(stored.counts).tolist(), strict=True)
            of_seeds.append({id: score for id, score in scores if np.isfinite(score)})
    of_seeds = [scores for scores in of_seeds if scores]
    return {
        id: float(np.mean([scores[id] for scores in of_seeds]))
        for id in next(iter(of_seeds), ())
        if all(id in scores for scores in of_seeds)
    }
