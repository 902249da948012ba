"""Check a data set: quickly before a run (lists, labels, file headers), or in full (every file decoded and counted)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsssbench.datasets.check_counts import (
    Duplicate,
    LabelCounts,
    MaskCounts,
    MaskFacts,
    Overlap,
    Sizes,
    count_labels,
    count_masks,
    count_sizes,
    find_duplicates,
    find_overlaps,
    too_dark,
)
from wsssbench.datasets.checker import Checker, Problem
from wsssbench.errors import UserError
from wsssbench.evaluation.doubts import Doubt, Names, Tally, doubts_of_masks, shifted, told
from wsssbench.files.ground_truth import allow_masks, read_mask
from wsssbench.files.images import ImageFacts, image_header, inspect_image, label_size
from wsssbench.interfaces import IGNORE, Dataset
from wsssbench.progress import Progress

STAGE = "data check"
LOOKED_AT = 8  # deep images of a split, before a run


@dataclass(frozen=True)
class SplitReport:
    """The result for one split; what could not be read is None."""

    name: str
    images: int
    sizes: Sizes | None
    labels: LabelCounts | None
    masks: MaskCounts | None


@dataclass(frozen=True)
class DatasetReport:
    """The result of the full check.

    Attributes:
        images: image files that could be read, each once.
        masks: mask files that could be read, each once.
    """

    classes: tuple[str, ...]
    splits: tuple[SplitReport, ...]
    images: int
    masks: int
    overlaps: tuple[Overlap, ...]
    duplicates: tuple[Duplicate, ...]
    problems: tuple[Problem, ...]

    @property
    def stops(self) -> bool:
        """Would a run stop?"""
        return any(problem.stops for problem in self.problems)


def check_dataset(
    dataset: Dataset,
    splits: Sequence[str],
    masks: bool,
    workers: int,
    labels: bool = True,
    progress: Progress | None = None,
) -> list[str]:
    """Check `splits` from the headers of their files; seconds for 10,000 images.

    Args:
        masks: also look for a label map of the image's size (for splits that are evaluated). Reads
            headers only, so no ground truth; not while a leak guard closes the folder.
        workers: threads.
        labels: also look at the image-level labels.
        progress: warned of what is no problem: images that are nearly black.

    Returns:
        One sentence per kind of problem, naming the first images it concerns; nothing if all is
        well.
    """
    checker = Checker(dataset, splits, workers)
    if labels:
        checker.check_labels()
    images = checker.check_images(image_header)
    for split, ids in checker.lists.items():
        deep = [id for id in ids if id in images and images[id].deep] if progress else []
        text = too_dark(split, _inspected(dataset, deep[:: 1 + len(deep) // LOOKED_AT]))
        if progress and text:
            progress.warn(text)
    if masks:
        checker.check_masks(_mask_header, required=True)
    return checker.sentences()


def check_masks(
    dataset: Dataset, split: str, workers: int, progress: Progress | None = None
) -> list[str]:
    """Decode every mask of `split`: all there, of the image's size, with labels 0..K or 255 only.

    With classes, too, whose indices are not shifted against those of the image-level labels.

    Returns:
        One sentence per kind of problem.

    Raises:
        LeakError: outside `ground_truth.allow_masks`.
    """
    checker = Checker(dataset, [split], workers)
    checker.check_images(image_header)
    masks = checker.check_masks(_decoded_mask, required=True, progress=progress)
    try:
        labels = dataset.labels(split) == 1
    except UserError:  # a split that is only scored needs none
        labels = None
    _check_meaning(checker, split, masks, labels, scored=True)
    return checker.sentences()


def full_check(
    dataset: Dataset,
    splits: Sequence[str],
    *,
    scored: Collection[str] = (),
    unlabelled: Collection[str] = (),
    workers: int = 1,
    progress: Progress | None = None,
) -> DatasetReport:
    """Decode every image of `splits`, and every mask of those that have any, once; count what is in them.

    Args:
        scored: splits whose masks a run opens: problems of other masks do not stop it.
        unlabelled: splits whose image-level labels a run does not need.
        workers: threads.
    """
    checker = Checker(dataset, splits, workers)
    labels = checker.check_labels(unlabelled)
    images = checker.check_images(inspect_image, progress)
    with allow_masks(STAGE):
        masks = checker.check_masks(_decoded_mask, scored, progress=progress)
    reports = []
    for split, ids in checker.lists.items():
        seen = [images[id] for id in ids if id in images]
        dark = too_dark(split, seen)
        if dark is not None:
            checker.add("brightness", (split,), dark, stops=False)
        sizes = count_sizes(seen) if seen else None
        by_id, counts = None, None
        if split in labels:
            by_id = dict(zip(ids, labels[split], strict=True))
            counts = count_labels(labels[split], dataset.classes)
        facts = checker.masks_of(split, masks)
        _check_meaning(checker, split, masks, labels.get(split), split in scored)
        pixels = count_masks(facts, by_id, dataset.classes) if facts else None
        reports.append(SplitReport(split, len(ids), sizes, counts, pixels))
    return DatasetReport(
        classes=dataset.classes,
        splits=tuple(reports),
        images=len(images),
        masks=len(masks),
        overlaps=find_overlaps(checker.lists),
        duplicates=find_duplicates(images, checker.splits_of),
        problems=tuple(checker.problems.values()),
    )


def _inspected(dataset: Dataset, ids: Sequence[str]) -> Iterator[ImageFacts]:
    for id in ids:
        with suppress(UserError):  # told where the image is needed
            yield inspect_image(dataset.image_path(id))


def _check_meaning(
    checker: Checker,
    split: str,
    masks: Mapping[Path, MaskFacts],
    labels: np.ndarray | None,
    scored: bool,
) -> None:
    """Look whether the label-map values of the masks of `split` are its classes. See `doubts_of_masks`.

    Args:
        labels: (n, K) bool in the order of the split's ids; None if there are none.
    """
    tally, count = Tally(), len(checker.dataset.classes)
    together, totals = np.zeros((count + 1, count + 1)), np.zeros(count + 1)
    facts = checker.masks_of(split, masks)
    ids = checker.lists.get(split, [])
    rows = {} if labels is None else dict(zip(ids, labels, strict=False))
    for id, mask in facts.items():
        values = [value for value, _ in mask.values if value != IGNORE]
        tally.add(id, values, dict(mask.values).get(IGNORE, 0))
        totals[values] += 1
        if id in rows:
            together[np.ix_(1 + np.flatnonzero(rows[id]), np.array(values, int))] += 1
    names = Names(mask=lambda id: checker.mask_paths[split][id])
    shares, best, clear = shifted(together, totals)
    found = doubts_of_masks(tally, names)
    if clear and rows:
        shares_told = told(shares, best, "the image-level labels")
        found.append(Doubt(f"{shares_told}: is their order of the classes another?", certain=True))
    expected = not rows or any(row.any() for row in rows.values())  # else all are background
    for doubt in found:
        stops = scored and doubt.certain and expected
        checker.add("mask classes", (split,), f"split '{split}': {doubt.text}", stops=stops)


def _mask_header(dataset: Dataset, id: str, split: str) -> MaskFacts:
    path = dataset.mask_path(id, split)
    if path is None or not path.is_file():
        raise UserError(f"mask {path} does not exist")
    return MaskFacts(label_size(path), ())


def _decoded_mask(dataset: Dataset, id: str, split: str) -> MaskFacts:
    label = read_mask(dataset, id, split)
    counts = np.bincount(label.ravel(), minlength=IGNORE + 1)
    present = np.flatnonzero(counts)
    values = tuple(zip(present.tolist(), counts[present].tolist(), strict=True))
    return MaskFacts((label.shape[0], label.shape[1]), values)
