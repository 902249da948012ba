"""evaluate: score anybody's label maps or CAMs against pixel ground truth, in one pass.

Config of the stage: format, split, threshold (fixed), thresholds (first, last, step). It leaves the counts of every
image in ``image_counts.npz``.
The command line's ``wsssbench evaluate`` uses the same functions on files that wsssbench did not make.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.evaluation.class_counts import ClassCounts, ImageHistogram
from wsssbench.evaluation.confusion import (
    ScoreHistogram,
    best,
    class_counts,
    confusion_of_labels,
    curve,
    metrics,
)
from wsssbench.evaluation.image_counts import FILE as IMAGE_COUNTS
from wsssbench.evaluation.image_counts import write_image_counts
from wsssbench.files.artefacts import read_cam, read_scores
from wsssbench.files.cam_formats import MAX_CLASSES, read_irn, read_psa
from wsssbench.files.ground_truth import read_mask
from wsssbench.files.images import read_label
from wsssbench.interfaces import Cam
from wsssbench.ops.cam import upsample
from wsssbench.parallel import ranks
from wsssbench.progress import Progress
from wsssbench.stages.label import label_map
from wsssbench.stages.work import StageWork

T = TypeVar("T")
Truth = Callable[[str], np.ndarray]
SELECTED = "threshold.json"


@dataclass(frozen=True)
class Format:
    """A prediction format: file suffix, how one is read, and whether it is scored at thresholds.

    `sized` formats are read with the mask's size, too, which their files without classes cannot tell.
    """

    suffix: str
    read: Callable[..., Any]
    thresholded: bool
    sized: bool = False


FORMATS = {
    "png": Format(".png", read_label, thresholded=False),
    "cam": Format(".npz", read_cam, thresholded=True),
    "psa": Format(".npy", read_psa, thresholded=True, sized=True),
    "irn": Format(".npy", read_irn, thresholded=True, sized=True),
    "scores": Format(".npz", lambda path: label_map(read_scores(path)), thresholded=False),
}


def threshold_grid(first: float, last: float, step: float) -> np.ndarray:
    """first, first + step, ... up to and including last, (T,) float32 ascending."""
    count = int(np.floor((last - first) / step + 1e-6)) + 1
    return np.round(first + step * np.arange(count), 9).astype(np.float32)


class Tally:
    """What has been scored so far: a histogram over thresholds for maps, a confusion matrix for label maps.

    Args:
        num_classes: K.
        thresholds: (T,) float32 for maps, None for label maps.
        per_image: keep every image's counts, too, for `image_counts`.
    """

    def __init__(
        self, num_classes: int, thresholds: np.ndarray | None, per_image: bool = False
    ) -> None:
        self.num_classes = num_classes
        self.histogram = None if thresholds is None else ScoreHistogram(num_classes, thresholds)
        self.per_image = per_image
        self._confusion = np.zeros((num_classes + 2, num_classes + 1), np.int64)
        self._images: dict[str, ImageHistogram | ClassCounts] = {}

    def add(self, id: str, found: Cam | np.ndarray, truth: np.ndarray) -> None:
        """Count image `id`: a `Cam`, or a label map (H, W) uint8, against its truth (H, W) uint8."""
        if isinstance(found, Cam):
            assert self.histogram is not None
            one = self.histogram.add(found.classes, upsample(found.maps, truth.shape), truth)
            if self.per_image:
                self._images[id] = ImageHistogram.of(one)
            return
        confusion = confusion_of_labels(found, truth, self.num_classes)
        self._confusion += confusion
        if self.per_image:
            self._images[id] = class_counts(confusion)

    def merge(self, other: Tally) -> None:
        """Add what another process counted."""
        self._confusion += other._confusion
        self._images.update(other._images)
        if self.histogram is not None and other.histogram is not None:
            self.histogram.merge(other.histogram)

    def confusion(self, index: int) -> np.ndarray:
        """(K + 2, K + 1) int64, at the histogram's `index`-th threshold if there are any."""
        return self._confusion if self.histogram is None else self.histogram.confusion(index)

    def image_counts(self, ids: Sequence[str], index: int) -> ClassCounts:
        """The counts of `ids`, (n, K + 1) int32 each, at the histogram's `index`-th threshold if there are any."""
        found = [
            one.at(index, self.num_classes) if isinstance(one, ImageHistogram) else one
            for one in (self._images[id] for id in ids)
        ]
        return ClassCounts(
            *(
                np.stack([getattr(one, part) for one in found]).astype(np.int32)
                for part in ("correct", "predicted", "true")
            )
        )


