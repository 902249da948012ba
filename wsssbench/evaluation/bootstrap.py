"""Bootstrap intervals over images for dataset-level mIoU, precision and recall.

    ours, baseline = ([resampled(counts).miou for counts in runs] for runs in (our_runs, baseline_runs))
    low, high = interval(ours, baseline)

The percentile interval of B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13: images are
drawn with replacement, the metric of the whole resample is computed from its summed counts, and the interval lies
between the quantiles of what came out. The same images are drawn for both methods and for every seed, so that what they
have in common, e.g. how hard an image is, cancels in their difference.

The interval covers the choice of images: what other images of the same kind would have given. It does not cover
training: how much another seed would have changed is the spread over seeds. And it says nothing about images of
another kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from wsssbench.evaluation.class_counts import ClassCounts

CHUNK = 2**23  # weights that are held at once, 64 MB of them
Measure = Literal["miou", "precision", "recall"]


@dataclass(frozen=True)
class Scores:
    """mIoU, precision and recall, per cent, each (...) float64, as `wsssbench.evaluation.confusion.Metrics` defines."""

    miou: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


def scores(counts: ClassCounts) -> Scores:
    """Return the figures of counts (..., K + 1) that are summed over a data set each, nan where no class occurs.

    Means are over the classes that occur in the ground truth of these counts: a class of the data set that a resample
    misses is left out of that resample's means, as it would be if the resample were the data set.
    """
    correct, predicted, true = (
        np.asarray(part, np.float64) for part in (counts.correct, counts.predicted, counts.true)
    )
    occurs = true > 0
    classes = occurs.sum(axis=-1)

    def mean(pixels: np.ndarray) -> np.ndarray:
        shares = np.divide(correct, pixels, out=np.zeros_like(correct), where=occurs & (pixels > 0))
        total = shares.sum(axis=-1)
        return 100 * np.divide(total, classes, out=np.full(total.shape, np.nan), where=classes > 0)

    return Scores(mean(predicted + true - correct), mean(predicted), mean(true))


def resampled(counts: ClassCounts, resamples: int = 1000, seed: int = 0) -> Scores:
    """Return the figures of `resamples` resamples of the images of `counts` (n, K + 1), each (resamples,).

    Which images are drawn depends on n, `resamples` and `seed` only. Equal ones draw the same images, so that the
    results of several runs on the same images, in the same order, are paired.

    Raises:
        ValueError: no images, or no resamples.
    """
    images, classes = counts.true.shape
    if not images or resamples < 1:
        raise ValueError(f"{resamples} resamples of {images} images")
    parts = (counts.correct, counts.predicted, counts.true)
    table = np.concatenate(parts, axis=1).astype(np.float64)  # (n, 3 (K + 1))
    # Sums of whole numbers below 2^53: exact in float64, whatever the order of the additions.
    sums = np.concatenate([w @ table for w in _weights(images, resamples, seed)])
    split = sums.reshape(resamples, 3, classes)
    return scores(ClassCounts(split[:, 0], split[:, 1], split[:, 2]))


def interval(
    ours: Sequence[np.ndarray], baseline: Sequence[np.ndarray], confidence: float = 0.95
) -> tuple[float, float]:
    """Return the percentile interval of mean(`ours`) - mean(`baseline`), per cent points.

    Args:
        ours: one figure of every resample, (resamples,) per seed, see `resampled`.
        baseline: the same of the method it is compared with, from the same resamples.
        confidence: share of the resamples that the interval holds, in (0, 1).

    Raises:
        ValueError: `confidence` is outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is outside (0, 1)")
    difference = np.mean(ours, axis=0) - np.mean(baseline, axis=0)  # (resamples,)
    # A resample in which every pixel is ignored has no figures.
    difference = difference[np.isfinite(difference)]
    if not difference.size:
        return np.nan, np.nan
    low, high = np.quantile(difference, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _weights(images: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Draw images: how often each one is drawn, for some resamples at a time, (m, n) float64."""
    rng = np.random.default_rng(seed)
    most = max(1, CHUNK // images)
    for start in range(0, resamples, most):
        weights = np.empty((min(most, resamples - start), images))
        for row in weights:
            row[:] = np.bincount(rng.integers(0, images, size=images), minlength=images)
        yield weights
