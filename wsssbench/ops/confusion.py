"""Evaluation of CAMs and label maps: the confusion at every background threshold in one pass.

    histogram = ScoreHistogram(num_classes=20, thresholds=np.arange(0, 0.6, 0.01, dtype=np.float32))
    for each image: histogram.add(classes, maps, truth)
    best(curve(histogram)), metrics(histogram.confusion(15))

A confusion matrix is (K + 2, K + 1) int64: rows 0..K are predictions, the last row is "unsure"
(predicted 255); columns 0..K are the truth. It counts pixels whose truth is not 255, over the whole
data set. Matrices of parts add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

IGNORE = 255  # in the truth: not counted; in a prediction: unsure
MAX_CLASSES = 254
VALUES = 256  # of a uint8 label map


@dataclass(frozen=True)
class Metrics:
    """Dataset-level figures in per cent.

    Means are over the classes that occur in the truth, background included.

    Attributes:
        miou: mean intersection over union (nan if the truth holds nothing but 255).
        precision: mean of correct / predicted pixels; 0 for an occurring class that is never
            predicted.
        recall: mean of correct / true pixels.
        iou: per label-map value 0..K, (K + 1,) float64, nan where the class does not occur.
    """

    miou: float
    precision: float
    recall: float
    iou: np.ndarray


class ScoreHistogram:
    """Counts pixels by (predicted class, number of thresholds below the score, true class).

    The prediction at threshold t is the class with the largest map where that exceeds t, else
    background: what argmax over [a plane of t, the maps] gives. The counts of all thresholds follow
    from the histogram by cumulative sums.

    Args:
        num_classes: K, at most 254; memory depends on the classes that occur only, so 254 is fine
            where K is unknown.
        thresholds: T >= 1 background thresholds, ascending; compared in float32.
    """

    def __init__(self, num_classes: int, thresholds: np.ndarray | Sequence[float]) -> None:
        self.num_classes = _checked_count(num_classes)
        self.thresholds = np.array(thresholds, np.float32).ravel()
        if not self.thresholds.size or not np.isfinite(self.thresholds).all():
            raise ValueError("there has to be at least one threshold, and all have to be finite")
        if (np.diff(self.thresholds) <= 0).any():
            raise ValueError("thresholds have to ascend (and differ in float32)")
        self._bucket = _Buckets(self.thresholds)
        self._counts: dict[int, np.ndarray] = {}  # class -> (T + 1, 256)
        self._no_class = np.zeros(VALUES, np.int64)  # truth of images without a present class

    def add(self, classes: np.ndarray, maps: np.ndarray, truth: np.ndarray) -> None:
        """Count one image.

        Args:
            classes: label-map values 1..K of the present classes, (K',) integer, all different; K'
                may be 0.
            maps: their scores, (K', H, W) float32; of equal ones the first class wins.
            truth: (H, W) uint8, 0..K or 255.

        Raises:
            ValueError: shapes that do not fit; a class or truth outside 0..K (named); NaN.
        """
        labels = [int(value) for value in classes]
        self._check(labels, maps, truth)
        occurring, column = _columns(truth, self.num_classes)
        if not labels:
            self._no_class += np.bincount(truth.ravel(), minlength=VALUES)
            return
        row, score = _winner(maps)
        buckets = len(self.thresholds) + 1
        key = self._bucket(score)
        if len(labels) > 1:
            key += row.astype(np.int32) * np.int32(buckets)
        key *= np.int32(len(occurring))
        key += column
        shape = (len(labels), buckets, len(occurring))
        counts = np.bincount(key.ravel(), minlength=int(np.prod(shape))).reshape(shape)
        for label, count in zip(labels, counts, strict=True):
            self._of(label)[:, occurring] += count

    def merge(self, other: ScoreHistogram) -> None:
        """Add the counts of `other`, e.g. of another process; it needs the same thresholds."""
        if not np.array_equal(self.thresholds, other.thresholds):
            raise ValueError("histograms over different thresholds cannot be merged")
        self.num_classes = max(self.num_classes, other.num_classes)
        self._no_class += other._no_class
        for label, counts in other._counts.items():
            self._of(label)[...] += counts

    def confusion(self, index: int) -> np.ndarray:
        """The confusion matrix at ``thresholds[index]``, (K + 2, K + 1) int64."""
        index = range(len(self.thresholds))[index]
        matrix = np.zeros((self.num_classes + 2, self.num_classes + 1), np.int64)
        truth = slice(0, self.num_classes + 1)
        matrix[0] = self._no_class[truth]
        for label, counts in self._counts.items():
            # a score with b thresholds below it exceeds thresholds[index] iff b > index
            matrix[label] += counts[index + 1 :, truth].sum(axis=0)
            matrix[0] += counts[: index + 1, truth].sum(axis=0)
        return matrix

    def _of(self, label: int) -> np.ndarray:
        shape = (len(self.thresholds) + 1, VALUES)
        return self._counts.setdefault(label, np.zeros(shape, np.int64))

    def _check(self, labels: list[int], maps: np.ndarray, truth: np.ndarray) -> None:
        if truth.ndim != 2 or truth.dtype != np.uint8:
            raise ValueError(f"truth has to be (H, W) uint8, not {truth.shape} {truth.dtype}")
        if maps.shape != (len(labels), *truth.shape) or maps.dtype != np.float32:
            raise ValueError(
                f"maps have to be float32 of shape {(len(labels), *truth.shape)}, "
                f"not {maps.dtype} of {maps.shape}"
            )
        for label in labels:
            if not 1 <= label <= self.num_classes:
                raise ValueError(f"predicted class {label} is outside 1..{self.num_classes}")
        if len(set(labels)) < len(labels):
            raise ValueError(f"classes {labels} name one twice")


def confusion_of_labels(predicted: np.ndarray, truth: np.ndarray, num_classes: int) -> np.ndarray:
    """The confusion matrix of one label map.

    Predicted 255 is a miss of the true class and no other class's false positive.

    Args:
        predicted: (H, W) uint8, 0..K or 255.
        truth: (H, W) uint8, 0..K or 255.
        num_classes: K, at most 254.

    Returns:
        (K + 2, K + 1) int64.

    Raises:
        ValueError: shapes differ; a value outside 0..K other than 255 (named).
    """
    _checked_count(num_classes)
    for name, values in (("prediction", predicted), ("truth", truth)):
        if values.shape != truth.shape or values.dtype != np.uint8:
            raise ValueError(
                f"the {name} has to be uint8 of shape {truth.shape}, "
                f"not {values.dtype} of {values.shape}"
            )
    key = predicted.astype(np.int32) * np.int32(VALUES) + truth
    counts = np.bincount(key.ravel(), minlength=VALUES * VALUES).reshape(VALUES, VALUES)
    _check_values("predicted label", counts.sum(axis=1), num_classes)
    _check_values("true label", counts.sum(axis=0), num_classes)
    rows = [*range(num_classes + 1), IGNORE]
    return counts[rows, : num_classes + 1]


def resized(confusion: np.ndarray, num_classes: int) -> np.ndarray:
    """`confusion` for another number of classes; ValueError if that would drop counted pixels."""
    have = confusion.shape[1] - 1
    keep = min(have, num_classes) + 1
    matrix = np.zeros((num_classes + 2, num_classes + 1), np.int64)
    matrix[:keep, :keep] = confusion[:keep, :keep]
    matrix[-1, :keep] = confusion[-1, :keep]
    if matrix.sum() != confusion.sum():
        raise ValueError(f"there are pixels of classes above {num_classes}")
    return matrix


def metrics(confusion: np.ndarray) -> Metrics:
    """mIoU, precision and recall of a confusion matrix (K + 2, K + 1), as defined at `Metrics`."""
    correct = np.diagonal(confusion).astype(np.float64)  # (K + 1,)
    predicted = confusion[: len(correct)].sum(axis=1)
    true = confusion.sum(axis=0)  # "unsure" included: these pixels are missed
    occurs = true > 0
    iou = np.full(len(correct), np.nan)
    iou[occurs] = 100 * correct[occurs] / (predicted + true - correct)[occurs]
    if not occurs.any():
        return Metrics(np.nan, np.nan, np.nan, iou)
    precision = 100 * correct[occurs] / np.maximum(predicted[occurs], 1)
    recall = 100 * correct[occurs] / true[occurs]
    return Metrics(float(iou[occurs].mean()), float(precision.mean()), float(recall.mean()), iou)


def curve(histogram: ScoreHistogram) -> list[dict[str, float]]:
    """Per threshold, ascending: ``{threshold, miou, precision, recall}``."""
    points = []
    for index, threshold in enumerate(histogram.thresholds):
        at = metrics(histogram.confusion(index))
        # 0.15 in float32 is 0.15000000596; str() gives the shortest decimal that means the same
        points.append(
            {
                "threshold": float(str(threshold)),
                "miou": at.miou,
                "precision": at.precision,
                "recall": at.recall,
            }
        )
    return points


def best(histogram: ScoreHistogram) -> int:
    """Index of the threshold with the highest mIoU (the lowest such; 0 if there is no mIoU)."""
    values = [point["miou"] for point in curve(histogram)]
    return int(np.argmax(np.nan_to_num(values, nan=-1.0)))


class _Buckets:
    """score -> number of thresholds strictly below it, exact, faster than a binary search.

    A monotone function of the score (the same float32 operations for scores and thresholds) sorts
    both into bins. A threshold in an earlier bin is below the score, one in a later bin is not, and
    with at most one threshold per bin a single comparison decides the rest.
    """

    def __init__(self, thresholds: np.ndarray) -> None:
        self.thresholds = thresholds
        self.bins = 8 * len(thresholds) + 8
        span = thresholds[-1] - thresholds[0]
        self.low = thresholds[0]
        self.scale = np.float32((self.bins - 2) / span) if span > 0 else np.float32(1)
        held = np.bincount(self._bin(thresholds), minlength=self.bins)
        self.simple = bool(np.isfinite(self.scale)) and held.max() <= 1
        self.below = np.concatenate([[0], np.cumsum(held)[:-1]]).astype(np.int32)  # in earlier bins
        self.inside = np.full(self.bins, np.inf, np.float32)  # the threshold in this bin
        self.inside[self._bin(thresholds)] = thresholds

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """(H, W) float32 -> (H, W) int32."""
        if np.isnan(scores.max()):  # max() hands NaN on
            raise ValueError("maps hold NaN")
        if not self.simple:
            return np.searchsorted(self.thresholds, scores, side="left").astype(np.int32)
        bins = self._bin(scores)
        result = self.below.take(bins)
        result += scores > self.inside.take(bins)
        return result

    def _bin(self, values: np.ndarray) -> np.ndarray:
        place = values - self.low
        place *= self.scale
        return np.clip(place, 0, self.bins - 1, out=place).astype(np.int32)


def _winner(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which map is largest (the first of equal ones), (H, W) uint8; its value, (H, W) float32."""
    row = np.zeros(maps.shape[1:], np.uint8)
    score = maps[0]
    for k in range(1, len(maps)):
        row[maps[k] > score] = k
        score = np.maximum(score, maps[k])
    return row, score


def _columns(truth: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The values that occur in `truth`, (U,), and for each pixel which of them, (H, W) uint8."""
    counts = np.bincount(truth.ravel(), minlength=VALUES)
    _check_values("true label", counts, num_classes)
    occurring = np.flatnonzero(counts)
    position = np.zeros(VALUES, np.uint8)
    position[occurring] = np.arange(len(occurring))
    return occurring, position[truth]


def _check_values(name: str, counts: np.ndarray, num_classes: int) -> None:
    """`counts`: pixels per value 0..255."""
    outside = np.flatnonzero(counts[num_classes + 1 : IGNORE])
    if len(outside):
        value = int(outside[0]) + num_classes + 1
        raise ValueError(
            f"{name} {value} is outside 0..{num_classes} ({int(counts[value])} pixels)"
        )


def _checked_count(num_classes: int) -> int:
    if not 0 <= num_classes <= MAX_CLASSES:
        raise ValueError(f"num_classes has to be in 0..{MAX_CLASSES}, not {num_classes}")
    return num_classes
