"""PASCAL VOC 2012, and any data set in its layout."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from shlex import quote

import numpy as np

from wsssbench.datasets.folder.index import FolderIndex, index_folder
from wsssbench.errors import UserError, unknown
from wsssbench.files import image_labels as label_sources
from wsssbench.files.class_names import checked_classes, read_classes
from wsssbench.files.image_lists import ListEntry, read_list
from wsssbench.files.images import IMAGE_SUFFIXES
from wsssbench.files.names import in_either_form, normal
from wsssbench.interfaces import Dataset

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
_PHOTOS = "JPEGImages"
_LISTS = Path("ImageSets") / "Segmentation"
_MASKS_OF = {"train_aug": "SegmentationClassAug", "test": ""}
_MASK_FOLDERS = ("SegmentationClass", "SegmentationClassAug", "SegmentationObject")


class VOC2012(Dataset):
    """A devkit folder: ``JPEGImages``, ``ImageSets/Segmentation``, ``SegmentationClass``.

    Args:
        root: the folder that has ``JPEGImages``, e.g. ``VOCdevkit/VOC2012``.
        labels: image-level labels: a CSV (``id,labels``), AffinityNet's ``cls_labels.npy``, or
            ``"xml"`` for ``Annotations/``; by default ``labels.csv`` in `root`, else
            ``Annotations/``. Masks are no source here: ``wsssbench data labels`` makes a CSV of
            them, explicitly.
        lists: list file by split, instead of ``ImageSets/Segmentation/<split>.txt``. Plain ids, or
            AffinityNet's lines, whose mask column is ignored: `masks` and `masks_of` alone decide
            which masks count.
        masks: the folder of the masks.
        masks_of: other folders by split; ``""`` for none. By default ``train_aug`` has its masks in
            ``SegmentationClassAug`` and ``test`` has none.
        classes: the K foreground names, in the order of the label-map values, or a text file with one name a line.

    Paths that are not absolute are looked for in `root`, then in the working directory.
    """

    def __init__(
        self,
        *,
        root: str,
        labels: str | None = None,
        lists: dict[str, str] | None = None,
        masks: str = "SegmentationClass",
        masks_of: dict[str, str] | None = None,
        classes: tuple[str, ...] | str = VOC_CLASSES,
    ) -> None:
        self.root = _existing_root(root)
        self.classes = (
            read_classes(self._resolve(classes))
            if isinstance(classes, str)
            else checked_classes(classes)
        )
        self._labels = labels
        self._lists = dict(lists or {})
        self._masks_of = {"": masks, **_MASKS_OF, **(masks_of or {})}
        self._entries: dict[str, list[ListEntry]] = {}
        self._images: dict[str, str] = {}  # id -> path, for ids whose list gives one

    def card(self) -> dict[str, str | int | float | bool | None]:
        own = ", ".join(
            f"{split}: {Path(path).name}" for split, path in sorted(self._lists.items())
        )
        return {"lists": own or "the devkit's", "masks": self._masks_of[""] or "none"}

    def ids(self, split: str) -> list[str]:
        if split not in self._entries:
            listed = read_list(self._list_path(split), known=self._has_image)
            self._entries[split] = [replace(entry, id=normal(entry.id)) for entry in listed]
            self._images.update({e.id: e.image for e in self._entries[split] if e.image})
        return [entry.id for entry in self._entries[split]]

    def labels(self, split: str) -> np.ndarray:
        ids = self.ids(split)
        source = self._label_source()
        if source.is_dir():
            labels = label_sources.labels_from_xml(source, ids, self.classes)
        elif source.suffix == ".npy":
            labels = label_sources.labels_from_npy(source, self.classes)
        else:
            labels = label_sources.read_labels_csv(source, self.classes)
        return label_sources.stack(labels, ids, str(source))

    def image_path(self, id: str) -> Path:
        if id not in self._images:
            for split in self._lists:  # another process may have read them, this one not yet
                # an error in another split's list is told where that split is used
                with suppress(UserError):
                    self.ids(split)
        if id in self._images:
            return in_either_form(self.root / self._images[id])
        path, folder = self._photo(id), self.root / _PHOTOS
        return path or _index_once(folder, folder.stat().st_mtime_ns).path(id)

    def mask_path(self, id: str, split: str) -> Path | None:
        name = self._masks_of.get(split, self._masks_of[""])
        directory = self.root / name
        return in_either_form(directory / f"{id}.png") if name and directory.is_dir() else None

    def has_masks(self, split: str) -> bool:
        """Tell whether a folder of masks is declared for `split`; if it does not exist, that is a mistake."""
        return bool(self._masks_of.get(split, self._masks_of[""]))

    def mask_directories(self) -> tuple[Path, ...]:
        names = {*_MASK_FOLDERS, *self._masks_of.values()} - {""}
        return tuple(self.root / name for name in sorted(names))

    def _photo(self, id: str) -> Path | None:
        for suffix in (*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES)):
            path = in_either_form(self.root / _PHOTOS / f"{id}{suffix}")
            if path.is_file():
                return path
        return None

    def _has_image(self, id: str) -> bool:
        return self._photo(id) is not None

    def _list_path(self, split: str) -> Path:
        if split in self._lists:
            return self._resolve(self._lists[split])
        path = self.root / _LISTS / f"{split}.txt"
        if not path.is_file():
            raise UserError(
                f"{unknown('split', split, self._split_names())} ({path} does not exist; a list elsewhere is "
                "given by `lists`)"
            )
        return path

    def _split_names(self) -> set[str]:
        return {p.stem for p in (self.root / _LISTS).glob("*.txt")} | set(self._lists)

    def _masked_splits(self) -> str:
        names = sorted(s for s in self._split_names() if self.mask_path("", s) is not None)
        return ",".join(names) or "SPLITS"

    def _label_source(self) -> Path:
        """The labels file, or the folder of XML files."""
        annotations = self.root / "Annotations"
        if self._labels is None:
            if (self.root / "labels.csv").is_file():
                return self.root / "labels.csv"
            if annotations.is_dir():
                return annotations
            root, out = quote(str(self.root)), quote(str(self.root / "labels.csv"))
            own = (
                "" if self.classes == VOC_CLASSES else f" --classes {quote(','.join(self.classes))}"
            )
            raise UserError(
                f"{self.root} has neither labels.csv nor Annotations/, and `labels` names no other "
                "file: give one, or make it from the masks: wsssbench data labels "
                f"--voc {root} --splits {self._masked_splits()}{own} --out {out}"
            )
        if self._labels == "xml":
            if not annotations.is_dir():
                raise UserError(f"labels='xml' was given, but {annotations} does not exist")
            return annotations
        return self._resolve(self._labels)

    def _resolve(self, name: str) -> Path:
        given = Path(name).expanduser()
        inside = self.root / given
        return inside if inside.exists() else given


# Kept outside the data set, which is sent to worker processes. It says what is there instead of an image.
@lru_cache(maxsize=1)
def _index_once(folder: Path, changed: int) -> FolderIndex:
    return index_folder(folder, IMAGE_SUFFIXES)


def _existing_root(root: str) -> Path:
    path = Path(root).expanduser()
    if (path / _PHOTOS).is_dir():
        return path.absolute()
    near = [path / sub for sub in ("VOC2012", "VOCdevkit/VOC2012", "..")]
    hint = next((f", did you mean {p}?" for p in near if (p / _PHOTOS).is_dir()), "")
    if not path.is_dir():
        raise ValueError(f"root '{root}' does not exist{hint}")
    raise ValueError(
        f"root '{root}' has no folder JPEGImages{hint or ': is it a VOC 2012 devkit?'}"
    )
