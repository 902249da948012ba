"""Quality of image-level predictions."""

from __future__ import annotations

import numpy as np


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the average precision: the mean, over the positives, of the precision at their rank.

    Args:
        scores: (n,) float, higher = more likely; ties rank together, by the precision at the last of them.
        positive: (n,) bool, at least one True.

    Returns:
        In [0, 1]. Equals scikit-learn's ``average_precision_score``.
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.append(np.diff(scores[order]) != 0, True)  # the last of each run of equal scores
    precision = (hits / np.arange(1, len(hits) + 1))[last]
    gained = np.diff(hits[last], prepend=0)
    return float(np.sum(precision * gained) / hits[-1])
