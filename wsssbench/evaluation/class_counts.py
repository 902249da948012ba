"""Counts per class instead of confusion matrices: small enough to be kept for every image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassCounts:
    """Pixels per label-map value 0..K, over pixels whose ground truth is not 255: all that `Metrics` needs.

    Unlike a confusion matrix it is small enough to be kept per image; counts of several images add up.

    Attributes:
        correct: pixels of the class that were predicted as it, (..., K + 1) integer.
        predicted: pixels that were predicted as the class, (..., K + 1) integer.
        true: pixels of the class, (..., K + 1) integer.
    """

    correct: np.ndarray
    predicted: np.ndarray
    true: np.ndarray


@dataclass(frozen=True)
class OneImage:
    """One image as it was counted: pixels by (class, thresholds below its score, value in the mask).

    Attributes:
        labels: the present classes, K' of them; without any, all pixels are predicted background.
        counts: (K', T + 1, values) integer, values of the mask from 0 to the highest there is; without labels
            (1, 1, values).
        thresholds: T.
    """

    labels: tuple[int, ...]
    counts: np.ndarray
    thresholds: int

    @property
    def won(self) -> list[int]:
        """The classes that are predicted somewhere at the lowest threshold."""
        above = np.atleast_1d(self.counts[:, 1:].any(axis=(1, 2)))
        return [label for label, some in zip(self.labels, above, strict=False) if some]


@dataclass(frozen=True)
class ImageHistogram:
    """One image's class counts at each of T thresholds, for the few classes that take part.

    Attributes:
        labels: label-map values of the predictions' columns: 0, then the present classes; (1 + K',).
        correct, predicted: (T, 1 + K') int32.
        true: pixels per label-map value 0, 1, ... up to the highest there is, int32.
    """

    labels: np.ndarray
    correct: np.ndarray
    predicted: np.ndarray
    true: np.ndarray

    @classmethod
    def of(cls, image: OneImage) -> ImageHistogram:
        """Return the class counts of `image` at every threshold."""
        counts, thresholds = image.counts, image.thresholds
        true = counts.sum(axis=(0, 1))
        predicted = np.zeros((thresholds, len(image.labels)), np.int64)
        correct = np.zeros_like(predicted)
        taken = np.zeros(thresholds, np.int64)  # true background that is predicted as a class
        if image.labels:
            # predicted as class k at threshold i: those with more than i thresholds below their score
            above = counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]  # (K', T, values)
            predicted = above.sum(axis=2).T
            taken = above[:, :, :1].sum(axis=(0, 2))
            for row, label in enumerate(image.labels):
                if label < len(true):
                    correct[:, row] = above[row, :, label]
        background = true.sum() - predicted.sum(axis=1)
        right = true[:1].sum() - taken
        return cls(
            np.array([0, *image.labels], np.int32),
            np.column_stack([right, correct]).astype(np.int32),
            np.column_stack([background, predicted]).astype(np.int32),
            true.astype(np.int32),
        )

    def at(self, index: int, num_classes: int) -> ClassCounts:
        """Return the counts at the `index`-th threshold, (K + 1,) int32 each."""
        correct, predicted, true = np.zeros((3, num_classes + 1), np.int32)
        correct[self.labels] = self.correct[index]
        predicted[self.labels] = self.predicted[index]
        true[: len(self.true)] = self.true
        return ClassCounts(correct, predicted, true)
