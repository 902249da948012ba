"""Average precision against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from wsssbench.evaluation.ranking import average_precision


def naive(scores: np.ndarray, positive: np.ndarray) -> float:
    """Over the positives: the share of positives among all that score at least as high."""
    shares = []
    for score, is_positive in zip(scores, positive, strict=True):
        if is_positive:
            above = [p for s, p in zip(scores, positive, strict=True) if s >= score]
            shares.append(sum(above) / len(above))
    return sum(shares) / len(shares)


@pytest.mark.parametrize("levels", [2, 5, 10**6])
def test_against_the_definition(levels: int) -> None:
    rng = np.random.default_rng(levels)
    for n in (1, 2, 3, 10, 50):
        for _ in range(20):
            scores = rng.integers(0, levels, n) / levels - 0.5
            positive = rng.random(n) < 0.4
            positive[rng.integers(n)] = True
            assert average_precision(scores, positive) == pytest.approx(naive(scores, positive))


def test_known_values() -> None:
    positive = np.array([True, False, True, False])
    assert average_precision(np.array([4.0, 2.0, 3.0, 1.0]), positive) == 1
    assert average_precision(np.array([1.0, 2.0, 0.0, 3.0]), positive) == pytest.approx(
        (1 / 3 + 2 / 4) / 2
    )
    assert average_precision(np.zeros(4), positive) == 0.5  # nothing is told apart


def test_the_order_of_the_images_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 4, 30).astype(float), rng.random(30) < 0.3
    shuffled = rng.permutation(30)
    assert average_precision(scores[shuffled], positive[shuffled]) == pytest.approx(
        average_precision(scores, positive)
    )
