"""Anybody's data set: a folder of images, a CSV or JSON of image-level labels, and masks if there are any."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wsssbench.datasets.folder.index import FolderIndex, index_folder
from wsssbench.datasets.folder.label_files import LabelledImage, named_classes, read_label_file
from wsssbench.errors import UserError, unknown
from wsssbench.files.class_names import checked_classes, read_classes
from wsssbench.files.image_labels import class_indices
from wsssbench.files.image_lists import first_few, read_names
from wsssbench.files.images import IMAGE_SUFFIXES, OTHER_SUFFIXES, USUAL_SUFFIXES
from wsssbench.files.reading import reading
from wsssbench.interfaces import Dataset

_LONGEST_ID = 200  # bytes: a file name has 255, and files being written have longer names
EVERYTHING = "train"  # the split of a data set that is not split


class FolderDataset(Dataset):
    """Images in a folder and its sub-folders, with image-level labels from a file; any ids, any names, K <= 254.

    An image's id is its path below `images` without suffix (``0001``, ``IMG 7.b``). For ``cats/0001.jpg`` the labels
    and lists may say ``cats/0001`` or ``cats/0001.jpg``; the id, and with it the name of every result, is
    ``cats__0001``. Names that begin with a dot are not looked at; images without an entry in `labels` are not used.

    Args:
        images: the folder of the images: .jpg, .jpeg, .png; .webp, .bmp, .tif, .tiff if an id has none of the first.
        labels: a CSV with the header ``id,labels`` or ``id,labels,split``, labels separated by ``;``; or a JSON
            ``{"classes": [...], "images": {"<id>": ["cat"], "<id>": {"labels": ["cat"], "split": "val"}}}``, where
            ``classes`` may be left out.
        masks: a folder of label maps with the images' paths and ``.png``: 0 background, i + 1 the i-th class, 255
            ignored. A split without any file there has no masks and is not scored.
        classes: the K names in the order of the label-map values, or a text file with one name a line. By default the
            JSON's list, else the names in the labels, sorted; with `masks` that would be a guess, so one of the first
            two is needed.
        splits: list file by split: one id a line. Beside the splits that the labels file names. If there are neither,
            every labelled image is in the split ``train``.
        empty_images: images without any class belong to the data set; otherwise they are a mistake.
        root: what the paths above are relative to, if they are not absolute.
    """

    def __init__(
        self,
        *,
        images: str,
        labels: str,
        masks: str | None = None,
        classes: tuple[str, ...] | str | None = None,
        splits: dict[str, str] | None = None,
        empty_images: bool = False,
        root: str = "",
    ) -> None:
        self.root = Path(root).expanduser().absolute()
        self.empty_images = empty_images
        self._source = self._resolve(labels)
        self._images = self._index_images(images, masks)
        known = self._given_classes(classes)
        file = read_label_file(self._source, known)
        if known is None and file.classes is not None:
            known = self._checked(file.classes)
        self._ordered = known is not None
        if known is None and masks is not None:
            raise ValueError(
                "masks are given, but nothing says which label-map value is which class: give `classes`, the names "
                "in the order of the values 1..K"
            )
        self.classes = known or self._checked(named_classes(self._source, file.images))
        self._labels = self._read_labels(file.images)
        self._splits = self._read_splits(file.images, dict(splits or {}))
        self._check_ids()
        self._masks = None if masks is None else self._index_masks(masks)
        self._masked = {split: self._has_mask(ids) for split, ids in self._splits.items()}

    def card(self) -> dict[str, str | int | float | bool | None]:
        order = "as given" if self._ordered else f"sorted names of {self._source.name}"
        return {
            "labels": self._source.name,
            "class order": order,
            "images without class": self.empty_images,
        }

    def has_masks(self, split: str) -> bool:
        self._check_split(split)
        return self._masked[split]

    def ids(self, split: str) -> list[str]:
        self._check_split(split)
        return list(self._splits[split])

    def labels(self, split: str) -> np.ndarray:
        ids = self.ids(split)
        missing = [id for id in ids if id not in self._labels]
        if missing:
            raise UserError(
                f"{len(missing)} of {len(ids)} ids of split '{split}' have no labels in {self._source}: "
                f"{first_few(missing)}"
            )
        matrix = np.zeros((len(ids), len(self.classes)), dtype=np.float32)
        for row, id in enumerate(ids):
            matrix[row, self._labels[id]] = 1
        return matrix

    def image_path(self, id: str) -> Path:
        return self._images.path(id)

    def mask_path(self, id: str, split: str) -> Path | None:
        if self._masks is None or not self.has_masks(split):
            return None
        name = self._masks.files.get(id) or self._mask_name(id)
        return self._masks.folder / name

    def mask_directories(self) -> tuple[Path, ...]:
        return () if self._masks is None else (self._masks.folder,)

    def _check_split(self, split: str) -> None:
        if split not in self._splits:
            hint = (
                f"; the labels have no column `split` and there are no lists in `splits`, so all images are in "
                f"'{EVERYTHING}'; splits.val='' runs without a validation split"
            )
            raise UserError(
                unknown("split", split, self._splits) + ("" if self._named_splits else hint)
            )

    def _mask_name(self, id: str) -> str:
        """The name that the mask of `id` has to have."""
        stem = os.path.splitext(self._images.files[id])[0] if id in self._images.files else id  # noqa: PTH122
        return f"{stem}.png"

    def _resolve(self, name: str) -> Path:
        return self.root / Path(name).expanduser()

    def _checked(self, classes: Sequence[str]) -> tuple[str, ...]:
        """`classes` that the labels file names."""
        with reading("labels file", self._source):
            return checked_classes(classes)

    def _given_classes(self, classes: Sequence[str] | str | None) -> tuple[str, ...] | None:
        if classes is None:
            return None
        return (
            read_classes(self._resolve(classes))
            if isinstance(classes, str)
            else checked_classes(classes)
        )

    def _index_images(self, images: str, masks: str | None) -> FolderIndex:
        folder = _existing(self._resolve(images), "images")
        skip = []
        if masks is not None:
            mask_folder = _existing(self._resolve(masks), "masks")
            real, real_masks = (os.path.realpath(path) for path in (folder, mask_folder))
            if f"{real}{os.sep}".startswith(f"{real_masks}{os.sep}"):
                raise ValueError(
                    f"masks '{masks}' is the folder of the images, or holds it: only evaluation may open masks, so "
                    "they need a folder of their own"
                )
            skip = [mask_folder]
        index = index_folder(folder, USUAL_SUFFIXES, skip, OTHER_SUFFIXES)
        if not index.files:
            counts = Counter(Path(path).suffix.lower() for path in index.others.values())
            others = ", ".join(
                f"{count} {suffix or 'without suffix'}" for suffix, count in counts.items()
            )
            raise ValueError(
                f"images folder {folder} has no file that ends in {', '.join(IMAGE_SUFFIXES)}"
                f"{f', but {others}' if others else ''}"
            )
        return index

    def _read_labels(self, images: Sequence[LabelledImage]) -> dict[str, list[int]]:
        position = {name: k for k, name in enumerate(self.classes)}
        labels: dict[str, list[int]] = {}
        for image in images:
            id = self._images.find(image.id)
            if not id:
                raise UserError(f"{image.where} has no id")
            if id in labels:
                raise UserError(
                    f"{image.where} means '{id}', which has its labels already: give them at one place"
                )
            labels[id] = class_indices(image.words, self.classes, position, image.where)
        return labels

    def _read_splits(
        self, images: Sequence[LabelledImage], lists: dict[str, str]
    ) -> dict[str, list[str]]:
        splits: dict[str, list[str]] = {}
        for image in images:
            if image.split:
                splits.setdefault(image.split, []).append(self._images.find(image.id))
        for split, name in lists.items():
            if split in splits:
                raise ValueError(
                    f"split '{split}' is given by both {self._source.name} and splits: give one of them"
                )
            splits[split] = self._read_list(self._resolve(name))
        self._named_splits = bool(splits)
        return splits or {EVERYTHING: list(self._labels)}

    def _read_list(self, path: Path) -> list[str]:
        ids = [self._images.find(name) for name in read_names(path, known=self._images.has)]
        twice = [id for id, count in Counter(ids).items() if count > 1]
        if twice:
            raise UserError(
                f"list {path} has {len(twice)} of its ids twice: {first_few(twice)}; remove one of each"
            )
        return ids

    def _check_ids(self) -> None:
        used = {id for ids in self._splits.values() for id in ids}
        long = sorted(id for id in used if len(id.encode()) > _LONGEST_ID)
        if long:
            raise ValueError(
                f"{len(long)} ids are longer than {_LONGEST_ID} bytes, which file names of results do not hold, e.g. "
                f"'{long[0][:40]}...': shorten the images' names"
            )

    def _index_masks(self, masks: str) -> FolderIndex:
        index = index_folder(_existing(self._resolve(masks), "masks"), (".png",))
        if not any(id in index.files for ids in self._splits.values() for id in ids):
            example = next(iter(index.files.values()), None) or "no .png file"
            first = next(id for ids in self._splits.values() for id in ids)
            raise ValueError(
                f"masks folder {index.folder} has no mask of any image: '{first}' needs {self._mask_name(first)}, and "
                f"there is {example}; leave `masks` out if there are none"
            )
        return index

    def _has_mask(self, ids: Sequence[str]) -> bool:
        return self._masks is not None and any(id in self._masks.files for id in ids)


def _existing(folder: Path, parameter: str) -> Path:
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "does not exist"
        raise ValueError(f"{parameter} folder {folder} {problem}")
    return folder