def score_files(
    directory: Path,
    ids: Sequence[str],
    truth: Truth,
    kind: str,
    num_classes: int | None,
    thresholds: np.ndarray,
    progress: Progress,
    per_image: bool = False,
) -> Tally:
    """Counts of this rank's share of `ids`, merged over ranks.

    Args:
        directory: holds ``<id>`` + the suffix of format `kind`.
        truth: id -> ground truth (H, W) uint8.
        num_classes: K; None accepts any class up to 254.
        thresholds: (T,) float32 ascending; used by the formats that are scored at thresholds.
        per_image: keep the counts of every image, too.

    Raises:
        UserError: a file is missing or unreadable, of another size than its mask, or has a class outside 0..K.
    """
    form = FORMATS[kind]
    _check_present(directory, ids, form.suffix)
    tally = Tally(num_classes or MAX_CLASSES, thresholds if form.thresholded else None, per_image)
    mine = ranks.shard(ids)
    with progress.track("evaluate", total=len(mine)) as task:
        paths = [directory / f"{id}{form.suffix}" for id in mine]
        reads = [partial(_read_pair, form, p, truth, id) for p, id in zip(paths, mine, strict=True)]
        for id, path, (found, true) in zip(mine, paths, _ahead(reads), strict=True):
            _add(tally, id, found, true, path)
            task.advance()
    merged, *others = ranks.gather(tally)
    for other in others:
        merged.merge(other)
    return merged


def _read_pair(form: Format, path: Path, truth: Truth, id: str) -> tuple[Any, np.ndarray]:
    true = truth(id)
    return (form.read(path, true.shape) if form.sized else form.read(path)), true


def _ahead(reads: Sequence[Callable[[], T]], depth: int = 4) -> Iterator[T]:
    """The results of `reads` in order; a second thread reads a few ahead while this one counts."""
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


def _check_present(directory: Path, ids: Iterable[str], suffix: str) -> None:
    if not directory.is_dir():
        raise UserError(f"prediction folder {directory} does not exist")
    missing = [id for id in ids if not (directory / f"{id}{suffix}").is_file()]
    if missing:
        raise UserError(
            f"{directory} has no prediction for {len(missing)} images of the list, "
            f"the first is {missing[0]}{suffix}"
        )


def _add(tally: Tally, id: str, found: Any, truth: np.ndarray, path: Path) -> None:
    shape = found.size if isinstance(found, Cam) else found.shape
    if tuple(shape) != truth.shape:
        raise UserError(
            f"{path} is {shape[1]} x {shape[0]}, but its mask is {truth.shape[1]} x {truth.shape[0]} pixels"
        )
    try:
        tally.add(id, found, truth)
    except ValueError as error:
        raise UserError(f"{path} and its mask cannot be compared: {error}") from error


def summarise(
    tally: Tally,
    threshold: float | None,
    names: Sequence[str] | None = None,
    choice: str = "fixed",
) -> dict[str, Any]:
    """The evaluation's JSON: miou, precision, recall (per cent), threshold and how it was chosen, iou, curve.

    Args:
        threshold: score at this one of the histogram's thresholds; None takes the best (``oracle``).
        choice: how that threshold came about.
        names: of the K classes; without them classes are called by their label-map value.
    """
    histogram = tally.histogram
    index = 0
    if histogram is None:
        choice = "none"
    elif threshold is None:
        index, choice = best(histogram), "oracle"
    else:
        index = _index(histogram, threshold)
    point = metrics(tally.confusion(index))
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


def _index(histogram: ScoreHistogram, threshold: float) -> int:
    return int(np.flatnonzero(histogram.thresholds == np.float32(threshold))[0])


def read_selected(directory: Path) -> tuple[float, str]:
    """The threshold, and how it was chosen, that `select_threshold` left in `directory`.

    Raises:
        CorruptArtefactError: missing or damaged.
    """
    path = directory / SELECTED
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return float(found["threshold"]), str(found["choice"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptArtefactError(path, str(error)) from error


def run(work: StageWork) -> dict[str, Any]:
    """Score one rung: at the fixed or selected threshold, at the best one, and the whole curve."""
    config, dataset = work.config, work.dataset
    split = config["split"]
    kind = config["format"]
    threshold, choice = config["threshold"], "fixed"
    if "threshold" in work.inputs:
        threshold, choice = read_selected(work.inputs["threshold"])
    grid = threshold_grid(*config["thresholds"])
    grid = np.unique(np.append(grid, np.float32(threshold)))
    directory = work.inputs["given"] / config.get("folder", "")
    tally = score_files(
        directory,
        dataset.ids(split),
        lambda id: read_mask(dataset, id, split),
        kind,
        len(dataset.classes),
        grid,
        work.context.progress,
        per_image=True,
    )
    chosen = summarise(tally, threshold, dataset.classes, choice)
    oracle = None if tally.histogram is None else summarise(tally, None, dataset.classes)
    if ranks.is_main():
        _write_counts(work.directory, tally, dataset.ids(split), threshold)
    return {"chosen": chosen, "oracle": oracle}


def _write_counts(directory: Path, tally: Tally, ids: Sequence[str], threshold: float) -> None:
    histogram = tally.histogram
    indices = {"chosen": 0}
    if histogram is not None:
        indices = {"chosen": _index(histogram, threshold), "oracle": best(histogram)}
    found = {name: tally.image_counts(ids, index) for name, index in indices.items()}
    write_image_counts(directory / IMAGE_COUNTS, ids, found)
