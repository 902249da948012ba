"""import_cams: another repository's CAM files -> one exact CAM artefact ``<id>.npz`` per image.

Config: format ("psa" or "irn"), splits, checksum (of the files' contents).

A file has maps of classes in the image-level labels of its image only; it may lack some of those. It may be missing if
its image has no class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from wsssbench.errors import UserError, unknown
from wsssbench.files.artefacts import read_cam, write_cam
from wsssbench.files.cam_formats import FORMATS, CamFormat, bounded
from wsssbench.files.contents import content_id
from wsssbench.files.images import image_size
from wsssbench.interfaces import Cam, Cams, Dataset
from wsssbench.parallel import ranks
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.progress import Progress
from wsssbench.registry import Registries, check_parameters
from wsssbench.stages import classify
from wsssbench.stages.handles import photos_of
from wsssbench.stages.importing import (
    collect_notes,
    refuse_generated,
    require_files,
    write_note,
)
from wsssbench.stages.infer_cams import NODE, CamStage, InferCams
from wsssbench.stages.stage import (
    IMPORTED_LABELS,
    Node,
    Nodes,
    SplitUse,
    StageWork,
    distinct,
    ids_of,
)

FIRST = 3  # files that are opened before any work


@dataclass(frozen=True, kw_only=True)
class ImportSection:
    """Another repository's CAMs instead of a classifier's: the folder of ``<id>.npy`` and their format."""

    directory: str
    format: Literal["psa", "irn"]


class ImportCams(CamStage):
    """Imports the CAMs of an experiment that starts from another repository's."""

    name = "import_cams"
    section = "import_cams"
    replaces = (classify.Classify.section, InferCams.section)
    plain = {"import_cams": ImportSection}

    def resolve(self, given: Any, config: Mapping[str, Any], registries: Registries) -> Any:
        return None if given is None else check_parameters(ImportSection, given, self.section)

    def names(self, nodes: Nodes) -> Iterable[str]:
        imported = nodes.config[self.section] and not nodes.config[IMPORTED_LABELS]
        return (NODE,) if imported else ()

    def split_uses(self, config: Mapping[str, Any]) -> Mapping[str, SplitUse]:
        imported = {"train": SplitUse("gets CAMs")} if config[self.section] else {}
        return {**super().split_uses(config), **imported}

    def node(self, name: str, nodes: Nodes) -> Node:
        refuse_generated(nodes.dataset, self.section)
        given = nodes.config[self.section]
        directory, form = Path(given["directory"]), given["format"]
        splits = distinct(nodes.split(key) for key in ("train", "evaluate", "heldout"))
        ids = [id for id, _ in ids_of(nodes.dataset, splits)]
        checksum = content_id(foreign_files(directory, form, ids), nodes.memory)
        return Node(
            name=name,
            kind=self,
            config={"format": form, "splits": splits, "checksum": checksum},
            splits=splits,
            makes=Cams,
            title=self.title,
            scored=nodes.split("evaluate"),
            outside={"cams": directory},
        )

    def check(self, node: Node, dataset: Dataset, progress: Progress) -> None:
        check_import(node.outside["cams"], node.config["format"], dataset, node.splits)

    def run(self, work: StageWork) -> dict[str, Any]:
        """Import the CAMs of every image of the splits."""
        config, dataset = work.config, work.dataset
        form = find_format(config["format"])
        items = items_of(work.outside["cams"], form, dataset, config["splits"], work.directory)
        run_images(ImportJob(config["format"], dataset.classes), items, work.context, "import")
        ranks.barrier()
        notes = collect_notes(work.directory, "clipped", "missing")
        if notes["clipped"]:
            work.context.progress.warn(
                f"values of {notes['clipped']} of {len(items)} CAM files were slightly outside [0, 1], and clipped"
            )
        if notes["missing"]:
            work.context.progress.warn(
                f"{notes['missing']} of {len(items)} CAM files lack classes of their image-level labels"
            )
        return {"images": len(items), **notes}

    def card(self, node: Node, above: Mapping[str, Any]) -> dict[str, Any]:
        return {"imported": node.config["format"], "crf": (), "labels_at_inference": True}


