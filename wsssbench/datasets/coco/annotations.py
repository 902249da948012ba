"""MS-COCO's instance files: their images, the classes these show, and where in the file their objects are.

``instances_train2014.json`` has 330 MB, and several times that as Python objects, most of it outlines that are needed
one image at a time. So the file is read annotation by annotation, and only each one's place in the file is kept: to
paint an image, its annotations are read again at those places.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import Any

from wsssbench.datasets.coco.classes import CATEGORIES, VALUE_OF
from wsssbench.errors import UserError
from wsssbench.files.limits import require_pixels
from wsssbench.files.reading import reading

SPLITS = ("train", "val")
_NAME = re.compile(r"COCO_(train|val)2014_\d{12}")
_MOST_PIXELS = 2**31  # MS-COCO's own code counts them in 32 bits
_SPACE = re.compile(r"[ \t\r\n]*")
_decode = JSONDecoder().raw_decode


@dataclass(frozen=True)
class CocoImage:
    """One image of an instance file.

    Attributes:
        id: such as ``COCO_train2014_000000000009``.
        number: MS-COCO's own id, such as 9.
        size: (H, W).
        values: label-map values 1..80 of the objects that are annotated, crowds included; ascending.
        spans: first and past-the-last byte of each of its annotations, in the order of the file.
    """

    id: str
    number: int
    size: tuple[int, int]
    values: tuple[int, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()


@dataclass
class _Entries:
    """The entries that were read so far; annotations may come before their images."""

    split: str
    images: dict[int, CocoImage] = field(default_factory=dict)
    values: dict[int, set[int]] = field(default_factory=dict)
    spans: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def image(self, entry: Any, start: int, end: int) -> None:
        number, name, *size = _members(entry, "image", "id", "file_name", "height", "width")
        id = name.removesuffix(".jpg") if isinstance(name, str) else ""
        if coco_split(id) != self.split:
            raise ValueError(
                f"image {number} is called {name!r}, but the images of split '{self.split}' are called "
                f"COCO_{self.split}2014_<12 digits>.jpg: give the files of MS-COCO 2014"
            )
        if not all(type(n) is int and 1 <= n <= 65_535 for n in size):
            raise ValueError(
                f"image {number} has the height and width {size}, but both are 1 to 65535"
            )
        require_pixels((size[0], size[1]))
        if size[0] * size[1] >= _MOST_PIXELS:
            raise ValueError(f"image {number} has {size[0]} x {size[1]} pixels, too many to paint")
        if number in self.images:
            raise ValueError(f"image {number} is there twice")
        self.images[number] = CocoImage(id, number, (size[0], size[1]))

    def annotation(self, entry: Any, start: int, end: int) -> None:
        number, category, _ = _members(
            entry, "annotation", "image_id", "category_id", "segmentation"
        )
        if category not in VALUE_OF:
            raise ValueError(
                f"annotation {entry.get('id')} has the category {category!r}, which is none of MS-COCO's 80"
            )
        self.values.setdefault(number, set()).add(VALUE_OF[category])
        self.spans.setdefault(number, []).append((start, end))

    def category(self, entry: Any, start: int, end: int) -> None:
        number, name = _members(entry, "category", "id", "name")
        if CATEGORIES.get(number) != name:
            raise ValueError(
                f"category {number} is {name!r}, but MS-COCO's is {CATEGORIES.get(number)!r}: this is a file of "
                "another data set, which FolderDataset may be for"
            )


def coco_split(id: str) -> str | None:
    """``train`` or ``val``, as the image's id has it; None if it is no id of MS-COCO 2014."""
    match = _NAME.fullmatch(id)
    return match.group(1) if match else None


