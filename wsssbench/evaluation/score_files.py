"""Score anybody's label maps or CAMs against pixel ground truth, in one pass over the files.

The stage ``evaluate`` scores the artefacts of a run with these functions, the command ``wsssbench evaluate`` files
that wsssbench did not make.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from wsssbench.errors import UserError
from wsssbench.evaluation.class_counts import ClassCounts, ImageHistogram
from wsssbench.evaluation.confusion import (
    ScoreHistogram,
    best,
    class_counts,
    confusion_of_labels,
    curve,
    metrics,
)
from wsssbench.evaluation.doubts import Doubt, Names, Tally, doubts
from wsssbench.files.artefacts import read_cam, read_scores
from wsssbench.files.cam_formats import MAX_CLASSES, bounded, read_irn, read_psa
from wsssbench.files.images import read_label
from wsssbench.interfaces import Cam
from wsssbench.ops.cam import upsample
from wsssbench.ops.label_map import label_map
from wsssbench.parallel import ranks
from wsssbench.progress import Progress

T = TypeVar("T")
MIN_STEP = 0.0001  # between thresholds: thousands of them say nothing more
# Reads the ground truth of an image id: (H, W) uint8.
MaskReader = Callable[[str], np.ndarray]


@dataclass(frozen=True)
class Format:
    """A prediction format.

    Attributes:
        suffix: of its files.
        read: path -> `Cam`, or label map (H, W) uint8.
        thresholded: its files are scored at thresholds.
        sized: `read` takes the mask's (H, W), too, which a file without classes cannot tell.
    """

    suffix: str
    read: Callable[..., Any]
    thresholded: bool
    sized: bool = False


def _read_scores_as_labels(path: Path) -> np.ndarray:
    scores = read_scores(path)
    return label_map(scores.planes, scores.classes, scores.size)


def _bounded(read: Callable[..., Cam]) -> Callable[..., Cam]:
    """`read` for CAMs that nobody has checked: their values have to be in [0, 1]."""

    def checked(path: Path, size: tuple[int, int]) -> Cam:
        return bounded(read(path, size), path)[0]

    return checked


FORMATS = {
    "png": Format(".png", read_label, thresholded=False),
    "cam": Format(".npz", read_cam, thresholded=True),
    "psa": Format(".npy", _bounded(read_psa), thresholded=True, sized=True),
    "irn": Format(".npy", _bounded(read_irn), thresholded=True, sized=True),
    "scores": Format(".npz", _read_scores_as_labels, thresholded=False),
}


def threshold_grid(first: float, last: float, step: float) -> np.ndarray:
    """Return the thresholds first, first + step, ... up to and including last, (T,) float32 ascending.

    Raises:
        ValueError: not 0 <= first <= last <= 1, or a step below `MIN_STEP` or above 1.
    """
    if not (0 <= first <= last <= 1 and MIN_STEP <= step <= 1):
        raise ValueError(
            f"({first:g}, {last:g}, {step:g}) has to be (first, last, step) with 0 <= first <= last <= 1 and "
            f"{MIN_STEP} <= step <= 1"
        )
    count = int(np.floor((last - first) / step + 1e-6)) + 1
    return np.round(first + step * np.arange(count), 9).astype(np.float32)


class ConfusionAccumulator:
    """Adds up predictions against masks: a histogram over thresholds for CAMs, a confusion matrix for label maps.

    Args:
        num_classes: K.
        thresholds: (T,) float32 for CAMs, None for label maps.
        per_image: keep every image's counts, too, for `image_counts`.
    """

    def __init__(
        self, num_classes: int, thresholds: np.ndarray | None, per_image: bool = False
    ) -> None:
        self.num_classes = num_classes
        self.histogram = None if thresholds is None else ScoreHistogram(num_classes, thresholds)
        self.per_image = per_image
        self.tally = Tally()
        self._confusion = np.zeros((num_classes + 2, num_classes + 1), np.int64)
        self._images: dict[str, ImageHistogram | ClassCounts] = {}

    def add(self, id: str, prediction: Cam | np.ndarray, mask: np.ndarray) -> None:
        """Count image `id`.

        Args:
            prediction: a `Cam`, or a label map (H, W) uint8.
            mask: the ground truth (H, W) uint8.

        Raises:
            ValueError: either has a class outside 0..K, or a CAM's value is no number.
        """
        if isinstance(prediction, Cam):
            assert self.histogram is not None
            maps = upsample(prediction.maps, mask.shape)
            counted = self.histogram.add(prediction.classes, maps, mask)
            self._tell(id, mask, counted.counts.sum(axis=(0, 1)), counted.won)
            self.tally.add_maps(id, prediction.classes, prediction.maps)
            if self.per_image:
                self._images[id] = ImageHistogram.of(counted)
            return
        confusion = confusion_of_labels(prediction, mask, self.num_classes)
        self._tell(id, mask, confusion.sum(axis=0), np.flatnonzero(confusion[:-1].any(axis=1)))
        self._confusion += confusion
        if self.per_image:
            self._images[id] = class_counts(confusion)

    def _tell(
        self, id: str, mask: np.ndarray, true: np.ndarray, predicted: Sequence[int] | np.ndarray
    ) -> None:
        values = np.flatnonzero(true).tolist()
        self.tally.add(id, values, int(mask.size - true.sum()), [int(v) for v in predicted])

    def merge(self, other: ConfusionAccumulator) -> None:
        """Add what another process counted."""
        self.tally.merge(other.tally)
        self._confusion += other._confusion
        self._images.update(other._images)
        if self.histogram is not None and other.histogram is not None:
            self.histogram.merge(other.histogram)

    def doubts(self, names: Names, open_ended: bool = False) -> list[Doubt]:
        """What is odd about the files that were counted. Arguments as of `doubts`."""
        cams = self.histogram is not None
        return doubts(self.confusion(0), self.tally, names, cams=cams, open_ended=open_ended)

    def index_of(self, threshold: float | None) -> int:
        """Return the index of `threshold` among the histogram's, for None that of the best one; 0 for label maps."""
        if self.histogram is None:
            return 0
        if threshold is None:
            return best(self.histogram)
        return int(np.flatnonzero(self.histogram.thresholds == np.float32(threshold))[0])

    def confusion(self, index: int) -> np.ndarray:
        """Return the matrix, (K + 2, K + 1) int64, at the histogram's `index`-th threshold if there are any."""
        return self._confusion if self.histogram is None else self.histogram.confusion(index)

    def image_counts(self, ids: Sequence[str], index: int) -> ClassCounts:
        """Return the counts of `ids`, (n, K + 1) int32 each, at the `index`-th threshold if there are any."""
        counts = [
            one.at(index, self.num_classes) if isinstance(one, ImageHistogram) else one
            for one in (self._images[id] for id in ids)
        ]
        return ClassCounts(
            *(
                np.stack([getattr(one, part) for one in counts]).astype(np.int32)
                for part in ("correct", "predicted", "true")
            )
        )


