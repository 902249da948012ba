"""The gallery as the page shows it: every picture of an image beside the others, or two of them behind a slider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from wsssbench.pages.pictures import IGNORE, heat_colours
from wsssbench.pages.thumbnails import Thumbnail
from wsssbench.results.run import GalleryRow

PHOTO = "image"
View = Literal["strip", "slider"]


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


@dataclass(frozen=True)
class Shot:
    """An image of the page.

    Attributes:
        thumbnail: its pictures.
        panels: (place among the gallery's titles, title, address of the overlay; empty for the photo).
        numbers: what is said above it: (what, number), either may be empty.
    """

    thumbnail: Thumbnail
    panels: tuple[tuple[int, str, str], ...]
    numbers: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        return self.thumbnail.id

    @property
    def style(self) -> str:
        """Its photo and its proportions, for the style sheet."""
        shot = self.thumbnail
        return f"--photo:url({shot.photo});--ratio:{shot.width / shot.height:.4f}"


@dataclass(frozen=True)
class GalleryView:
    """A gallery.

    Attributes:
        name: unique in the page.
        titles: what pictures there are, the photo first; the slider chooses two of them.
        left, right: which two at first.
        view: at first.
        groups: (heading, its images).
        left_out: images that did not fit into the file.
    """

    name: str
    titles: tuple[str, ...]
    left: int
    right: int
    view: View
    groups: tuple[tuple[str, tuple[Shot, ...]], ...]
    left_out: int = 0

    @property
    def empty(self) -> bool:
        return not any(shots for _, shots in self.groups)


def titles_of(rows: Sequence[GalleryRow], order: Sequence[str] = ()) -> tuple[str, ...]:
    """The photo, and every title of a layer: those of `order` last and in that order, if any image has them."""
    found = dict.fromkeys(layer.title for row in rows for layer in row.layers)
    first = [title for title in found if title not in order]
    return (PHOTO, *first, *(title for title in order if title in found))


def shots_of(
    thumbnails: Sequence[Thumbnail],
    titles: Sequence[str],
    numbers: Mapping[str, tuple[tuple[str, str], ...]] | None = None,
) -> tuple[Shot, ...]:
    """The images of a group. `numbers`: by image id."""
    return tuple(
        Shot(
            thumbnail,
            (
                (0, PHOTO, ""),
                *(
                    (titles.index(layer.title), layer.title, layer.address)
                    for layer in sorted(thumbnail.layers, key=lambda x: titles.index(x.title))
                ),
            ),
            (numbers or {}).get(thumbnail.id, ()),
        )
        for thumbnail in thumbnails
    )


@dataclass(frozen=True)
class Legend:
    """What the colours mean: (CSS colour, class) of the classes that are to be seen, and what else is."""

    classes: tuple[tuple[str, str], ...]
    ignored: bool
    heat: str  # the colours from 0 to 1, empty if there is no CAM


def legend_of(
    rows: Sequence[GalleryRow], class_names: Sequence[str], palette: np.ndarray
) -> Legend:
    """What is to be seen in `rows`; `palette` is (256, 3) uint8."""
    planes = [layer.plane for row in rows for layer in row.layers]
    values = set().union(
        *(np.unique(plane).tolist() for plane in planes if plane.dtype == np.uint8)
    )
    names = foreground(class_names)
    heat = ", ".join(_css_colour(colour) for colour in heat_colours(np.linspace(0, 1, 7)))
    return Legend(
        tuple(
            (_css_colour(palette[value]), name)
            for value, name in enumerate(names, 1)
            if value in values
        ),
        IGNORE in values,
        heat if any(plane.dtype != np.uint8 for plane in planes) else "",
    )


def foreground(names: Sequence[str]) -> list[str]:
    """The classes without the background."""
    return list(names[1:] if names and names[0] == "background" else names)


def _css_colour(colour: np.ndarray) -> str:
    return "#" + "".join(f"{int(channel):02x}" for channel in colour)
