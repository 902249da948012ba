"""MS-COCO's label maps: painted from the instance file, or translated from COCO-Stuff's pixel maps."""

from __future__ import annotations

import json
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsssbench.datasets.coco.annotations import CocoImage
from wsssbench.datasets.coco.classes import VALUE_OF, stuff_table
from wsssbench.datasets.coco.regions import Overlap, Region, paint, region_pixels
from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.files.atomic import write_atomically
from wsssbench.files.image_lists import first_few
from wsssbench.files.images import read_label, write_label
from wsssbench.files.reading import reading
from wsssbench.parallel.jobs import ImageJob

_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
RECORD = "masks.json"


@dataclass(frozen=True)
class MaskRecord:
    """The content of ``masks.json``, which describes the PNGs beside it.

    Attributes:
        rule: where the masks come from, as the protocol card has it.
        finished: images per split that is complete.
    """

    rule: str
    finished: dict[str, int]

    def write(self, folder: Path) -> None:
        """Store it in `folder`."""
        content = {"rule": self.rule, "finished": self.finished}
        write_atomically(folder / RECORD, (json.dumps(content, indent=2) + "\n").encode())


def read_record(folder: Path) -> MaskRecord:
    """Read the record of the masks in `folder`.

    Raises:
        FileNotFoundError: there is none.
        UserError: it is damaged.
    """
    path = folder / RECORD
    try:
        content = json.loads(path.read_bytes())
        return MaskRecord(str(content["rule"]), dict(content["finished"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(
            f"{path} does not say where its masks come from: remove {folder} and prepare it again"
        ) from None


class _MaskJob(ImageJob[Any]):
    """One palette PNG per image in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def valid(self, path: Path) -> None:
        with path.open("rb") as file:
            if not file.read(8).startswith(b"\x89PNG"):
                raise CorruptArtefactError(path, "no PNG")
            file.seek(max(0, path.stat().st_size - len(_PNG_END)))
            if file.read() != _PNG_END:
                raise CorruptArtefactError(path, "cut off")


class InstanceMasks(_MaskJob):
    """Paints the objects of the instance file `annotations`; where they overlap, by the rule `overlap`."""

    def __init__(self, folder: Path, annotations: Path, overlap: Overlap) -> None:
        super().__init__(folder)
        self.annotations = annotations
        self.overlap: Overlap = overlap
        self._bytes: mmap.mmap | None = None

    def prepare(self) -> None:
        with self.annotations.open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def target(self, item: CocoImage) -> Path:
        return self.folder / f"{item.id}.png"

    def run(self, item: CocoImage) -> None:
        regions = [self._region(start, end, item) for start, end in item.spans]
        write_label(self.target(item), paint(regions, item.size, self.overlap))

    def _region(self, start: int, end: int, image: CocoImage) -> Region:
        """The annotation between two bytes of the file."""
        assert self._bytes is not None
        what = f"the annotation of image {image.number} at byte {start} of"
        with reading(what, self.annotations):
            # As when the file was gone through: bytes that are no UTF-8 can only be in texts, which nobody needs here.
            entry = json.loads(self._bytes[start:end].decode("utf-8", "replace"))
            try:
                pixels = region_pixels(entry["segmentation"], image.size)
            except ValueError as error:
                raise UserError(
                    f"{self.annotations}: annotation {entry.get('id')} of image {image.number} at byte {start} cannot "
                    f"be painted: {error}"
                ) from None
            return Region(VALUE_OF[entry["category_id"]], pixels, bool(entry.get("iscrowd", 0)))


@dataclass(frozen=True)
class StuffMap:
    """An image and its pixel map."""

    image: CocoImage
    path: Path


class StuffMasks(_MaskJob):
    """Translates COCO-Stuff's pixel maps: things to 1..80, stuff to 0, void stays 255."""

    table = stuff_table()

    def target(self, item: StuffMap) -> Path:
        return self.folder / f"{item.image.id}.png"

    def run(self, item: StuffMap) -> None:
        values = read_label(item.path)
        if values.shape != item.image.size:
            raise UserError(
                f"pixel map {item.path} has the size {values.shape}, but image {item.image.number} has "
                f"{item.image.size}"
            )
        label = self.table[values]
        if label.min() < 0:
            raise UserError(
                f"pixel map {item.path} has the value {int(values[label < 0][0])}, but COCO-Stuff's are category "
                "id - 1 (things 0 to 89, stuff 91 to 181) and 255: give the maps of stuffthingmaps_trainval2017.zip"
            )
        write_label(self.target(item), label.astype("uint8"))


def find_stuff_maps(folder: Path, images: Sequence[CocoImage]) -> list[StuffMap]:
    """The pixel map of each image: ``000000000009.png`` or ``<id>.png``, in `folder` or one folder below.

    COCO-Stuff's archive has the images of 2014's splits in ``train2017`` and ``val2017``, mixed.

    Raises:
        UserError: no such folder, or images without a map.
    """
    if not folder.is_dir():
        raise UserError(
            f"--stuff {folder}: no such folder; unpack stuffthingmaps_trainval2017.zip there"
        )
    below = sorted(path for path in folder.iterdir() if path.is_dir())
    maps = {p.name: p for place in (*below, folder) for p in place.glob("*.png")}
    pairs = [
        (image, maps.get(f"{image.number:012}.png") or maps.get(f"{image.id}.png"))
        for image in images
    ]
    missing = [image.id for image, path in pairs if path is None]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(images)} images have no pixel map in {folder}: {first_few(missing)}; unpack "
            "stuffthingmaps_trainval2017.zip there, with its folders train2017 and val2017"
        )
    return [StuffMap(image, path) for image, path in pairs if path is not None]
