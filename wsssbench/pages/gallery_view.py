"""The gallery as the page shows it: every picture of an image beside the others, or two of them behind a slider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

import numpy as np

from wsssbench.pages.pictures import IGNORE, heat_colours
from wsssbench.pages.thumbnails import Thumbnail
from wsssbench.results.run import GalleryRow

PHOTO = "image"

GROUND_TRUTH = "ground truth"  # title of the masks


@dataclass(frozen=True)
class Pictures:
    """The images of a comparison.

    Attributes:
        gallery: spread evenly over the split.
        most: where A beats B most, the largest gain first.
        least: where it does least, the largest loss first.
        notes: what is not shown, and why.
    """

    gallery: list[GalleryRow] = field(default_factory=list)
    most: list[GalleryRow] = field(default_factory=list)
    least: list[GalleryRow] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    @property
    def all(self) -> list[GalleryRow]:
        return [*self.most, *self.least, *self.gallery]


@dataclass(frozen=True)
class GalleryView:
    """A gallery.

    Attributes:
        name: unique in the page.
        titles: what pictures there are, the photo first, without those of single classes; the slider chooses two.
        left, right: which two at first.
        view: at first.
        groups: heading -> its images.
        numbers: what is said above an image, by its id: (what, number), either may be empty.
        left_out: images that did not fit into the file.
        folded: headings whose images are hidden at first.
    """

    name: str
    titles: tuple[str, ...]
    left: int
    right: int
    view: Literal["strip", "slider"]
    groups: Mapping[str, Sequence[Thumbnail]]
    numbers: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    left_out: int = 0
    folded: frozenset[str] = frozenset()

    @property
    def tile(self) -> float:
        """Width by height of the places of all pictures: those of most photos, between upright 3 : 4 and 3 : 2."""
        ratios = [shot.width / shot.height for of in self.groups.values() for shot in of]
        return min(1.5, max(0.75, median(ratios))) if ratios else 1.0

    @property
    def empty(self) -> bool:
        return not any(self.groups.values())


def titles_of(rows: Sequence[GalleryRow], order: Sequence[str] = ()) -> tuple[str, ...]:
    """The photo, and every title of a layer: those of `order` last and in that order, if any image has them."""
    titles = dict.fromkeys(layer.title for row in rows for layer in row.layers if not layer.part)
    first = [title for title in titles if title not in order]
    return (PHOTO, *first, *(title for title in order if title in titles))


@dataclass(frozen=True)
class Legend:
    """The meaning of the colours: (CSS colour, class) of the classes that are to be seen, and what else is."""

    classes: tuple[tuple[str, str], ...]
    ignored: bool
    heat: str  # the colours from 0 to 1, empty if there is no CAM


def legend_of(
    rows: Sequence[GalleryRow], class_names: Sequence[str], palette: np.ndarray
) -> Legend:
    """The legend of what is to be seen in `rows`; `palette` is (256, 3) uint8."""
    planes = [layer.plane for row in rows for layer in row.layers]
    labels = [plane for plane in planes if plane.dtype == np.uint8]
    values = set().union(*(np.unique(plane).tolist() for plane in labels))
    classes = [
        (_css_colour(palette[value]), name)
        for value, name in enumerate(foreground(class_names), 1)
        if value in values
    ]
    heat = ", ".join(_css_colour(colour) for colour in heat_colours(np.linspace(0, 1, 7)))
    return Legend(tuple(classes), IGNORE in values, heat if len(labels) < len(planes) else "")


def foreground(names: Sequence[str]) -> list[str]:
    """The classes without the background."""
    return list(names[1:] if names and names[0] == "background" else names)


def _css_colour(colour: np.ndarray) -> str:
    return "#" + "".join(f"{int(channel):02x}" for channel in colour)
