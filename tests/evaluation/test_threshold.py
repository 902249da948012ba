"""Otsu's criterion on a histogram of activations."""

from __future__ import annotations

import numpy as np
import pytest

from wsssbench.evaluation.confusion import ScoreHistogram
from wsssbench.evaluation.threshold import otsu

GRID = np.arange(0, 1, 0.01, dtype=np.float32)


def histogram(activations: np.ndarray) -> ScoreHistogram:
    found = ScoreHistogram(1, GRID)
    maps = activations.astype(np.float32).reshape(1, 1, -1)
    found.add(np.array([1]), maps, np.zeros(maps.shape[1:], np.uint8))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_the_largest_variance_between_two_parts(seed: int) -> None:
    """The definition, with the means and sizes of the parts taken from single pixels."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(200, 2000, 2)
    pixels = np.concatenate([rng.beta(2, 8, sizes[0]), rng.beta(8, 3, sizes[1])])
    pixels = (
        np.floor(pixels * 100) + 0.5
    ) / 100  # the middles of the grid's intervals: nothing is rounded
    between = []
    for threshold in GRID:
        low, high = pixels[pixels <= threshold], pixels[pixels > threshold]
        between.append(
            len(low) * len(high) * (low.mean() - high.mean()) ** 2 if len(low) and len(high) else 0
        )
    assert otsu(histogram(pixels)) == int(np.argmax(between))


def test_two_values_are_parted() -> None:
    at = GRID[otsu(histogram(np.array([0.105] * 50 + [0.805] * 10)))]
    assert 0.105 < at < 0.805


def test_nothing_to_part() -> None:
    assert otsu(histogram(np.full(9, 0.5))) == 0
    assert otsu(ScoreHistogram(1, GRID)) == 0
