"""import_cams: another repository's CAM files -> one exact CAM artefact ``<id>.npz`` per image.

Config: format ("psa" or "irn"), splits, checksum (`fingerprint` of the files).

A file has maps of classes in the image-level labels of its image only; it may lack some of those. It may be missing if
its image has no class.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wsssbench.errors import UserError, unknown
from wsssbench.files.artefacts import read_cam, write_cam
from wsssbench.files.atomic import write_atomically
from wsssbench.files.cam_formats import FORMATS, CamFormat, bounded
from wsssbench.files.image_lists import some
from wsssbench.files.images import image_size
from wsssbench.interfaces import Cam, Dataset
from wsssbench.parallel import ranks
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.stages.work import StageWork, ids_of

FIRST = 3  # files that are opened before any work
_BLOCK = 1 << 20
_THREADS = 8
_NOTES = (
    "notes.txt"  # what was noticed, a line per image; while processes work, each has one of its own
)


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

    def target(self, item: ImportItem) -> Path:
        return item.target

    def valid(self, path: Path) -> None:
        read_cam(path)

    def run(self, item: ImportItem) -> None:
        cam, notes = convert(item, FORMATS[self.format], self.classes)
        for note in notes:  # before the artefact: a note for a missing artefact is written again
            name = f"{ranks.rank()}-{os.getpid()}-{_NOTES}"
            with (item.target.parent / name).open("a", encoding="utf-8") as stream:
                stream.write(f"{note} {item.id}\n")
        write_cam(item.target, cam, exact=True)


def convert(item: ImportItem, form: CamFormat, classes: Sequence[str]) -> tuple[Cam, list[str]]:
    """The CAM in ``item.source``, and what is worth a warning: "clipped" values, "missing" classes.

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
    """What there is to import, each id once.

    Raises:
        UserError: no such folder, or files missing in it: one sentence with their number and the first names.
    """
    splits = tuple(splits)
    labels = {
        (split, id): row
        for split in splits
        for id, row in zip(dataset.ids(split), dataset.labels(split), strict=True)
    }
    pairs = ids_of(dataset, splits)
    if not directory.is_dir():
        raise UserError(f"the folder of CAMs {directory} does not exist")
    names = [f"{id}{form.suffix}" for id, split in pairs if labels[split, id].any()]
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        raise UserError(
            f"{directory} lacks {len(missing)} of the {len(names)} CAM files that are needed: {some(missing)}"
        )
    return [
        ImportItem(
            id,
            dataset.image_path(id),
            labels[split, id],
            directory / f"{id}{form.suffix}",
            target / f"{id}.npz",
        )
        for id, split in pairs
    ]


def check_import(directory: Path, format: str, dataset: Dataset, splits: Iterable[str]) -> None:
    """Before any work: every file is there, and the first few can be imported.

    Raises:
        UserError: unknown format; see `items_of` and `convert`.
    """
    form = find_format(format)
    items = items_of(Path(directory), form, dataset, splits, Path())
    if dataset.generated:  # its images may not be there yet
        return
    for item in items[:FIRST]:
        convert(item, form, dataset.classes)


def find_format(name: str) -> CamFormat:
    """The format called `name`; UserError with near matches if there is none."""
    if name not in FORMATS:
        raise UserError(unknown("CAM format", name, FORMATS))
    return FORMATS[name]


def fingerprint(directory: Path, format: str, ids: Iterable[str], memo: Path | None = None) -> str:
    """16 hex digits over the names, sizes and contents of the files of `ids`.

    The whole content, as maps of one image have the same size whatever is in them; not the times, so that a copy of
    the folder is the same CAMs. 10,000 files are read about as fast as the disk can, so what was read before is
    remembered, by size and time of the file, as the cache does with its own files.

    Args:
        directory: holds ``<id>`` + the suffix of `format`; missing files count as such.
        memo: a JSON file that remembers checksums from one process to the next.

    Raises:
        UserError: unknown format.
    """
    form = find_format(format)
    names = sorted({f"{id}{form.suffix}" for id in ids})
    folder = Path(directory).resolve()
    known = _known.get(folder) or _recall(memo).get(str(folder), {})
    with ThreadPoolExecutor(_THREADS) as pool:
        found = dict(zip(names, pool.map(partial(_state, folder, known), names), strict=True))
    _known[folder] = {**known, **found}
    if memo is not None and _known[folder] != known:
        memo.parent.mkdir(parents=True, exist_ok=True)
        content = {**_recall(memo), str(folder): _known[folder]}
        write_atomically(memo, json.dumps(content).encode())
    digest = hashlib.sha256(format.encode())
    for name, (size, _, checksum) in found.items():
        digest.update(f"\n{name} {size} {checksum}".encode())
    return digest.hexdigest()[:16]


_State = tuple[int, int, int]  # size, time, checksum; -1 for a missing file
_known: dict[Path, dict[str, _State]] = {}  # what this process has read


def _state(folder: Path, known: Mapping[str, _State], name: str) -> _State:
    try:
        with (folder / name).open("rb") as stream:
            stat = os.fstat(stream.fileno())
            before = known.get(name)
            if before is not None and before[:2] == (stat.st_size, stat.st_mtime_ns):
                return before
            checksum = 0
            while block := stream.read(_BLOCK):
                checksum = zlib.crc32(block, checksum)
            return stat.st_size, stat.st_mtime_ns, checksum
    except OSError:
        return -1, -1, -1


def _recall(memo: Path | None) -> dict[str, dict[str, _State]]:
    """What `memo` says, by folder and name; nothing if it is missing or damaged."""
    try:
        stored = {} if memo is None else json.loads(memo.read_text(encoding="utf-8"))
        return {
            folder: {name: (int(a), int(b), int(c)) for name, (a, b, c) in states.items()}
            for folder, states in stored.items()
        }
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def run(work: StageWork) -> dict[str, Any]:
    """Import the CAMs of every image of the splits."""
    config, dataset = work.config, work.dataset
    form = find_format(config["format"])
    items = items_of(work.inputs["cams"], form, dataset, config["splits"], work.directory)
    run_images(ImportJob(config["format"], dataset.classes), items, work.context, "import")
    ranks.barrier()
    notes = _collect_notes(work.directory)
    if notes["clipped"]:
        work.context.progress.warn(
            f"values of {notes['clipped']} of {len(items)} CAM files were slightly outside [0, 1], and clipped"
        )
    if notes["missing"]:
        work.context.progress.warn(
            f"{notes['missing']} of {len(items)} CAM files lack classes of their image-level labels"
        )
    return {"images": len(items), **notes}


def _collect_notes(directory: Path) -> dict[str, int]:
    """How many images each kind of note is about."""
    files = sorted(directory.glob(f"*{_NOTES}"))
    lines = {line for path in files for line in path.read_text(encoding="utf-8").splitlines()}
    ranks.barrier()
    if ranks.is_main() and lines:
        write_atomically(directory / _NOTES, "".join(f"{n}\n" for n in sorted(lines)).encode())
        for path in files:
            if path.name != _NOTES:
                path.unlink()
    return {
        kind: sum(line.startswith(f"{kind} ") for line in lines) for kind in ("clipped", "missing")
    }
