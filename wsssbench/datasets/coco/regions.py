"""MS-COCO's outlines and run lengths -> pixels, and several objects -> one label map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Overlap = Literal["smallest", "last"]
_FARTHEST = 1e5  # pixels; further coordinates are no outline of an image
# Pixels; MS-COCO's own code takes 60 bytes for each, and its counter of them overflows at 4e8. Real outlines have some
# thousand.
_LONGEST = 2e6
_MOST_BITS = 60  # of a run length


@dataclass(frozen=True)
class Region:
    """One annotated object: its label-map value, its pixels (H, W) bool, and whether it is a crowd."""

    value: int
    pixels: np.ndarray
    crowd: bool = False


def paint(regions: Sequence[Region], size: tuple[int, int], overlap: Overlap) -> np.ndarray:
    """One label map (H, W) uint8 of regions that may overlap.

    Crowds (one coarse region around many objects) are below everything. Of the others, the one with fewer pixels is
    on top ("smallest"), or the one that comes later ("last"); the later one, too, if they have equally many.
    """
    label = np.zeros(size, np.uint8)

    def height(region: Region) -> tuple[bool, int]:
        by_size = -int(np.count_nonzero(region.pixels)) if overlap == "smallest" else 0
        return not region.crowd, by_size

    for region in sorted(regions, key=height):  # stable: equals stay in their order
        label[region.pixels] = region.value
    return label


def region_pixels(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    """The pixels (H, W) bool of an annotation's ``segmentation``.

    A list of polygons ``[x1, y1, x2, y2, ...]`` covers their union, by the rules of MS-COCO's own code. Run lengths
    ``{"size": [H, W], "counts": ...}`` go down the columns, zeros first, as numbers or as MS-COCO's string of them.

    Raises:
        ValueError: something else, or run lengths that do not fill the image.
    """
    if isinstance(segmentation, list):
        return _polygon_pixels(segmentation, size)
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise ValueError(
            "its segmentation is neither a list of polygons nor run lengths with size and counts"
        )
    if segmentation["size"] != list(size):
        raise ValueError(
            f"its run lengths are for size {segmentation['size']}, but the image has {list(size)}"
        )
    counts = segmentation["counts"]
    runs = _unpacked(counts) if isinstance(counts, str) else counts
    return _run_pixels(runs, size)


def _polygon_pixels(polygons: list[Any], size: tuple[int, int]) -> np.ndarray:
    from pycocotools import mask

    checked = [p for p in map(_polygon, polygons) if len(p) >= 6]  # two points cover nothing
    if not checked:
        return np.zeros(size, bool)
    length = sum(map(_length, checked))
    if length > _LONGEST:
        raise ValueError(
            f"its outlines are {length:.3g} pixels long, and more than {_LONGEST:.0e} are not read"
        )
    return mask.decode(mask.merge(mask.frPyObjects(checked, *size))).astype(bool)


def _polygon(numbers: Any) -> list[float]:
    """`numbers`, if C code can be trusted with them."""
    if not isinstance(numbers, list) or len(numbers) % 2:
        raise ValueError("one of its polygons is no list of x, y pairs")
    # NaN fails this comparison, too.
    if not all(type(n) in (int, float) and abs(n) <= _FARTHEST for n in numbers):
        raise ValueError("one of its polygons has a coordinate that is no number of pixels")
    return numbers


def _length(polygon: list[float]) -> float:
    """The length of an outline as MS-COCO's code counts it: an edge is as long as its longer side."""
    corners = np.asarray(polygon, float).reshape(-1, 2)
    return float(np.abs(corners - np.roll(corners, -1, axis=0)).max(axis=1).sum())


def _run_pixels(runs: Any, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    if not isinstance(runs, list) or not all(type(n) is int and n >= 0 for n in runs):
        raise ValueError("its run lengths are no list of whole numbers")
    if sum(runs) != height * width:
        raise ValueError(
            f"its run lengths cover {sum(runs)} pixels, but the image has {height * width}"
        )
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return pixels.reshape(width, height).T


def _unpacked(text: str) -> list[int]:
    """The run lengths in MS-COCO's string form.

    A number has 5 bits per character (code - 48), lowest first; bit 5 says that it goes on, and bit 4 of its last
    character is the sign. From the fourth on, numbers are differences to the one two places before.
    """
    runs: list[int] = []
    number = bits = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise ValueError(f"its run lengths have the character {character!r}")
        number |= (code & 31) << bits
        bits += 5
        if code & 32:
            if bits > _MOST_BITS:
                raise ValueError("its run lengths have a number that is longer than any image")
            continue
        if code & 16:
            number -= 1 << bits
        runs.append(number + runs[-2] if len(runs) > 2 else number)
        number = bits = 0
    if bits:
        raise ValueError("its run lengths end within a number")
    return runs