def read_instances(path: Path, split: str) -> list[CocoImage]:
    """The images of an instance file by ascending number, with and without objects.

    Raises:
        UserError: missing or damaged file, or one of other images or categories than MS-COCO's of `split`.
    """
    entries = _Entries(split)
    wanted = {
        "images": entries.image,
        "annotations": entries.annotation,
        "categories": entries.category,
    }
    with reading("", path):
        try:
            keys = _go_through(_text(path), wanted)
        except JSONDecodeError as error:
            raise UserError(
                f"{path} is no whole JSON file: {error.msg} at byte {error.pos}; was its download cut off?"
            ) from None
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
    missing = [key for key in wanted if key not in keys]
    if missing:
        raise UserError(
            f"{path} has no '{missing[0]}', so it is no instance file: instances_{split}2014.json is needed"
        )
    strangers = entries.values.keys() - entries.images.keys()
    if strangers:
        raise UserError(
            f"{path} has annotations of image {min(strangers)}, which is not among its images"
        )
    return [
        CocoImage(
            image.id,
            image.number,
            image.size,
            tuple(sorted(entries.values.get(number, ()))),
            tuple(entries.spans.get(number, ())),
        )
        for number, image in sorted(entries.images.items())
    ]


def _members(entry: Any, kind: str, *names: str) -> list[Any]:
    """The members `names` of a JSON object; ids have to be whole numbers."""
    if not isinstance(entry, dict):
        raise ValueError(f"one {kind} is {str(entry)[:40]!r}, but each has to be an object")
    missing = [name for name in names if name not in entry]
    if missing:
        raise ValueError(f"{kind} {entry.get('id')} has no '{missing[0]}'")
    wrong = [n for n in names if n.endswith("id") and type(entry[n]) is not int]
    if wrong:
        raise ValueError(
            f"{kind} {entry.get('id')} has {wrong[0]} {entry[wrong[0]]!r}, but it is a whole number"
        )
    return [entry[name] for name in names]


def _text(path: Path) -> str:
    """The file with one character per byte, so that a position in it is one in the file."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            # Latin-1: bytes of UTF-8 above 127 end up inside strings, where JSON's syntax is not.
            return str(whole, "latin-1")
    except FileNotFoundError:
        raise UserError(
            f"{path} does not exist: unpack MS-COCO's annotations_trainval2014.zip"
        ) from None
    except ValueError:
        raise UserError(f"{path} is empty") from None


def _go_through(text: str, wanted: Mapping[str, Callable[[Any, int, int], None]]) -> set[str]:
    """Call ``wanted[key](element, start, end)`` for each element of those arrays of the outermost object.

    Returns:
        The keys that were there.
    """
    keys: set[str] = set()
    at = _past(text, 3 if text.startswith("\xef\xbb\xbf") else 0, "{")
    while True:
        key, at = _decode(text, at)
        keys.add(str(key))
        at = _past(text, at, ":")
        at = _array(text, at, wanted[key]) if key in wanted else _decode(text, at)[1]
        if text.startswith("}", _SPACE.match(text, at).end()):  # type: ignore[union-attr]
            return keys
        at = _past(text, at, ",")


def _array(text: str, at: int, take: Callable[[Any, int, int], None]) -> int:
    """Hand over the elements of the array at `at`; returns where it ends."""
    at = _past(text, at, "[")
    if text.startswith("]", at):
        return at + 1
    while True:
        element, end = _decode(text, at)
        take(element, at, end)
        at = _SPACE.match(text, end).end()  # type: ignore[union-attr]
        if text.startswith("]", at):
            return at + 1
        at = _past(text, at, ",")


def _past(text: str, at: int, sign: str) -> int:
    """The position of the next token after `sign`, which has to be the token at `at`."""
    at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
    if not text.startswith(sign, at):
        raise JSONDecodeError(f"'{sign}' expected", text, at)
    return _SPACE.match(text, at + 1).end()  # type: ignore[union-attr]


def known_counts(split: str) -> tuple[int, int]:
    """The number of images in the official file of `split`, and of those with objects."""
    return {"train": (82_783, 82_081), "val": (40_504, 40_137)}[split]


def count_with_objects(images: Sequence[CocoImage]) -> int:
    """The number of `images` that show at least one annotated object."""
    return sum(1 for image in images if image.values)
