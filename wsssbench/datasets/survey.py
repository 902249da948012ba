"""Everything there is to know about a data set before hours of work on it: every file read and decoded once.

`check` looks at headers when a run starts; this reads all images, and all masks of the splits that have any, and
returns counts, sizes, overlaps, disagreements between labels and masks, and every problem with its file.

Threads are enough, since Pillow decodes outside Python's lock. Only its facts are kept of an image.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from wsssbench.datasets.check import read_each
from wsssbench.datasets.survey_counts import (
    Duplicate,
    LabelCounts,
    MaskCounts,
    MaskFacts,
    Overlap,
    Sizes,
    count_labels,
    count_masks,
    duplicates,
    overlaps,
    sizes,
)
from wsssbench.errors import UserError
from wsssbench.files.ground_truth import allow_masks, read_mask
from wsssbench.files.images import ImageFacts, inspect_image
from wsssbench.interfaces import IGNORE, Dataset
from wsssbench.progress import Progress, Silent

STAGE = "data check"
Key = TypeVar("Key")
Facts = TypeVar("Facts")


@dataclass(frozen=True)
class Problem:
    """Something wrong with one file (or, if `id` is empty, with a split).

    Attributes:
        kind: ``split``, ``labels``, ``image`` or ``mask``.
        splits: the splits it concerns.
        file: the file if it is known, else empty.
        text: one sentence.
        stops: whether a run would stop because of it.
    """

    kind: str
    splits: tuple[str, ...]
    id: str
    file: str
    text: str
    stops: bool


@dataclass(frozen=True)
class SplitSurvey:
    """One split; what could not be found out is None."""

    name: str
    images: int
    sizes: Sizes | None
    labels: LabelCounts | None
    masks: MaskCounts | None


@dataclass(frozen=True)
class Survey:
    """What `survey` found.

    Attributes:
        images: image files that could be read, each once.
        masks: mask files that could be read, each once.
    """

    classes: tuple[str, ...]
    splits: tuple[SplitSurvey, ...]
    images: int
    masks: int
    overlaps: tuple[Overlap, ...]
    duplicates: tuple[Duplicate, ...]
    problems: tuple[Problem, ...]

    @property
    def stops(self) -> bool:
        """Would a run stop?"""
        return any(problem.stops for problem in self.problems)


def survey(
    dataset: Dataset,
    splits: Sequence[str],
    *,
    scored: Collection[str] = (),
    unlabelled: Collection[str] = (),
    workers: int = 1,
    progress: Progress | None = None,
) -> Survey:
    """Read everything of `splits` once, in `workers` threads; masks inside `truth.allow_masks`.

    Args:
        scored: splits whose masks a run opens: problems of other masks do not stop it.
        unlabelled: splits whose image-level labels a run does not need.
    """
    progress = progress or Silent()
    problems: list[Problem] = []
    lists = _lists(dataset, splits, problems)
    labels = {
        split: _labels(dataset, split, ids, split not in unlabelled, problems)
        for split, ids in lists.items()
    }
    users = _users(lists)
    images = _read_images(dataset, users, workers, progress, problems)
    files = _mask_files(dataset, lists, scored, problems)
    masks = _read_masks(dataset, files, workers, progress)
    problems += _mask_problems(masks, files, images, scored)
    summaries = (
        _summary(dataset.classes, split, ids, labels[split], images, files[split], masks)
        for split, ids in lists.items()
    )
    return Survey(
        dataset.classes,
        tuple(summaries),
        images=len(_readable(images)),
        masks=len(_readable(masks)),
        overlaps=overlaps(lists),
        duplicates=duplicates(_readable(images), users),
        problems=_merged(problems),
    )


def _lists(
    dataset: Dataset, splits: Sequence[str], problems: list[Problem]
) -> dict[str, list[str]]:
    lists = {}
    for split in dict.fromkeys(splits):
        try:
            lists[split] = dataset.ids(split)
        except UserError as error:
            problems.append(Problem("split", (split,), "", "", str(error), stops=True))
    return lists


def _users(lists: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """id -> the splits that list it."""
    users: dict[str, tuple[str, ...]] = {}
    for split, ids in lists.items():
        for id in ids:
            users[id] = (*users.get(id, ()), split)
    return users


def _labels(
    dataset: Dataset, split: str, ids: Sequence[str], needed: bool, problems: list[Problem]
) -> np.ndarray | None:
    """(n, K) bool, None if a split has no usable labels."""
    try:
        values = dataset.labels(split)
    except UserError as error:
        if needed:
            problems.append(Problem("split", (split,), "", "", str(error), stops=True))
        return None
    if values.shape != (len(ids), len(dataset.classes)):
        text = f"the labels have shape {values.shape} for {len(ids)} images and {len(dataset.classes)} classes"
        problems.append(Problem("split", (split,), "", "", text, stops=True))
        return None
    wrong = ~np.isin(values, (0, 1)).all(axis=1)
    none = ~values.any(axis=1) & (not dataset.empty_images)
    for rows, text in (
        (wrong, "its labels are not 0 or 1"),
        (none, "it has no class in its labels"),
    ):
        for i in np.flatnonzero(rows).tolist():
            problems.append(
                Problem("labels", (split,), ids[i], "", f"'{ids[i]}': {text}", stops=needed)
            )
    return values == 1


def _read_images(
    dataset: Dataset,
    users: Mapping[str, tuple[str, ...]],
    workers: int,
    progress: Progress,
    problems: list[Problem],
) -> dict[str, ImageFacts | str]:
    """Every image once, also if several splits list it."""
    with progress.track("images", len(users)) as task:
        images = read_each(
            list(users), lambda id: inspect_image(dataset.image_path(id)), workers, task.advance
        )
    for id, found in images.items():
        if isinstance(found, str):
            try:
                file = str(dataset.image_path(id))
            except UserError:
                file = ""
            problems.append(Problem("image", users[id], id, file, found, stops=True))
    return images


def _mask_files(
    dataset: Dataset,
    lists: Mapping[str, Sequence[str]],
    scored: Collection[str],
    problems: list[Problem],
) -> dict[str, dict[str, Path]]:
    """split -> id -> mask file; nothing for a split without masks."""
    files: dict[str, dict[str, Path]] = {}
    for split, ids in lists.items():
        files[split] = {}
        try:
            if not dataset.has_masks(split):
                continue
            paths = {id: dataset.mask_path(id, split) for id in ids}
            if None in paths.values():
                raise UserError(f"the folder of the masks of split '{split}' does not exist")
            files[split] = {id: path for id, path in paths.items() if path is not None}
        except UserError as error:
            problems.append(Problem("split", (split,), "", "", str(error), split in scored))
    return files


def _read_masks(
    dataset: Dataset, files: Mapping[str, Mapping[str, Path]], workers: int, progress: Progress
) -> dict[Path, MaskFacts | str]:
    """Every mask file once, also if several splits share it."""
    first = {path: (id, split) for split, ids in files.items() for id, path in ids.items()}

    def read(path: Path) -> MaskFacts:
        id, split = first[path]
        label = read_mask(dataset, id, split)
        counts = np.bincount(label.ravel(), minlength=IGNORE + 1)
        present = np.flatnonzero(counts)
        return MaskFacts(
            label.shape, tuple(zip(present.tolist(), counts[present].tolist(), strict=True))
        )

    if not first:
        return {}
    with allow_masks(STAGE), progress.track("masks", len(first)) as task:
        return read_each(list(first), read, workers, task.advance)


def _mask_problems(
    masks: Mapping[Path, MaskFacts | str],
    files: Mapping[str, Mapping[str, Path]],
    images: Mapping[str, ImageFacts | str],
    scored: Collection[str],
) -> Iterable[Problem]:
    users: dict[tuple[Path, str], tuple[str, ...]] = {}
    for split, ids in files.items():
        for id, path in ids.items():
            users[path, id] = (*users.get((path, id), ()), split)
    for (path, id), splits in users.items():
        mask, image = masks[path], images[id]
        text = mask if isinstance(mask, str) else _size_problem(path, mask, image)
        if text is not None:
            yield Problem(
                "mask", splits, id, str(path), text, stops=not set(splits).isdisjoint(scored)
            )


def _size_problem(path: Path, mask: MaskFacts, image: ImageFacts | str) -> str | None:
    if isinstance(image, str) or image.size == mask.size:
        return None
    (height, width), (h, w) = mask.size, image.size
    why = " (its EXIF says rotated, which is ignored)" if image.orientation != 1 else ""
    return f"mask {path} is {width} x {height}, but its image is {w} x {h} pixels{why}"


def _merged(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """What is wrong in several splits for the same reason, once."""
    found: dict[tuple[str, str, str], Problem] = {}
    for problem in problems:
        key = problem.kind, problem.id, problem.text
        if key in found:
            splits = (*found[key].splits, *problem.splits)
            stops = found[key].stops or problem.stops
            problem = replace(found[key], splits=splits, stops=stops)
        found[key] = problem
    return tuple(found.values())


def _summary(
    classes: tuple[str, ...],
    split: str,
    ids: Sequence[str],
    labels: np.ndarray | None,
    images: Mapping[str, ImageFacts | str],
    files: Mapping[str, Path],
    masks: Mapping[Path, MaskFacts | str],
) -> SplitSurvey:
    readable = list(_readable({id: images[id] for id in ids}).values())
    whole = _readable({id: masks[path] for id, path in files.items()})
    known = None if labels is None else dict(zip(ids, labels, strict=True))
    return SplitSurvey(
        name=split,
        images=len(ids),
        sizes=sizes(readable) if readable else None,
        labels=None if labels is None else count_labels(labels, classes),
        masks=count_masks(whole, known, classes) if whole else None,
    )


def _readable(found: Mapping[Key, Facts | str]) -> dict[Key, Facts]:
    return {id: facts for id, facts in found.items() if not isinstance(facts, str)}
