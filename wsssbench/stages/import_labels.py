"""import_labels: somebody else's label maps -> the pseudo-labels of an experiment, one ``<id>.png`` per image.

Config: splits, checksum (of the files' contents).

A file has a value 0..K or 255 per pixel and the size of its image. It may be missing if its image has no class. Nobody
knows here how the maps were made, which the protocol card says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wsssbench.errors import UserError
from wsssbench.files.artefacts import read_label as read_artefact
from wsssbench.files.contents import content_id
from wsssbench.files.images import image_size, read_label, write_label
from wsssbench.interfaces import IGNORE, Dataset, LabelMaps
from wsssbench.parallel import ranks
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.progress import Progress
from wsssbench.registry import Registries, check_parameters
from wsssbench.stages.classify import Classify
from wsssbench.stages.custom import Custom
from wsssbench.stages.handles import LabelFiles, photos_of
from wsssbench.stages.import_cams import ImportCams
from wsssbench.stages.importing import (
    collect_notes,
    refuse_generated,
    require_files,
    write_note,
)
from wsssbench.stages.infer_cams import InferCams
from wsssbench.stages.label import NODE, Label
from wsssbench.stages.refine import Refine
from wsssbench.stages.segment import spread
from wsssbench.stages.stage import (
    IMPORTED_LABELS,
    Node,
    Nodes,
    SplitUse,
    StageKind,
    StageWork,
    distinct,
    ids_of,
)

SAMPLE = 50  # files that are opened before any work
_SUFFIX = ".png"
_OTHER = "other-classes"  # the note of a map with classes that its image-level labels lack


@dataclass(frozen=True, kw_only=True)
class LabelImport:
    """Somebody else's label maps as pseudo-labels: the folder of ``<id>.png``."""

    directory: str


class LabelImportItem(NamedTuple):
    """One image: its id and file, its image-level labels (K,), the foreign file, where its pseudo-label goes."""

    id: str
    image: Path
    labels: np.ndarray
    source: Path
    target: Path


class ImportLabels(StageKind):
    """Imports the pseudo-labels of an experiment that begins with them: nothing above is made."""

    name = "import_labels"
    section = IMPORTED_LABELS
    replaces = tuple(
        kind.section for kind in (Classify, InferCams, ImportCams, Custom, Refine, Label)
    )
    plain = {"import_labels": LabelImport}
    title = "pseudo-label"

    def resolve(self, given: Any, config: Mapping[str, Any], registries: Registries) -> Any:
        return None if given is None else check_parameters(LabelImport, given, self.section)

    def names(self, nodes: Nodes) -> Iterable[str]:
        return (NODE,) if nodes.config[self.section] else ()

    def split_uses(self, config: Mapping[str, Any]) -> Mapping[str, SplitUse]:
        if not config.get(self.section):
            return {}
        return {
            "train": SplitUse("gets pseudo-labels"),
            "evaluate": SplitUse("scores pseudo-labels", masks=True),
        }

    def node(self, name: str, nodes: Nodes) -> Node:
        refuse_generated(nodes.dataset, self.section)
        directory = Path(nodes.config[self.section]["directory"])
        splits = distinct(nodes.split(key) for key in ("train", "evaluate"))
        ids = sorted(id for id, _ in ids_of(nodes.dataset, splits))
        files = {f"{id}{_SUFFIX}": str(directory / f"{id}{_SUFFIX}") for id in ids}
        return Node(
            name=name,
            kind=self,
            config={"splits": splits, "checksum": content_id(files, nodes.memory)},
            splits=splits,
            makes=LabelMaps,
            title=self.title,
            scored=nodes.split("evaluate"),
            outside={"labels": directory},
        )

    def check(self, node: Node, dataset: Dataset, progress: Progress) -> None:
        check_import(node.outside["labels"], dataset, node.splits)

    def run(self, work: StageWork) -> dict[str, Any]:
        """Import the label map of every image of the splits."""
        dataset = work.dataset
        items = items_of(work.outside["labels"], dataset, work.config["splits"], work.directory)
        run_images(LabelImportJob(len(dataset.classes)), items, work.context, "import")
        ranks.barrier()
        counts = collect_notes(work.directory, _OTHER)
        if counts[_OTHER]:
            work.context.progress.warn(
                f"{counts[_OTHER]} of {len(items)} label maps have classes that are not in the image-level labels of "
                f"their image; {work.directory} has their names"
            )
        return {"images": len(items), **counts}

    def handle(self, config: Mapping[str, Any], directory: Path, dataset: Dataset) -> LabelMaps:
        return LabelFiles(directory)

    def card(self, node: Node, above: Mapping[str, Any]) -> dict[str, Any]:
        return {"labels": "from outside", "labels_at_inference": True}

    def picture(self, directory: Path, id: str, split: str) -> np.ndarray | None:
        files = LabelFiles(directory)
        return files.read(id) if files.path(id).is_file() else None


