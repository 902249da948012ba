"""Image-level labels with splits, whoever made them: CSV or JSON, with the names of the classes in the file itself.

CSV: the header ``id,labels`` or ``id,labels,split``; labels separated by ``;``.

JSON: ``{"images": {"a": ["cat", "dog"], "b": {"labels": ["cat"], "split": "val"}}}``, and optionally ``"classes":
["cat", "dog"]`` in the order of the label-map values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsssbench.errors import UserError, unknown
from wsssbench.files.image_labels import read_label_rows, split_field
from wsssbench.files.image_lists import first_few
from wsssbench.files.names import class_name
from wsssbench.files.reading import read_text, reading

_PARTS = re.compile(r"\s*[\s,|/]\s*")  # what may have been meant to separate labels


@dataclass(frozen=True)
class LabelledImage:
    """One image of a labels file: where it stands, its id, its labels as written, its split if the file has splits."""

    where: str
    id: str
    words: tuple[str, ...]
    split: str | None = None


@dataclass(frozen=True)
class LabelFile:
    """Every image of a labels file in the file's order, and the class names if the file lists them."""

    images: tuple[LabelledImage, ...]
    classes: tuple[str, ...] | None = None


def read_label_file(path: Path, classes: Sequence[str] | None) -> LabelFile:
    """Read a labels file of either kind; the labels themselves are not checked yet.

    Args:
        path: ``*.csv`` or ``*.json``.
        classes: the class names if they are known; then spaces may separate the labels of a CSV, too.

    Raises:
        UserError: missing file, another suffix, another form, an id twice, some images with a split and some without.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".json"):
        raise UserError(f"labels file {path} has to be a .csv or .json file")
    file = _read_json(path) if suffix == ".json" else _read_csv(path, classes)
    if not file.images:
        raise UserError(f"labels file {path} lists no image")
    without = [image.id for image in file.images if not image.split]
    if without and len(without) < len(file.images):
        raise UserError(
            f"{len(without)} of {len(file.images)} images in {path} have no split, the others have one: "
            f"{first_few(without)}"
        )
    return file


def named_classes(path: Path, images: Sequence[LabelledImage]) -> tuple[str, ...]:
    """The distinct names among the labels, sorted.

    Raises:
        UserError: there are none, or they could mean something else without a list of classes.
    """
    names = {word for image in images for word in image.words}
    if not names:
        raise UserError(f"no image in {path} has a label")
    numbers = sorted(name for name in names if name.isdigit())
    if numbers:
        raise UserError(
            f"{path} has the label '{numbers[0]}': label-map values need `classes`, the names in their order"
        )
    joined = [
        name
        for name in sorted(names)
        if names.issuperset(parts := _PARTS.split(name)) and len(parts) > 1
    ]
    if joined:
        raise UserError(
            f"{path} has the label '{joined[0]}' and its parts as labels of their own: separate labels by ';', or "
            "give `classes` if that is a name"
        )
    return tuple(sorted(names))


def _read_csv(path: Path, classes: Sequence[str] | None) -> LabelFile:
    return LabelFile(
        tuple(
            LabelledImage(row.where, row.id, tuple(split_field(row.field, classes)), row.split)
            for row in read_label_rows(path)
        )
    )


def _read_json(path: Path) -> LabelFile:
    content = _json(path)
    form = f'{path} has to be {{"images": {{"<id>": ["<class>", ...], ...}}}}'
    if not isinstance(content, dict) or not isinstance(content.get("images"), dict):
        raise UserError(form)
    odd = [key for key in content if key not in ("images", "classes")]
    if odd:
        raise UserError(f"{path}: {unknown('key', odd[0], ('images', 'classes'))}")
    classes = content.get("classes")
    if classes is not None and not _are(str, classes):
        raise UserError(f'{path}: "classes" has to be a list of names')
    images = tuple(_image(id, entry, path) for id, entry in content["images"].items())
    return LabelFile(images, None if classes is None else tuple(name.strip() for name in classes))


def _image(id: str, entry: Any, path: Path) -> LabelledImage:
    where = f"image '{id}' in {path}"
    split = None
    if isinstance(entry, dict):
        odd = [key for key in entry if key not in ("labels", "split")]
        if odd:
            raise UserError(f"{where}: {unknown('key', odd[0], ('labels', 'split'))}")
        split = entry.get("split")
        if split is not None and not isinstance(split, str):
            raise UserError(f"{where} has the split {split!r}, which is not a name")
        entry = entry.get("labels")
    if not _are((str, int), entry):
        raise UserError(
            f'{where} has to be a list of labels, or {{"labels": [...], "split": "train"}}'
        )
    words = tuple(class_name(str(word).strip()) for word in entry)
    return LabelledImage(where, id.strip(), words, split)


def _are(kind: type | tuple[type, ...], values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, kind) and not isinstance(value, bool) for value in values
    )


def _json(path: Path) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for key, value in pairs:
            if key in members:  # json would silently keep the last one
                raise UserError(f"{path} has '{key}' a second time: give all its labels at once")
            members[key] = value
        return members

    text = read_text("labels file", path, " as JSON")
    with reading("labels file", path, " as JSON"):
        return json.loads(text, object_pairs_hook=unique)
