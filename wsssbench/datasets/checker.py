"""The checks of a data set, whether files are only looked at or decoded.

Threads are enough, since Pillow decodes outside Python's lock. Only its facts are kept of an image.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from wsssbench.datasets.check_counts import MaskFacts
from wsssbench.errors import LeakError, UserError
from wsssbench.files.image_lists import first_few
from wsssbench.files.images import ImageFacts, orientation
from wsssbench.interfaces import Dataset
from wsssbench.progress import Progress, Silent

Key = TypeVar("Key")
Facts = TypeVar("Facts")
_BLOCK = 1024
# How the quick check words all problems of one kind in one split.
SENTENCES = {
    "label values": "{n} images of split '{split}' have labels other than 0 and 1: {ids}",
    "no class": "{n} of {total} images of split '{split}' have no class in their labels: {ids}; "
    "remove them from the list or label them",
    "image": "{n} of {total} images of split '{split}' cannot be used: {ids} ({text})",
    "mask": "{n} of {total} masks of split '{split}' cannot be used: {ids} ({text})",
    "mask size": "{n} masks of split '{split}' differ in size from their images: {ids} ({text})",
}
_KINDS = {
    "label values": "labels",
    "no class": "labels",
    "mask size": "mask",
    "brightness": "image",
    "mask classes": "mask",
}


@dataclass(frozen=True)
class Problem:
    """Something wrong with one file (or, if `id` is empty, with a split).

    Attributes:
        kind: ``split``, ``labels``, ``image`` or ``mask``.
        check: which check of this kind, a key of `SENTENCES`; the kind itself if there is one only.
        splits: the splits it concerns.
        file: the file if it is known, else empty.
        text: one sentence.
        stops: whether a run would stop because of it.
    """

    kind: str
    check: str
    splits: tuple[str, ...]
    id: str
    file: str
    text: str
    stops: bool


class Checker:
    """The checks of some splits, one after another; each adds its problems.

    Attributes:
        lists: split -> its ids, of the splits that could be listed.
        splits_of: id -> the splits that list it.
        mask_paths: split -> id -> mask file, once masks were checked; nothing for a split without masks.
        problems: in order; what is wrong in several splits for the same reason is one problem.
    """

    def __init__(self, dataset: Dataset, splits: Sequence[str], workers: int) -> None:
        self.dataset, self.workers = dataset, workers
        self.problems: dict[tuple[str, str, str], Problem] = {}
        self.lists: dict[str, list[str]] = {}
        self.splits_of: dict[str, tuple[str, ...]] = {}
        self.mask_paths: dict[str, dict[str, Path]] = {}
        self.images: dict[str, ImageFacts] = {}
        for split in dict.fromkeys(splits):
            try:
                self.lists[split] = dataset.ids(split)
            except UserError as error:
                self.add("split", (split,), error.whole)
        for split, ids in self.lists.items():
            for id in ids:
                self.splits_of[id] = (*self.splits_of.get(id, ()), split)

    def check_labels(self, unlabelled: Collection[str] = ()) -> dict[str, np.ndarray]:
        """Image-level labels (n, K) bool of every split that has usable ones; a run needs none of `unlabelled`."""
        usable = {}
        for split, ids in self.lists.items():
            needed = split not in unlabelled
            try:
                values = self.dataset.labels(split)
            except UserError as error:
                if needed:
                    self.add("split", (split,), error.whole)
                continue
            if values.shape != (len(ids), len(self.dataset.classes)):
                text = (
                    f"the labels of split '{split}' have shape {values.shape}, but there are "
                    f"{len(ids)} images and {len(self.dataset.classes)} classes"
                )
                self.add("split", (split,), text)
                continue
            wrong = ~np.isin(values, (0, 1)).all(axis=1)
            empty = ~values.any(axis=1) & (not self.dataset.empty_images)
            for check, rows, text in (
                ("label values", wrong, "its labels are not 0 or 1"),
                ("no class", empty, "it has no class in its labels"),
            ):
                for id in (ids[i] for i in np.flatnonzero(rows).tolist()):
                    self.add(check, (split,), f"'{id}': {text}", id, stops=needed)
            usable[split] = values == 1
        return usable

    def check_images(
        self, read: Callable[[Path], ImageFacts], progress: Progress | None = None
    ) -> dict[str, ImageFacts]:
        """Readable images by id, each read once, also if several splits list it."""
        dataset, ids = self.dataset, list(self.splits_of)
        with (progress or Silent()).track("images", len(ids)) as task:
            results = read_each(
                ids, lambda id: read(dataset.image_path(id)), self.workers, task.advance
            )
        for id, problem in results.items():
            if isinstance(problem, str):
                try:
                    file = str(dataset.image_path(id))
                except UserError:
                    file = ""
                self.add("image", self.splits_of[id], problem, id, file)
        self.images = _readable(results)
        return self.images

    def check_masks(
        self,
        read: Callable[[Dataset, str, str], MaskFacts],
        scored: Collection[str] = (),
        required: bool = False,
        progress: Progress | None = None,
    ) -> dict[Path, MaskFacts]:
        """Readable masks by file, each read once, also if splits share it; compared with the images' sizes.

        Args:
            scored: splits whose masks a run opens.
            required: every split has to have masks, and a run opens them.
        """
        scored = self.lists.keys() if required else scored
        for split in self.lists:
            self.mask_paths[split] = self._find_masks(split, split in scored, required)
        users: dict[tuple[Path, str], tuple[str, ...]] = {}
        for split, paths in self.mask_paths.items():
            for id, path in paths.items():
                users[path, id] = (*users.get((path, id), ()), split)
        if not users:
            return {}
        given = {path: (id, splits[-1]) for (path, id), splits in users.items()}
        with (progress or Silent()).track("masks", len(given)) as task:
            masks = read_each(
                list(given),
                lambda path: read(self.dataset, *given[path]),
                self.workers,
                task.advance,
            )
        for (path, id), splits in users.items():
            mask, image = masks[path], self.images.get(id)
            stops = not set(splits).isdisjoint(scored)
            if isinstance(mask, str):
                self.add("mask", splits, mask, id, str(path), stops)
            elif image is not None and mask.size != image.size:
                (height, width), (h, w) = mask.size, image.size
                turned = image.orientation != 1 or orientation(self.dataset.image_path(id)) != 1
                why = " (its EXIF says rotated, which is ignored)" if turned else ""
                text = f"mask {path} is {width} x {height}, but its image is {w} x {h} pixels{why}"
                self.add("mask size", splits, text, id, str(path), stops)
        return _readable(masks)

    def masks_of(self, split: str, masks: Mapping[Path, MaskFacts]) -> dict[str, MaskFacts]:
        """The readable ones of `masks`, as `check_masks` returned them, of `split` by id."""
        paths = self.mask_paths.get(split, {})
        return {id: masks[path] for id, path in paths.items() if path in masks}

    def sentences(self) -> list[str]:
        """One sentence per kind of problem that would stop a run and split, with the first reason."""
        groups: dict[tuple[str, str, str], list[Problem]] = {}
        for problem in (problem for problem in self.problems.values() if problem.stops):
            for split in problem.splits:
                text = "" if problem.id else problem.text
                groups.setdefault((split, problem.check, text), []).append(problem)
        sentences = [
            text
            or SENTENCES[check].format(
                n=len(problems),
                total=len(self.lists[split]),
                split=split,
                ids=first_few([problem.id for problem in problems]),
                text=problems[0].text,
            )
            for (split, check, text), problems in groups.items()
        ]
        return list(dict.fromkeys(sentences))

    def _find_masks(self, split: str, stops: bool, required: bool) -> dict[str, Path]:
        try:
            if not required and not self.dataset.has_masks(split):
                return {}
            paths = {id: self.dataset.mask_path(id, split) for id in self.lists[split]}
        except UserError as error:
            self.add("split", (split,), error.whole, stops=stops)
            return {}
        given = {id: path for id, path in paths.items() if path is not None}
        if len(given) < len(paths):
            text = (
                f"split '{split}' has no folder of ground-truth masks, so it cannot be evaluated: "
                "evaluate a split that has, or give the folder"
            )
            self.add("split", (split,), text, stops=stops)
            return {}
        return given

    def add(
        self,
        check: str,
        splits: tuple[str, ...],
        text: str,
        id: str = "",
        file: str = "",
        stops: bool = True,
    ) -> None:
        """Add a problem; arguments as the attributes of `Problem`."""
        kind = _KINDS.get(check, check)
        problem = Problem(kind, check, splits, id, file, text, stops)
        known = self.problems.get((check, id, text))
        if known is not None:
            stops = known.stops or stops
            problem = replace(known, splits=(*known.splits, *splits), stops=stops)
        self.problems[check, id, text] = problem


def read_each(
    keys: Sequence[Key],
    read: Callable[[Key], Facts],
    workers: int,
    done: Callable[[], None] = lambda: None,
) -> dict[Key, Facts | str]:
    """What `read` returns for each key, or the sentence that says why it could not.

    Args:
        workers: threads; Pillow decodes outside Python's lock.
        done: called after each key.
    """

    def read_or_reason(key: Key) -> Facts | str:
        try:
            return read(key)
        except LeakError:
            raise
        except UserError as error:
            return error.whole

    results: dict[Key, Facts | str] = {}
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for start in range(0, len(keys), _BLOCK):  # a future for every image would take memory
            block = keys[start : start + _BLOCK]
            for key, result in zip(block, pool.map(read_or_reason, block), strict=True):
                results[key] = result
                done()
    return results


def _readable(results: Mapping[Key, Facts | str]) -> dict[Key, Facts]:
    return {key: facts for key, facts in results.items() if not isinstance(facts, str)}
