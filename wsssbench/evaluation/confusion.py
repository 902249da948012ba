"""Evaluation of CAMs and label maps: the confusion at every background threshold in one pass.

    histogram = ScoreHistogram(num_classes=20, thresholds=np.arange(0, 0.6, 0.01, dtype=np.float32))
    for each image: histogram.add(classes, maps, mask)
    best(curve(histogram)), metrics(histogram.confusion(15))

A confusion matrix is (K + 2, K + 1) int64: rows 0..K are predictions, the last row is "ignored"
(predicted 255); columns 0..K are the ground truth. It counts pixels whose ground truth is not 255, over
the whole data set. Matrices of parts add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from wsssbench.evaluation.class_counts import ClassCounts, OneImage
from wsssbench.ops import IGNORE, MAX_CLASSES

VALUES = 256  # of a uint8 label map
CHUNK = 2**15  # pixels that are counted at once: what is made of them stays in the cache


@dataclass(frozen=True)
class Metrics:
    """Dataset-level figures in per cent.

    Means are over the classes that occur in the masks, background included.

    Attributes:
        miou: mean intersection over union (nan if the masks hold nothing but 255).
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
        self._no_class = np.zeros(VALUES, np.int64)  # mask values of images without a present class

    def add(self, classes: np.ndarray, maps: np.ndarray, mask: np.ndarray) -> OneImage:
        """Count one image.

        Args:
            classes: label-map values 1..K of the present classes, (K',) integer, all different; K'
                may be 0.
            maps: their scores, (K', H, W) float32; of equal ones the first class wins.
            mask: (H, W) uint8, 0..K or 255.

        Returns:
            What `ImageHistogram.of` makes the counts of this image alone from.

        Raises:
            ValueError: shapes that do not fit; a class or mask value outside 0..K (named); NaN.
        """
        labels = [int(value) for value in classes]
        self._check(labels, maps, mask)
        highest = _highest(mask, self.num_classes)
        if not labels:
            values = np.bincount(mask.ravel(), minlength=VALUES)
            self._no_class += values
            return OneImage((), values[None, None, : highest + 1], len(self.thresholds))
        # The fewer counters, the faster: a power of two of columns, in which 255 becomes the last.
        columns = 1 << (highest + 1).bit_length()
        shape = (len(labels), len(self.thresholds) + 1, columns)
        flat, column = maps.reshape(len(maps), -1), mask.ravel() & np.uint8(columns - 1)
        counts = np.zeros(prod(shape), np.int64)
        for start in range(0, column.size, CHUNK):
            part = slice(start, start + CHUNK)
            counts += self._count(flat[:, part], column[part], shape)
        own = counts.reshape(shape)[:, :, : highest + 1]
        for label, count in zip(labels, own, strict=True):
            self._of(label)[:, : highest + 1] += count
        return OneImage(tuple(labels), own, len(self.thresholds))

    def _count(self, maps: np.ndarray, column: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Count how often each (map, bucket, column) occurs among `maps` (K', n) and `column` (n,)."""
        row, score = _winner(maps)
        size = prod(shape)
        key: np.ndarray = self._bucket(score).astype(np.uint16 if size < 2**16 else np.int64)
        if row is not None:
            np.add(key, np.multiply(row, shape[1], dtype=key.dtype), out=key)
        np.multiply(key, shape[2], out=key)
        np.add(key, column, out=key)
        return np.bincount(key, minlength=size)

    def merge(self, other: ScoreHistogram) -> None:
        """Add the counts of `other`, e.g. of another process; it needs the same thresholds."""
        if not np.array_equal(self.thresholds, other.thresholds):
            raise ValueError("histograms over different thresholds cannot be merged")
        self.num_classes = max(self.num_classes, other.num_classes)
        self._no_class += other._no_class
        for label, counts in other._counts.items():
            self._of(label)[...] += counts

    def confusion(self, index: int) -> np.ndarray:
        """Return the confusion matrix at ``thresholds[index]``, (K + 2, K + 1) int64."""
        index = range(len(self.thresholds))[index]
        matrix = np.zeros((self.num_classes + 2, self.num_classes + 1), np.int64)
        columns = slice(0, self.num_classes + 1)
        matrix[0] = self._no_class[columns]
        for label, counts in self._counts.items():
            # a score with b thresholds below it exceeds thresholds[index] iff b > index
            matrix[label] += counts[index + 1 :, columns].sum(axis=0)
            matrix[0] += counts[: index + 1, columns].sum(axis=0)
        return matrix

    def activations(self) -> np.ndarray:
        """Count pixels by the number of thresholds below their highest score, whatever the masks, (T + 1,) int64.

        Pixels of images without a present class count as below all.
        """
        total = np.zeros(len(self.thresholds) + 1, np.int64)
        total[0] = self._no_class.sum()
        for counts in self._counts.values():
            total += counts.sum(axis=1)
        return total

    def _of(self, label: int) -> np.ndarray:
        shape = (len(self.thresholds) + 1, VALUES)
        return self._counts.setdefault(label, np.zeros(shape, np.int64))

    def _check(self, labels: list[int], maps: np.ndarray, mask: np.ndarray) -> None:
        if mask.ndim != 2 or mask.dtype != np.uint8:
            raise ValueError(f"the mask has to be (H, W) uint8, not {mask.shape} {mask.dtype}")
        if maps.shape != (len(labels), *mask.shape) or maps.dtype != np.float32:
            raise ValueError(
                f"maps have to be float32 of shape {(len(labels), *mask.shape)}, "
                f"not {maps.dtype} of {maps.shape}"
            )
        for label in labels:
            if not 1 <= label <= self.num_classes:
                raise ValueError(f"predicted class {label} is outside 1..{self.num_classes}")
        if len(set(labels)) < len(labels):
            raise ValueError(f"classes {labels} name one twice")


def confusion_of_labels(predicted: np.ndarray, mask: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the confusion matrix of one label map.

    Predicted 255 is a miss of the true class and no other class's false positive.

    Args:
        predicted: (H, W) uint8, 0..K or 255.
        mask: (H, W) uint8, 0..K or 255.
        num_classes: K, at most 254.

    Returns:
        (K + 2, K + 1) int64.

    Raises:
        ValueError: shapes differ; a value outside 0..K other than 255 (named).
    """
    _checked_count(num_classes)
    for name, values in (("prediction", predicted), ("mask", mask)):
        if values.shape != mask.shape or values.dtype != np.uint8:
            raise ValueError(
                f"the {name} has to be uint8 of shape {mask.shape}, "
                f"not {values.dtype} of {values.shape}"
            )
    key = predicted.astype(np.int32) * np.int32(VALUES) + mask
    counts = np.bincount(key.ravel(), minlength=VALUES * VALUES).reshape(VALUES, VALUES)
    _check_values("predicted label", counts.sum(axis=1), num_classes)
    _check_values("true label", counts.sum(axis=0), num_classes)
    rows = [*range(num_classes + 1), IGNORE]
    return counts[rows, : num_classes + 1]


def class_counts(confusion: np.ndarray) -> ClassCounts:
    """Return the counts per class of a confusion matrix (K + 2, K + 1)."""
    correct = np.diagonal(confusion)
    predicted = confusion[: len(correct)].sum(axis=1)
    return ClassCounts(correct, predicted, confusion.sum(axis=0))  # "ignored" ones are missed


def metrics(confusion: np.ndarray) -> Metrics:
    """Return mIoU, precision and recall of a confusion matrix (K + 2, K + 1), as defined at `Metrics`."""
    return metrics_of_counts(class_counts(confusion))


def metrics_of_counts(counts: ClassCounts) -> Metrics:
    """Return mIoU, precision and recall of counts (K + 1,) that are summed over the data set."""
    correct, predicted, true = (
        np.asarray(part, np.float64) for part in (counts.correct, counts.predicted, counts.true)
    )
    occurs = true > 0
    iou = np.full(len(correct), np.nan)
    iou[occurs] = 100 * correct[occurs] / (predicted + true - correct)[occurs]
    if not occurs.any():
        return Metrics(np.nan, np.nan, np.nan, iou)
    precision = 100 * correct[occurs] / np.maximum(predicted[occurs], 1)
    recall = 100 * correct[occurs] / true[occurs]
    return Metrics(float(iou[occurs].mean()), float(precision.mean()), float(recall.mean()), iou)


def curve(histogram: ScoreHistogram) -> list[dict[str, float]]:
    """Return a point per threshold, ascending: ``{threshold, miou, precision, recall}``."""
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
    """Return the index of the threshold with the highest mIoU (the lowest such; 0 if there is no mIoU)."""
    values = [point["miou"] for point in curve(histogram)]
    return int(np.argmax(np.nan_to_num(values, nan=-1.0)))


class _Buckets:
    """score -> number of thresholds strictly below it: exact, and faster than a binary search.

    With evenly spaced thresholds, rounding a scaled score gives the nearest of them. That is a
    monotone function of the score, so if it sends every threshold to itself, all that come before
    the nearest one are below the score and all that come after are not; one comparison decides
    about the nearest.
    """

    def __init__(self, thresholds: np.ndarray) -> None:
        self.thresholds = thresholds
        count = len(thresholds)
        self.index_type = np.uint8 if count < 255 else np.int64
        span = float(thresholds[-1]) - float(thresholds[0])
        # Thresholds are mostly j / parts with whole numbers j and parts: 100 for steps of 0.01.
        self.parts = np.float32(round((count - 1) / span) if span > 0 else 1)
        self.first = np.rint(thresholds[0] * self.parts)
        self.last = self.first + np.float32(count - 1)
        self.even = bool(self.parts > 0) and np.array_equal(
            thresholds, (np.arange(count, dtype=np.float32) + self.first) / self.parts
        )
        self.even = self.even and np.array_equal(
            self._nearest(thresholds), np.arange(count) + self.first
        )

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Return the buckets, (n,) integer, of scores (n,) float32."""
        if not self.even:
            return np.searchsorted(self.thresholds, scores, side="left")
        nearest = self._nearest(scores)
        index = (nearest - self.first if self.first else nearest).astype(self.index_type)
        nearest /= self.parts  # exactly the threshold
        index += (scores > nearest).view(np.uint8)
        return index

    def _nearest(self, scores: np.ndarray) -> np.ndarray:
        """Return the j whose j / parts is the nearest threshold, float32."""
        place = scores * self.parts
        np.rint(place, out=place)
        np.maximum(place, self.first, out=place)
        return np.minimum(place, self.last, out=place)


def _winner(maps: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Return the index of the largest map (the first of equal ones), (n,) uint8, and its value, (n,) float32.

    The index is None instead of all zeros if there is one map only.
    """
    row, score = None, maps[0]
    for k in range(1, len(maps)):
        row = np.zeros(score.shape, np.uint8) if row is None else row
        np.copyto(row, k, where=maps[k] > score)
        score = np.maximum(score, maps[k])
    if np.isnan(score.max()):  # both maxima hand NaN on
        raise ValueError("maps hold NaN")
    return row, score


def _highest(mask: np.ndarray, num_classes: int) -> int:
    """Return the largest label in `mask` beside 255, -1 if there is none. Checks the range."""
    highest = int((mask + np.uint8(1)).max()) - 1  # 255 wraps to 0
    if highest > num_classes:
        _check_values("true label", np.bincount(mask.ravel(), minlength=VALUES), num_classes)
    return highest


def _check_values(name: str, counts: np.ndarray, num_classes: int) -> None:
    """Raise ValueError where `counts`, pixels per value 0..255, has some outside of 0..K and 255."""
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
