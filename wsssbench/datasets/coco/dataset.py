"""MS-COCO 2014, as ``wsssbench data prepare coco`` has prepared it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from shlex import quote
from typing import Literal

import numpy as np

from wsssbench.datasets.coco.annotations import SPLITS, coco_split, known_counts
from wsssbench.datasets.coco.classes import COCO_CLASSES
from wsssbench.datasets.coco.index import CocoIndex, index_path, read_index
from wsssbench.datasets.coco.masks import RECORD, MaskRecord, read_record
from wsssbench.errors import UserError, unknown
from wsssbench.files.image_lists import first_few, read_id_list
from wsssbench.interfaces import Dataset


class COCO2014(Dataset):
    """The 80 object categories of MS-COCO 2014; splits ``train`` and ``val``.

    Image-level labels are the categories of the images' annotations, crowds included. Ids are file names such as
    ``COCO_train2014_000000000009``.

    Args:
        root: the folder that has ``train2014`` and ``val2014`` (or ``images/train2014``).
        images: ``"labelled"``: images with at least one object, 82,081 and 40,137; ``"all"``: 82,783 and 40,504,
            as the official files list them. Both are in use.
        masks: whose masks count: ``"stuff"``: COCO-Stuff's pixel maps, in which no two objects overlap;
            ``"instances"``: painted from the instance files; None: no split is evaluated.
        lists: list file of ids by split, e.g. ``{"val_part": "val_part.txt"}``, also instead of ``train`` and
            ``val``. Paths that are not absolute are looked for in `root`, then in the working directory.
        prepared: where ``wsssbench data prepare coco`` was told to write, if not into `root`.
    """

    classes = COCO_CLASSES

    def __init__(
        self,
        *,
        root: str,
        images: Literal["labelled", "all"] = "labelled",
        masks: Literal["stuff", "instances"] | None = "stuff",
        lists: dict[str, str] | None = None,
        prepared: str | None = None,
    ) -> None:
        self.root = _folder("root", root)
        self.prepared = _folder("prepared", prepared) if prepared is not None else self.root
        self.empty_images = images == "all"
        self._masks = masks
        self._lists = dict(lists or {})

    def card(self) -> dict[str, str | int | float | bool | None]:
        listed = "all" if self.empty_images else "with objects"
        counts = [
            _count(split, self._index(split), self.empty_images)
            for split in SPLITS
            if index_path(self.prepared, split).is_file() and split not in self._lists
        ]
        parts = [f"{listed}: {', '.join(counts)}"] if counts else []
        parts += [f"{split}: list {path}" for split, path in sorted(self._lists.items())]
        return {
            "images listed": "; ".join(parts),
            "masks": self._record().rule if self._masks is not None else "none",
        }

    def ids(self, split: str) -> list[str]:
        if split in self._lists:
            return self._own_list(split)
        if split not in SPLITS:
            raise UserError(unknown("split", split, {*SPLITS, *self._lists}))
        index = self._index(split)
        if self.empty_images:
            return list(index.ids)
        return [index.ids[row] for row in np.flatnonzero(index.labels.any(axis=1)).tolist()]

    def labels(self, split: str) -> np.ndarray:
        ids = self.ids(split)
        labels = np.zeros((len(ids), len(self.classes)), np.float32)
        for part in SPLITS:
            rows = [row for row, id in enumerate(ids) if coco_split(id) == part]
            if rows:
                index = self._index(part)
                row_of = index.row_of()
                labels[rows] = index.labels[[row_of[ids[row]] for row in rows]]
        return labels

    def image_path(self, id: str) -> Path:
        folder = f"{coco_split(id)}2014"
        path = self.root / folder / f"{id}.jpg"
        if path.is_file():
            return path
        other = self.root / "images" / folder / f"{id}.jpg"
        if other.is_file():
            return other
        raise UserError(f"'{id}' has no image: {path} does not exist")

    def mask_path(self, id: str, split: str) -> Path | None:
        if self._masks is None:
            return None
        part = coco_split(id) or ""
        if part not in self._record().finished:
            raise UserError(
                f"the masks of MS-COCO's split '{part}' are not all in {self._mask_folder()}: "
                f"{self._command()} makes the missing ones"
            )
        return self._mask_folder() / f"{part}2014" / f"{id}.png"

    def mask_directories(self) -> tuple[Path, ...]:
        made = {self.prepared / "masks", self.root / "masks"}
        given = {self.root / name for name in ("annotations", "stuffthingmaps")}
        return tuple(sorted(made | given))

    def _own_list(self, split: str) -> list[str]:
        given = Path(self._lists[split]).expanduser()
        inside = self.root / given
        path = inside if inside.exists() else given
        ids = read_id_list(path)
        known: set[str] = set()
        for part in {coco_split(id) for id in ids} - {None}:
            known.update(self._index(str(part)).ids)
        strange = [id for id in ids if id not in known]
        if strange:
            raise UserError(
                f"{len(strange)} of {len(ids)} ids in list {path} are not in MS-COCO 2014: {first_few(strange)}; "
                "ids look like COCO_train2014_000000000009"
            )
        return ids

    def _index(self, split: str) -> CocoIndex:
        path = index_path(self.prepared, split)
        try:
            return _read_once(path, split, path.stat().st_mtime_ns)
        except FileNotFoundError:
            raise UserError(
                f"MS-COCO's split '{split}' is not prepared ({path} does not exist): do it once with "
                f"{self._command()}"
            ) from None

    def _record(self) -> MaskRecord:
        path = self._mask_folder() / RECORD
        try:
            return _record_once(path, path.stat().st_mtime_ns)
        except FileNotFoundError:
            raise UserError(
                f"masks='{self._masks}' was given, but {path} does not exist: make the masks once with "
                f"{self._command()}, or do without evaluation with masks=None"
            ) from None

    def _mask_folder(self) -> Path:
        return self.prepared / "masks" / str(self._masks)

    def _command(self) -> str:
        coco, stuff, prepared = (
            quote(str(path)) for path in (self.root, self.root / "stuffthingmaps", self.prepared)
        )
        maps = f" --stuff {stuff}" if self._masks == "stuff" else ""
        out = f" --out {prepared}" if self.prepared != self.root else ""
        return f"`wsssbench data prepare coco --coco {coco} --masks {self._masks or 'none'}{maps}{out}`"


# Kept outside the data set, which is sent to worker processes: they need paths, not the index.
@lru_cache(maxsize=4)
def _read_once(path: Path, split: str, changed: int) -> CocoIndex:
    return read_index(path, split)


@lru_cache(maxsize=4)
def _record_once(path: Path, changed: int) -> MaskRecord:
    return read_record(path.parent)


def _count(split: str, index: CocoIndex, everything: bool) -> str:
    """``train 82,081``, and what the official files have if that is something else."""
    count = len(index.ids) if everything else int(index.labels.any(axis=1).sum())
    known = known_counts(split)[0 if everything else 1]
    return f"{split} {count:,}" + ("" if count == known else f" (officially {known:,})")


def _folder(name: str, given: str) -> Path:
    path = Path(given).expanduser()
    if not path.is_dir():
        raise ValueError(f"{name} '{given}' does not exist")
    return path.absolute()