class LabelImportJob(ImageJob[LabelImportItem]):
    """Copies one label map, checked, as a palette PNG."""

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes

    def valid(self, path: Path) -> None:
        read_artefact(path)

    def run(self, item: LabelImportItem) -> None:
        label = read_foreign(item, self.num_classes)
        if _other_pixels(label, item.labels):
            write_note(item.target.parent, _OTHER, item.id)
        write_label(item.target, label)


def read_foreign(item: LabelImportItem, num_classes: int) -> np.ndarray:
    """Return the label map (H, W) uint8 in ``item.source``; background alone if there is none.

    Raises:
        UserError: unreadable; another size than the image; a value that is neither 0..K nor 255.
    """
    size = image_size(item.image)
    if not item.source.is_file() and not item.labels.any():
        return np.zeros(size, np.uint8)
    label = read_label(item.source)
    if label.shape != size:
        raise UserError(
            f"{item.source} is {label.shape[1]} x {label.shape[0]}, but its image is {size[1]} x {size[0]} pixels"
        )
    strange = sorted(set(np.unique(label).tolist()) - {*range(num_classes + 1), IGNORE})
    if strange:
        raise UserError(
            f"{item.source} has the value {strange[0]}, but with {num_classes} classes a label map has 0 (background) "
            f"to {num_classes}, and {IGNORE} where it is ignored"
        )
    return label


def items_of(
    directory: Path, dataset: Dataset, splits: Iterable[str], target: Path
) -> list[LabelImportItem]:
    """List the images to import, each id once; UserError if their files are not there, see `require_files`."""
    require_files(directory, _SUFFIX, "label maps", dataset, splits)
    return [
        LabelImportItem(
            photo.id,
            photo.path,
            photo.labels,
            directory / f"{photo.id}{_SUFFIX}",
            target / f"{photo.id}{_SUFFIX}",
        )
        for photo in photos_of(dataset, splits)
    ]


def check_import(directory: Path, dataset: Dataset, splits: Iterable[str]) -> None:
    """Check before any work that every file is there, and that some of them are maps of this data set's classes.

    Raises:
        UserError: see `items_of` and `read_foreign`; no class in any map; mostly classes that are not in the
            image-level labels.
    """
    items = items_of(directory, dataset, splits, Path())
    labelled = {item.id: item for item in items if item.labels.any()}
    sample = [labelled[id] for id in spread(list(labelled), SAMPLE)]
    maps = [read_foreign(item, len(dataset.classes)) for item in sample]
    shown = [int(((label > 0) & (label != IGNORE)).sum()) for label in maps]
    if not any(shown):
        raise UserError(
            f"none of {len(maps)} label maps in {directory} has a class: they hold 0 and {IGNORE} alone, and a class "
            f"has its value 1..{len(dataset.classes)} in them"
        )
    others = [_other_pixels(m, item.labels) for m, item in zip(maps, sample, strict=True)]
    if 2 * sum(others) > sum(shown):
        worst = sample[int(np.argmax(others))]
        raise UserError(
            f"of {len(maps)} label maps in {directory} most of what is no background has classes that the image-level "
            f"labels lack, e.g. {worst.source.name}: were they made with other class indices (1 is "
            f"{dataset.classes[0]} here)?"
        )


def _other_pixels(label: np.ndarray, labels: np.ndarray) -> int:
    """Count the pixels of classes that are not in the image-level `labels` (K,)."""
    present = (np.flatnonzero(labels) + 1).tolist()
    return int((~np.isin(label, [0, IGNORE, *present])).sum())