def score_files(
    directory: Path,
    ids: Sequence[str],
    read_mask: MaskReader,
    kind: str,
    num_classes: int | None,
    thresholds: np.ndarray,
    progress: Progress,
    per_image: bool = False,
) -> ConfusionAccumulator:
    """Count this rank's share of `ids`, and merge the counts of all ranks.

    Args:
        directory: holds ``<id>`` + the suffix of format `kind`.
        read_mask: id -> ground truth (H, W) uint8.
        kind: a key of `FORMATS`.
        num_classes: K; None accepts any class up to 254.
        thresholds: (T,) float32 ascending; used by the formats that are scored at thresholds.
        per_image: keep the counts of every image, too.

    Raises:
        UserError: a file is missing or unreadable, of another size than its mask, or has a class outside 0..K.
    """
    form = FORMATS[kind]
    _check_present(directory, ids, form.suffix)
    accumulator = ConfusionAccumulator(
        num_classes or MAX_CLASSES, thresholds if form.thresholded else None, per_image
    )
    mine = ranks.shard(ids)
    paths = [directory / f"{id}{form.suffix}" for id in mine]

    def read(path: Path, id: str) -> tuple[Cam | np.ndarray, np.ndarray]:
        mask = read_mask(id)
        return (form.read(path, mask.shape) if form.sized else form.read(path)), mask

    reads = [partial(read, path, id) for path, id in zip(paths, mine, strict=True)]
    with progress.track("evaluate", total=len(mine)) as task:
        for id, path, (prediction, mask) in zip(mine, paths, _ahead(reads), strict=True):
            _add(accumulator, id, prediction, mask, path)
            task.advance()
    merged, *others = ranks.gather(accumulator)
    for other in others:
        merged.merge(other)
    return merged


def _check_present(directory: Path, ids: Sequence[str], suffix: str) -> None:
    if not directory.is_dir():
        raise UserError(f"prediction folder {directory} does not exist")
    missing = [id for id in ids if not (directory / f"{id}{suffix}").is_file()]
    if missing:
        raise UserError(
            f"{directory} has no prediction for {len(missing)} images of the list, "
            f"the first is {missing[0]}{suffix}"
        )


def _ahead(reads: Sequence[Callable[[], T]], depth: int = 4) -> Iterator[T]:
    """Yield the results of `reads` in order; a second thread reads a few ahead while this one counts."""
    with ThreadPoolExecutor(1) as reader:
        waiting: deque[Future[T]] = deque()
        try:
            for read in reads:
                waiting.append(reader.submit(read))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            reader.shutdown(cancel_futures=True)


def _add(
    accumulator: ConfusionAccumulator,
    id: str,
    prediction: Cam | np.ndarray,
    mask: np.ndarray,
    path: Path,
) -> None:
    shape = prediction.size if isinstance(prediction, Cam) else prediction.shape
    if tuple(shape) != mask.shape:
        raise UserError(
            f"{path} is {shape[1]} x {shape[0]}, but its mask is {mask.shape[1]} x {mask.shape[0]} pixels"
        )
    try:
        accumulator.add(id, prediction, mask)
    except ValueError as error:
        raise UserError(f"{path} and its mask cannot be compared: {error}") from error


def summarise(
    accumulator: ConfusionAccumulator,
    threshold: float | None,
    names: Sequence[str] | None = None,
    choice: str = "fixed",
) -> dict[str, Any]:
    """Return the evaluation's JSON: miou, precision, recall (per cent), threshold and how it was chosen, iou, curve.

    Args:
        threshold: score at this one of the histogram's thresholds; None takes the best (``oracle``).
        names: of the K classes; without them classes are called by their label-map value.
        choice: how that threshold came about.
    """
    histogram = accumulator.histogram
    if histogram is None:
        choice = "none"
    elif threshold is None:
        choice = "oracle"
    index = accumulator.index_of(threshold)
    point = metrics(accumulator.confusion(index))
    values = {i: v for i, v in enumerate(point.iou.tolist()) if not np.isnan(v)}
    label = ["background", *names] if names is not None else None
    return {
        "miou": point.miou,
        "precision": point.precision,
        "recall": point.recall,
        # str() gives the shortest decimal that means the same float32
        "threshold": None if histogram is None else float(str(histogram.thresholds[index])),
        "threshold_choice": choice,
        "iou": {label[i] if label else str(i): v for i, v in values.items()},
        "curve": [] if histogram is None else curve(histogram),
    }
