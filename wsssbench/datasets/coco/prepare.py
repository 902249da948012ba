"""MS-COCO's official files -> index and label maps, once. An interrupted preparation continues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsssbench.datasets.coco.annotations import (
    CocoImage,
    count_with_objects,
    known_counts,
    read_instances,
)
from wsssbench.datasets.coco.index import index_path, write_index
from wsssbench.datasets.coco.masks import (
    InstanceMasks,
    MaskRecord,
    StuffMasks,
    find_stuff_maps,
    read_record,
)
from wsssbench.datasets.coco.regions import Overlap
from wsssbench.errors import UserError
from wsssbench.files.atomic import remove_partials
from wsssbench.interfaces import RunContext
from wsssbench.parallel.jobs import ImageJob, run_images

_RULES = {
    "none": "none",
    "stuff": "COCO-Stuff",
    "smallest": "instances, smaller on top, crowds below",
    "last": "instances, later in the file on top, crowds below",
}


@dataclass(frozen=True)
class CocoPreparation:
    """A preparation of MS-COCO: its input folders, its output folder, and the kind of masks.

    Attributes:
        coco: has ``annotations`` with the instance files.
        out: gets ``index`` and ``masks``.
        masks: ``stuff``, ``instances`` or ``none``.
        stuff: has COCO-Stuff's pixel maps.
        overlap: which object of an instance file is on top.
    """

    coco: Path
    out: Path
    masks: str
    stuff: Path
    overlap: Overlap = "smallest"

    def run(self, splits: Sequence[str], context: RunContext) -> None:
        """Prepare `splits`; what is there and whole is kept.

        Raises:
            UserError: missing or damaged files, or masks made by another rule.
        """
        self._refuse_other_rule()
        images = {split: self._make_index(split, context) for split in splits}
        if self.masks == "none":
            return
        jobs = {split: self._job(split, images[split]) for split in splits}
        for split, (job, items) in jobs.items():
            self._make_masks(split, job, items, context)

    @property
    def folder(self) -> Path:
        """The folder of the masks and their record."""
        return self.out / "masks" / self.masks

    @property
    def rule(self) -> str:
        """The origin of the masks, as the protocol card has it."""
        return _RULES[self.overlap if self.masks == "instances" else self.masks]

    def _refuse_other_rule(self) -> None:
        record = self._record()
        if record.rule != self.rule:
            raise UserError(
                f"{self.folder} has masks made by another rule ({record.rule}): remove it, or give another --out"
            )

    def _make_index(self, split: str, context: RunContext) -> list[CocoImage]:
        context.progress.say(f"{split}: reading {self._source(split)}")
        images = read_instances(self._source(split), split)
        write_index(index_path(self.out, split), images)
        self._say_counts(images, split, context)
        return images

    def _say_counts(self, images: Sequence[CocoImage], split: str, context: RunContext) -> None:
        counts = (len(images), count_with_objects(images))
        context.progress.say(f"{split}: {counts[0]:,} images, {counts[1]:,} with objects")
        if counts != known_counts(split):
            known = known_counts(split)
            context.progress.warn(
                f"{split}: the official file has {known[0]:,} images, {known[1]:,} with objects"
            )
        folders = [base / f"{split}2014" for base in (self.coco, self.coco / "images")]
        there = {path.stem for folder in folders for path in folder.glob("*.jpg")}
        missing = [image.id for image in images if image.id not in there]
        if missing:
            context.progress.warn(
                f"{split}: {len(missing):,} of {len(images):,} image files are not in {folders[0]}, "
                f"e.g. {missing[0]}.jpg"
            )

    def _job(self, split: str, images: list[CocoImage]) -> tuple[ImageJob[Any], Sequence[Any]]:
        folder = self.folder / f"{split}2014"
        if self.masks == "stuff":
            return StuffMasks(folder), find_stuff_maps(self.stuff, images)
        return InstanceMasks(folder, self._source(split), self.overlap), images

    def _make_masks(
        self, split: str, job: ImageJob[Any], items: Sequence[Any], context: RunContext
    ) -> None:
        folder = self.folder / f"{split}2014"
        folder.mkdir(parents=True, exist_ok=True)
        remove_partials(folder)
        finished = {k: n for k, n in self._record().finished.items() if k != split}
        # before the first mask, so that every mask is below a record of its rule
        MaskRecord(self.rule, finished).write(self.folder)
        run_images(job, items, context, f"masks of {split}")
        MaskRecord(self.rule, finished | {split: len(items)}).write(self.folder)

    def _source(self, split: str) -> Path:
        return self.coco / "annotations" / f"instances_{split}2014.json"

    def _record(self) -> MaskRecord:
        """The record of the masks that are there already."""
        try:
            return read_record(self.folder)
        except FileNotFoundError:
            return MaskRecord(self.rule, {})