class ImportItem(NamedTuple):
    """One image: its id and file, its image-level labels (K,), the foreign file, where its artefact goes."""

    id: str
    image: Path
    labels: np.ndarray
    source: Path
    target: Path


class ImportJob(ImageJob[ImportItem]):
    """Converts one file."""

    def __init__(self, format: str, classes: Sequence[str]) -> None:
        self.format = format
        self.classes = tuple(classes)

    def valid(self, path: Path) -> None:
        read_cam(path)

    def run(self, item: ImportItem) -> None:
        cam, notes = convert(item, FORMATS[self.format], self.classes)
        for note in notes:
            write_note(item.target.parent, note, item.id)
        write_cam(item.target, cam, exact=True)


def convert(item: ImportItem, form: CamFormat, classes: Sequence[str]) -> tuple[Cam, list[str]]:
    """Return the CAM in ``item.source``, and notes for a warning: "clipped" values, "missing" classes.

    Raises:
        UserError: unreadable; another size than the image; values not in [0, 1]; a class that is not in the labels.
    """
    size = image_size(item.image)
    expected = np.flatnonzero(item.labels).astype(np.uint8) + np.uint8(1)
    if not len(expected) and not item.source.is_file():
        return Cam(expected, np.zeros((0, *size), np.float32), size), []
    cam = form.read(item.source, size)
    if cam.size != size:
        raise UserError(
            f"{item.source} has maps of {cam.size[1]} x {cam.size[0]}, but its image is "
            f"{size[1]} x {size[0]} pixels: save them at the image's size"
        )
    _check_classes(item.source, cam, expected, classes)
    cam, clipped = bounded(cam, item.source)
    missing = len(cam.classes) < len(expected)
    return cam, ["clipped"] * clipped + ["missing"] * missing


def _check_classes(path: Path, cam: Cam, expected: np.ndarray, names: Sequence[str]) -> None:
    extra = sorted(set(cam.classes.tolist()) - set(expected.tolist()))
    if not extra:
        return
    if cam.classes.tolist() == [1, *(expected.astype(int) + 1)]:
        raise UserError(
            f"{path} holds CRF scores (0 = background, k + 1 = class k), not CAMs: import the CAMs "
            "they were made from, and let the CRF be a refinement"
        )
    told = ", ".join(f"{value - 1} ({_name(names, value)})" for value in extra[:3])
    labels = ", ".join(_name(names, value) for value in expected.tolist()) or "none"
    raise UserError(
        f"{path} has a map of class index {told}, which is not in the image-level labels of its "
        f"image ({labels}): were the maps made with other class indices or labels?"
    )


def _name(names: Sequence[str], value: int) -> str:
    return names[value - 1] if value <= len(names) else "no such class"


def items_of(
    directory: Path, form: CamFormat, dataset: Dataset, splits: Iterable[str], target: Path
) -> list[ImportItem]:
    """List the images to import, each id once; UserError if their files are not there, see `require_files`."""
    require_files(directory, form.suffix, "CAM files", dataset, splits)
    return [
        ImportItem(
            photo.id,
            photo.path,
            photo.labels,
            directory / f"{photo.id}{form.suffix}",
            target / f"{photo.id}.npz",
        )
        for photo in photos_of(dataset, splits)
    ]


def check_import(directory: Path, format: str, dataset: Dataset, splits: Iterable[str]) -> None:
    """Check before any work that every file is there, and that the first few can be imported.

    Raises:
        UserError: unknown format; see `items_of` and `convert`.
    """
    form = find_format(format)
    for item in items_of(directory, form, dataset, splits, Path())[:FIRST]:
        convert(item, form, dataset.classes)


def foreign_files(directory: Path, format: str, ids: Iterable[str]) -> dict[str, str]:
    """Return the files of `ids` in `directory`, which may be missing, by the names of the format and the file."""
    suffix = find_format(format).suffix
    return {f"{format} {id}{suffix}": str(directory / f"{id}{suffix}") for id in sorted(ids)}


def find_format(name: str) -> CamFormat:
    """Return the format called `name`; UserError with near matches if there is none."""
    if name not in FORMATS:
        raise UserError(unknown("CAM format", name, FORMATS))
    return FORMATS[name]
