"""The counting in the full check of a data set: sizes, labels, co-occurrence, masks, overlaps, duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from wsssbench.files.images import ImageFacts
from wsssbench.interfaces import IGNORE

SHOWN = 10  # ids that are named as examples
_DARK = 2  # unused bits: a quarter of the brightness


@dataclass(frozen=True)
class MaskFacts:
    """A readable mask: its (H, W), and (value, pixels) of the values that occur."""

    size: tuple[int, int]
    values: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Sizes:
    """Image sizes in pixels, each (min, median, max); Pillow's modes and their counts; images that EXIF turns; JPEGs
    that lack their end marker alone.
    """

    height: tuple[int, int, int]
    width: tuple[int, int, int]
    modes: dict[str, int]
    rotated: int
    unended: int


@dataclass(frozen=True)
class LabelCounts:
    """Image-level labels of a split.

    Attributes:
        images: class -> images that show it.
        alone: class -> images that show nothing else.
        together: [i][j] images that show the classes i and j, (K, K); the diagonal is `images`.
        empty: images without any class.
        mean: labels per image.
    """

    images: dict[str, int]
    alone: dict[str, int]
    together: tuple[tuple[int, ...], ...]
    empty: int
    mean: float


@dataclass(frozen=True)
class Disagreement:
    """Images in which labels and mask disagree about a class: how many, and the first ids."""

    name: str
    images: int
    ids: tuple[str, ...]


@dataclass(frozen=True)
class MaskCounts:
    """Masks of a split.

    Attributes:
        masks: that could be read.
        pixels: name -> share of all pixels, for background, the classes and ``ignore`` (255); they sum to 1.
        images: class -> masks that hold it.
        only_mask: classes that a mask holds and the image's labels do not.
        only_label: the reverse.
    """

    masks: int
    pixels: dict[str, float]
    images: dict[str, int]
    only_mask: tuple[Disagreement, ...]
    only_label: tuple[Disagreement, ...]


@dataclass(frozen=True)
class Overlap:
    """Images that two splits share.

    Attributes:
        inside: the split all of whose images are in the other one; empty if neither is.
    """

    splits: tuple[str, str]
    images: int
    inside: str
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Duplicate:
    """Image files with the same bytes.

    Attributes:
        splits: of each id.
        across: whether two of them have no split in common.
    """

    ids: tuple[str, ...]
    splits: tuple[tuple[str, ...], ...]
    across: bool


@dataclass(frozen=True)
class Pair:
    """Two classes that images show together, and in how many images each of them is; the rarer one first."""

    names: tuple[str, str]
    together: int
    images: tuple[int, int]

    @property
    def shares(self) -> tuple[float, float]:
        """The share of each one's images that show the other, too; the first is the larger."""
        return self.together / self.images[0], self.together / self.images[1]


def count_sizes(images: Sequence[ImageFacts]) -> Sizes:
    """Count the image sizes; `images` must not be empty."""
    heights, widths = (np.array([facts.size[axis] for facts in images]) for axis in (0, 1))
    return Sizes(
        _spread(heights),
        _spread(widths),
        dict(Counter(facts.mode for facts in images).most_common()),
        sum(facts.orientation != 1 for facts in images),
        sum(not facts.ended for facts in images),
    )


def too_dark(split: str, images: Iterable[ImageFacts]) -> str | None:
    """The sentence about images in 16 bits whose values have fewer, so that they are read nearly black; or None.

    It speaks of all images of a split: to stretch each one by its own largest value would make dark photos bright.
    """
    unused = [facts.unused for facts in images if facts.deep]
    if not unused or min(unused) < _DARK:
        return None
    bits, factor = 16 - min(unused), 2 ** min(unused)
    return (
        f"the images of split '{split}' in 16 bits use {bits} of them ({len(unused)} looked at), so they are read "
        f"nearly black, as 0 to {255 // factor} of 255: multiply their values by {factor} once, e.g. with "
        f"ImageMagick: mogrify -evaluate multiply {factor} FILES"
    )


def _spread(values: np.ndarray) -> tuple[int, int, int]:
    return int(values.min()), int(np.median(values)), int(values.max())


