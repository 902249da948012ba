"""Signs that predictions, masks and class indices do not mean the same: numbers that would be wrong without a word.

    tally = Tally()
    for each image: tally.add(id, values of the mask, its ignored pixels, predicted values)
    doubts(confusion, tally, ...)

A doubt is certain only where sound files cannot look like that. Bad predictions are sound files: predictions that miss
a class, CAMs without a class for an image without any, a data set of one class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from wsssbench.ops import IGNORE

_GAP = 100  # no data set of the field leaves out as many label-map values
_BETTER = 0.1  # a shift is told if it agrees with so much more than none
_OWN = 0.2  # the share of a class's pixels that speaks for a shift of its index


@dataclass(frozen=True)
class Doubt:
    """One sentence without a full stop, and whether no score should be given."""

    text: str
    certain: bool = False


@dataclass
class Tally:
    """What is counted beside the confusion; counts of several processes add up.

    Attributes:
        images: their number.
        ignored: pixels of the masks that are 255.
        masks: label-map value -> masks that have it.
        predicted: label-map value -> images that it is predicted in.
        maps: CAM files with at least one map.
        zero: those that are zero everywhere.
        summed: those that begin with class 1 and whose maps sum to 1 in every pixel, as scores of a CRF do.
        examples: by name of the count (and value), one image.
    """

    images: int = 0
    ignored: int = 0
    masks: Counter[int] = field(default_factory=Counter)
    predicted: Counter[int] = field(default_factory=Counter)
    maps: int = 0
    zero: int = 0
    summed: int = 0
    examples: dict[tuple[str, int], str] = field(default_factory=dict)

    def add(
        self, id: str, values: Collection[int], ignored: int, predicted: Collection[int] = ()
    ) -> None:
        """Count a mask with these `values` beside 255, which `ignored` pixels have, and the `predicted` values."""
        self.images += 1
        self.ignored += ignored
        for name, counter, present in (
            ("mask", self.masks, values),
            ("predicted", self.predicted, predicted),
        ):
            counter.update(present)
            for value in present:
                self.examples.setdefault((name, value), id)

    def add_maps(self, id: str, classes: np.ndarray, maps: np.ndarray) -> None:
        """Count a CAM file with `maps` (K', H, W) of `classes` (K',)."""
        if not maps.size:
            return
        self.maps += 1
        if not maps.any():
            self.zero += 1
            self.examples.setdefault(("zero", 0), id)
        if len(maps) > 1 and classes[0] == 1 and np.abs(maps.sum(axis=0) - 1).max() < 1e-3:
            self.summed += 1

    def merge(self, other: Tally) -> None:
        """Add the counts of another process."""
        for name in ("images", "ignored", "maps", "zero", "summed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.masks.update(other.masks)
        self.predicted.update(other.predicted)
        self.examples = {**other.examples, **self.examples}


@dataclass(frozen=True)
class Names:
    """How files and classes are called in sentences.

    Attributes:
        mask, file: image id -> the mask's or the prediction's file.
        classes: of the K classes; without them a class is called by its label-map value.
    """

    mask: Callable[[str], object] = str
    file: Callable[[str], object] = str
    classes: Sequence[str] | None = None

    def of(self, value: int) -> str:
        """Class 3 (cat)."""
        known = self.classes is not None and 1 <= value <= len(self.classes)
        return f"class {value}{f' ({self.classes[value - 1]})' if known and self.classes else ''}"


def doubts(
    confusion: np.ndarray, tally: Tally, names: Names, *, cams: bool, open_ended: bool
) -> list[Doubt]:
    """Everything that is odd about scored files.

    Args:
        confusion: (K + 2, K + 1) integer, see `confusion`; of CAMs that at the lowest threshold.
        cams: the files are CAMs; otherwise label maps.
        open_ended: nobody said what K is.
    """
    of_masks = doubts_of_masks(tally, names, open_ended)
    if any(doubt.certain for doubt in of_masks):
        return of_masks
    of_classes = _crf_scores(confusion, tally, names) if cams else []
    return [
        *of_masks,
        *_nothing_predicted(confusion, tally, names, cams),
        *(of_classes or _other_indices(confusion, tally, names, cams)),
    ]


def doubts_of_masks(tally: Tally, names: Names, open_ended: bool = False) -> list[Doubt]:
    """What is odd about the masks alone. See `doubts`."""
    values = sorted(value for value in tally.masks if value != 0)
    if not values and tally.ignored and tally.masks:
        example = names.mask(tally.examples["mask", 0])
        return [
            Doubt(
                "the masks hold no class 1..K at all, only 0 (background) and 255 (ignored, not a class), e.g. "
                f"{example}: were they drawn as 0/255 instead of 0/1?",
                certain=True,
            )
        ]
    if not values and tally.masks:
        return [
            Doubt("the masks hold background (0) only, so the score says nothing about classes")
        ]
    others = sorted({*values, *tally.predicted} - {0, IGNORE})
    for low, high in pairwise(others):
        if open_ended and high - low > _GAP:
            return [_far_above(low, high, tally, names)]
    return []


def _far_above(low: int, high: int, tally: Tally, names: Names) -> Doubt:
    if high in tally.masks:
        where = f"{tally.masks[high]} of {tally.images} masks, e.g. {names.mask(tally.examples['mask', high])}"
    else:
        example = names.file(tally.examples["predicted", high])
        where = f"{tally.predicted[high]} of {tally.images} predictions, e.g. {example}"
    return Doubt(
        f"label {high} is in {where}, far above the others (the next is {low}), and counts as a class: only 255 is "
        "ignored, so if it marks a border or void, save it as 255"
    )


def shifted(
    hits: np.ndarray, totals: np.ndarray, first_is_zero: bool = False
) -> tuple[dict[int, float], int, bool]:
    """Whether class indices agree with the masks' better if they are shifted by 1.

    Args:
        hits: [j, k] how often (in pixels, or images) index j is given where the mask has k, (K + 1 or more, K + 1).
        totals: how often the masks have k, (K + 1,).
        first_is_zero: index 0 may be a class, too.

    Returns:
        shift d in (-1, 0, 1) -> the mean over the masks' classes k of the share of k that is given as k + d; the
        better one of -1 and 1; and whether it is clearly better than none, by more than one class.
    """
    count = len(totals)
    occurring = [k for k in range(1, count) if totals[k]]
    own = np.zeros((3, count))
    for d in (-1, 0, 1):
        for k in occurring:
            if k + d < count and (k + d or first_is_zero):
                own[d + 1, k] = hits[k + d, k] / totals[k]
    shares = {d: float(own[d + 1].sum() / max(len(occurring), 1)) for d in (-1, 0, 1)}
    best = max((-1, 1), key=lambda d: shares[d])
    speaking = (own[best + 1] >= _OWN) & (own[best + 1] > own[1])
    clear = shares[best] >= 2 * shares[0] + _OWN and int(speaking.sum()) > 1
    return shares, best, clear


def told(shares: Mapping[int, float], best: int, who: str = "the predictions") -> str:
    """The two shares of `shifted` as a sentence."""
    way = "lowered" if best > 0 else "raised"
    return (
        f"{who} agree with {shares[0]:.0%} of the masks' classes, and with {shares[best]:.0%} if their class indices "
        f"are {way} by 1"
    )


def _nothing_predicted(
    confusion: np.ndarray, tally: Tally, names: Names, cams: bool
) -> list[Doubt]:
    if tally.zero:
        which = f"all {tally.zero}" if tally.zero == tally.maps else f"{tally.zero} of {tally.maps}"
        example = names.file(tally.examples["zero", 0])
        return [
            Doubt(
                f"{which} CAM files are zero everywhere, e.g. {example}: no class is predicted there"
            )
        ]
    if cams or confusion[1:-1].any() or not confusion[:, 1:].any():
        return []
    drawn = ""
    if confusion[-1].any():
        drawn = " and 255 (ignored): were they drawn as 0/255 instead of 0/1, or is 0 their first class?"
    return [Doubt(f"no prediction has any class 1..K, only background{drawn}")]


def _crf_scores(confusion: np.ndarray, tally: Tally, names: Names) -> list[Doubt]:
    """0 = background, k + 1 = class k, read as CAMs of the classes 0 and k + 1."""
    shares, best, clear = _shifts(confusion)
    background = confusion[1, 0] >= confusion[:, 0].sum() / 2 > 0
    everywhere = tally.maps and tally.predicted[1] == tally.maps
    if not (best == 1 and shares[1] > shares[0] and background and everywhere):
        return []
    if not (clear or tally.summed == tally.maps):
        return []
    example = names.file(tally.examples["predicted", 1])
    return [
        Doubt(
            f"the files, e.g. {example}, hold scores of the background and of the classes (0 = background, k + 1 = "
            f"class k), as a CRF gives them, not CAMs: {told(shares, 1)}; score the CAMs they were made from, or "
            "their label maps (format png)",
            certain=True,
        )
    ]


def _other_indices(confusion: np.ndarray, tally: Tally, names: Names, cams: bool) -> list[Doubt]:
    shares, best, clear = _shifts(confusion)
    if clear:
        rule = (
            "keys of psa and irn files are class indices 0..K-1, which masks call 1..K"
            if cams
            else "in label maps 0 is the background and 1 the first class"
        )
        return [Doubt(f"other class indices: {told(shares, best)}; {rule}", certain=True)]
    true = confusion.sum(axis=0)
    strangers = [
        value
        for value, images in tally.predicted.items()
        if 0 < value < len(true) and not true[value] and 2 * images >= max(tally.images, 2)
    ]
    found, occurring = (sorted({*of} - {0, IGNORE}) for of in (tally.predicted, tally.masks))
    apart = bool(found) and not {*found} & {*occurring}
    better = shares[best] > shares[0] + _BETTER
    if not occurring or not (better or apart or (strangers and shares[0] < 0.5)):
        return []
    reasons = []
    if strangers:
        value = max(strangers, key=lambda v: (tally.predicted[v], -v))
        images = tally.predicted[value]
        where = f"all {images}" if images == tally.images else f"{images} of {tally.images}"
        reasons = [f"{names.of(value)} is predicted in {where} images and occurs in no mask"]
    elif apart:
        reasons = [
            f"the predictions' classes {_few(found)} are none of the masks', {_few(occurring)}"
        ]
    if better:
        reasons.append(told(shares, best))
    return [Doubt(f"{'; '.join(reasons)}: other class indices?")]


def _few(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:5])) + (", ..." if len(values) > 5 else "")


def _shifts(confusion: np.ndarray) -> tuple[dict[int, float], int, bool]:
    true = confusion.sum(axis=0)
    unlabelled = (
        2 * confusion[-1, 0] > true[0]
    )  # the background is 255, so 0 may be the first class
    return shifted(confusion[:-1], true, first_is_zero=bool(unlabelled))
