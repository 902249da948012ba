"""What is wrong with a data set, from its lists, labels and file headers: before hours of work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from wsssbench.errors import LeakError, UserError
from wsssbench.files.ground_truth import read_mask
from wsssbench.files.image_lists import some
from wsssbench.files.images import image_size, label_size
from wsssbench.interfaces import Dataset
from wsssbench.progress import Progress, Silent

Key = TypeVar("Key")
Found = TypeVar("Found")
# What is found out about one image: its (H, W), or the sentence that says why not.
_Size = tuple[int, int] | str
_BLOCK = 1024


def check_dataset(
    dataset: Dataset, splits: Sequence[str], masks: bool, workers: int, labels: bool = True
) -> list[str]:
    """What can be known to be wrong with `splits` without decoding; seconds for 10,000 images.

    Args:
        dataset: what to check.
        splits: its splits that will be used.
        masks: also look for a label map of the image's size (for splits that are evaluated). Reads
            headers only, so no ground truth; not while a leak guard closes the folder.
        workers: threads.
        labels: also look at the image-level labels.

    Returns:
        One sentence per kind of problem, naming the first images it concerns; nothing if all is
        well.
    """
    problems: list[str] = []
    for split in dict.fromkeys(splits):
        try:
            ids = dataset.ids(split)
            if labels:
                problems += _check_labels(dataset, dataset.labels(split), ids, split)
        except UserError as error:
            problems.append(str(error))
            continue
        sizes = read_each(ids, lambda id: image_size(dataset.image_path(id)), workers)
        problems += _summary(sizes, f"images of split '{split}' cannot be used")
        if masks:
            problems += _check_mask_headers(dataset, split, sizes, workers)
    return list(dict.fromkeys(problems))


def check_masks(
    dataset: Dataset, split: str, workers: int, progress: Progress | None = None
) -> list[str]:
    """Open every mask of `split`: all there, of the image's size, with labels 0..K or 255 only.

    Returns:
        One sentence per kind of problem.

    Raises:
        LeakError: outside `truth.allow_masks`.
    """

    def size(id: str) -> tuple[int, int]:
        truth = read_mask(dataset, id, split)
        return truth.shape[0], truth.shape[1]

    ids = dataset.ids(split)
    images = read_each(ids, lambda id: image_size(dataset.image_path(id)), workers)
    track = (progress or Silent()).track(f"masks of {split}", total=len(ids))
    with track as task:
        masks = read_each(ids, size, workers, task.advance)
    unusable = _summary(masks, f"masks of split '{split}' cannot be used")
    return unusable + _different_sizes(images, masks, split)


def _check_labels(
    dataset: Dataset, labels: np.ndarray, ids: Sequence[str], split: str
) -> list[str]:
    num_classes = len(dataset.classes)
    if labels.shape != (len(ids), num_classes):
        return [
            f"the labels of split '{split}' have shape {labels.shape}, but there are {len(ids)} "
            f"images and {num_classes} classes"
        ]
    wrong = [ids[i] for i in np.flatnonzero(~np.isin(labels, (0, 1)).all(axis=1)).tolist()]
    none = [ids[i] for i in np.flatnonzero(~labels.any(axis=1)).tolist()]
    problems = []
    if wrong:
        problems.append(
            f"{len(wrong)} images of split '{split}' have labels other than 0 and 1: {some(wrong)}"
        )
    if none and not dataset.empty_images:
        problems.append(
            f"{len(none)} of {len(ids)} images of split '{split}' have no class in their labels: "
            f"{some(none)}; remove them from the list or label them"
        )
    return problems


def _check_mask_headers(
    dataset: Dataset, split: str, images: dict[str, _Size], workers: int
) -> list[str]:
    first = next(iter(images))
    if dataset.mask_path(first, split) is None:
        return [
            f"split '{split}' has no folder of ground-truth masks, so it cannot be evaluated: "
            "evaluate a split that has, or give the folder"
        ]

    def size(id: str) -> tuple[int, int]:
        path = dataset.mask_path(id, split)
        if path is None or not path.is_file():
            raise UserError(f"mask {path} does not exist")
        return label_size(path)

    masks = read_each(list(images), size, workers)
    unusable = _summary(masks, f"masks of split '{split}' cannot be used")
    return unusable + _different_sizes(images, masks, split)


def _different_sizes(images: dict[str, _Size], masks: dict[str, _Size], split: str) -> list[str]:
    different = [
        id
        for id, size in images.items()
        if not isinstance(size, str) and not isinstance(masks[id], str) and size != masks[id]
    ]
    if not different:
        return []
    first = different[0]
    return [
        f"{len(different)} masks of split '{split}' differ in size from their images: "
        f"{some(different)} ('{first}': image (height, width) {images[first]}, mask {masks[first]})"
    ]


def read_each(
    keys: Sequence[Key],
    read: Callable[[Key], Found],
    workers: int,
    done: Callable[[], None] = lambda: None,
) -> dict[Key, Found | str]:
    """What `read` finds out about each key, or the sentence that says why it could not.

    Args:
        workers: threads; Pillow decodes outside Python's lock.
        done: called after each key.
    """

    def found(key: Key) -> Found | str:
        try:
            return read(key)
        except LeakError:
            raise
        except UserError as error:
            return str(error)

    results: dict[Key, Found | str] = {}
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for start in range(0, len(keys), _BLOCK):  # a future for every image would take memory
            block = keys[start : start + _BLOCK]
            for key, result in zip(block, pool.map(found, block), strict=True):
                results[key] = result
                done()
    return results


def _summary(found: dict[str, _Size], what: str) -> list[str]:
    bad = {id: reason for id, reason in found.items() if isinstance(reason, str)}
    if not bad:
        return []
    reason = next(iter(bad.values()))
    return [f"{len(bad)} of {len(found)} {what}: {some(list(bad))} ({reason})"]