def count_labels(labels: np.ndarray, classes: Sequence[str]) -> LabelCounts:
    """Count the `labels`, (n, K) bool."""
    # Exact: counts are below 2^53. Integer matrices would not use the fast multiplication.
    together = (labels.T.astype(np.float64) @ labels.astype(np.float64)).astype(np.int64)
    single = labels[labels.sum(axis=1) == 1]
    return LabelCounts(
        images=dict(zip(classes, labels.sum(axis=0).tolist(), strict=True)),
        alone=dict(zip(classes, single.sum(axis=0).tolist(), strict=True)),
        together=tuple(tuple(row) for row in together.tolist()),
        empty=int((~labels.any(axis=1)).sum()),
        mean=float(labels.sum() / len(labels)),
    )


def strongest_pairs(counts: LabelCounts, least: int = 3) -> list[Pair]:
    """Pairs of classes by the larger of their two shares, largest first.

    Args:
        least: pairs in fewer images say little.
    """
    names, pairs = list(counts.images), []
    for i, j in combinations(range(len(names)), 2):
        together = counts.together[i][j]
        if together >= least:
            (m, a), (n, b) = sorted((counts.images[names[k]], k) for k in (i, j))
            pairs.append(Pair((names[a], names[b]), together, (m, n)))
    return sorted(pairs, key=lambda pair: (-pair.shares[0], -pair.together, pair.names))


def never_alone(counts: LabelCounts) -> list[tuple[str, list[str]]]:
    """Classes that no image shows by themselves, each with the classes that are in all of its images."""
    names = list(counts.images)
    return [
        (
            name,
            [
                names[j]
                for j, count in enumerate(counts.together[i])
                if j != i and count == counts.images[name]
            ],
        )
        for i, name in enumerate(names)
        if counts.images[name] and not counts.alone[name]
    ]


def count_masks(
    masks: Mapping[str, MaskFacts], labels: Mapping[str, np.ndarray] | None, classes: Sequence[str]
) -> MaskCounts:
    """Count the `masks` by id, and compare them with `labels`, (K,) bool by id; None if there are none."""
    total: Counter[int] = Counter()
    shown = np.zeros((len(masks), len(classes)), dtype=bool)
    for row, facts in enumerate(masks.values()):
        total.update(dict(facts.values))
        shown[row, [value - 1 for value, _ in facts.values if value not in (0, IGNORE)]] = True
    named = {0: "background", **{k + 1: name for k, name in enumerate(classes)}, IGNORE: "ignore"}
    pixels = sum(total.values())
    ids = list(masks)
    told = shown if labels is None else np.stack([labels[id] for id in ids])
    return MaskCounts(
        masks=len(masks),
        pixels={name: total[value] / pixels for value, name in named.items()},
        images=dict(zip(classes, shown.sum(axis=0).tolist(), strict=True)),
        only_mask=_disagreements(shown & ~told, ids, classes),
        only_label=_disagreements(told & ~shown, ids, classes),
    )


def _disagreements(
    wrong: np.ndarray, ids: Sequence[str], classes: Sequence[str]
) -> tuple[Disagreement, ...]:
    return tuple(
        Disagreement(
            classes[k],
            int(wrong[:, k].sum()),
            tuple(ids[i] for i in np.flatnonzero(wrong[:, k])[:SHOWN].tolist()),
        )
        for k in np.flatnonzero(wrong.any(axis=0)).tolist()
    )


def find_overlaps(lists: Mapping[str, Sequence[str]]) -> tuple[Overlap, ...]:
    """Every two splits that share images."""
    pairs = []
    sets = {split: set(ids) for split, ids in lists.items()}
    for first, second in combinations(lists, 2):
        shared = [id for id in lists[first] if id in sets[second]]
        if shared:
            inside = next((s for s in (first, second) if len(shared) == len(sets[s])), "")
            pairs.append(Overlap((first, second), len(shared), inside, tuple(shared[:SHOWN])))
    return tuple(pairs)


def find_duplicates(
    images: Mapping[str, ImageFacts], users: Mapping[str, tuple[str, ...]]
) -> tuple[Duplicate, ...]:
    """Groups of ids whose files have the same bytes; `users` are the splits of each id."""
    groups: dict[bytes, list[str]] = {}
    for id, facts in images.items():
        groups.setdefault(facts.digest, []).append(id)
    return tuple(
        Duplicate(
            tuple(ids),
            tuple(users[id] for id in ids),
            any(set(users[a]).isdisjoint(users[b]) for a, b in combinations(ids[:SHOWN], 2)),
        )
        for ids in groups.values()
        if len(ids) > 1
    )
