"""Making VOC's ``train_aug``: one folder of masks and one list out of the devkit and SBD."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from wsssbench.datasets.voc.sbd import CLASSES, TRAIN_AUG, find_sbd, read_sbd_mask, train_aug_ids
from wsssbench.errors import UserError
from wsssbench.files.atomic import remove_partials, write_atomically
from wsssbench.files.image_lists import first_few, read_id_list
from wsssbench.files.images import image_size, read_label, write_label
from wsssbench.parallel.jobs import worker_pool
from wsssbench.progress import Progress

MASKS = "SegmentationClassAug"
LIST = "train_aug"
_OWN = "SegmentationClass"
_LISTS = Path("ImageSets") / "Segmentation"
_CHUNK = 32  # images per message to a worker
_POOL_FROM = 256  # images from which starting processes pays
_SHOWN = 3

Outcome = Literal["written", "kept", "differs"]


@dataclass(frozen=True)
class MaskJob:
    """One mask to make: where from (a VOC PNG or an SBD .mat), for which image, and where to."""

    id: str
    source: Path
    image: Path
    target: Path


@dataclass(frozen=True)
class Prepared:
    """The result of a preparation.

    Attributes:
        train_aug: ids in the list.
        written: masks that were made.
        kept: masks that were there and right.
        different: ids whose mask was there, is not what would be made, and was left alone.
        list_kept: a list of other ids was there and was left alone.
        counts: ids by list: voc train, voc val, sbd train, sbd val.
    """

    train_aug: int
    written: int
    kept: int
    different: list[str]
    list_kept: bool
    counts: dict[str, int]

    @property
    def expected(self) -> bool:
        """Whether `train_aug` has the 10,582 images of the literature."""
        return self.train_aug == TRAIN_AUG


def prepare_voc(
    devkit: Path, sbd: Path, workers: int, progress: Progress, overwrite: bool = False
) -> Prepared:
    """Write ``SegmentationClassAug/<id>.png`` and ``ImageSets/Segmentation/train_aug.txt``.

    The rule: an image of VOC's train or val gets VOC's own mask, which has an ignored contour (255)
    and is finer; every other image of ``train_aug`` gets SBD's. What is there and equals what would
    be made is kept, so a run that was stopped goes on; what is there and differs is not ours to
    change, unless `overwrite`.

    Args:
        devkit: the folder that has ``JPEGImages``.
        sbd: SBD's folder, see `wsssbench.datasets.voc.sbd.find_sbd`.
        workers: processes.
        progress: where to show it.
        overwrite: replace masks, and a list, that differ.

    Raises:
        UserError: missing lists, images or masks; masks that are damaged or not of their image's
        size (all others are made before it is raised).
    """
    source = find_sbd(sbd)
    lists = {
        f"voc {name}": read_id_list(devkit / _LISTS / f"{name}.txt") for name in ("train", "val")
    }
    lists |= {f"sbd {name}": read_id_list(source / f"{name}.txt") for name in ("train", "val")}
    ids = train_aug_ids(*lists.values())
    own = {*lists["voc train"], *lists["voc val"]}
    jobs = [_job(devkit, source, id, id in own) for id in sorted({*ids, *lists["voc val"]})]
    _check_presence(jobs)
    (devkit / MASKS).mkdir(exist_ok=True)
    remove_partials(devkit / MASKS)
    outcomes = _make_all(jobs, workers, progress, overwrite)
    list_kept = not _write_list(devkit / _LISTS / f"{LIST}.txt", ids, overwrite)
    count = Counter(outcomes.values())
    different = [id for id, outcome in outcomes.items() if outcome == "differs"]
    sizes = {name: len(entries) for name, entries in lists.items()}
    return Prepared(len(ids), count["written"], count["kept"], different, list_kept, sizes)


def _source_mask(job: MaskJob) -> np.ndarray:
    mask = read_sbd_mask(job.source) if job.source.suffix == ".mat" else _voc_mask(job.source)
    size = image_size(job.image)
    if mask.shape != size:
        raise UserError(
            f"mask {job.source} is {mask.shape[1]} x {mask.shape[0]}, but its image {job.image} is "
            f"{size[1]} x {size[0]} pixels"
        )
    return mask


def _voc_mask(path: Path) -> np.ndarray:
    mask = read_label(path)
    wrong = mask[(mask > CLASSES) & (mask != 255)]
    if wrong.size:
        raise UserError(f"mask {path} has the label {int(wrong[0])}, but VOC's are 0..20 and 255")
    return mask


def _equals(path: Path, mask: np.ndarray) -> bool:
    """Whether the file at `path` holds `mask`, whatever its palette; an unreadable file does not."""
    try:
        return np.array_equal(read_label(path), mask)
    except UserError:
        return False


def _job(devkit: Path, sbd: Path, id: str, own: bool) -> MaskJob:
    source = devkit / _OWN / f"{id}.png" if own else sbd / "cls" / f"{id}.mat"
    image = devkit / "JPEGImages" / f"{id}.jpg"
    return MaskJob(id, source, image, devkit / MASKS / f"{id}.png")


def _check_presence(jobs: Sequence[MaskJob]) -> None:
    """Raise UserError for missing files, before any work."""
    missing: dict[Path, list[str]] = {}
    for path in (path for job in jobs for path in (job.image, job.source)):
        if not path.is_file():
            missing.setdefault(path.parent, []).append(path.name)
    for folder, names in missing.items():
        raise UserError(
            f"{folder} lacks {len(names)} files that the lists need: {first_few(names, _SHOWN)}; is its "
            "archive unpacked completely?"
        )


def _make_all(
    jobs: Sequence[MaskJob], workers: int, progress: Progress, overwrite: bool
) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    problems: dict[str, str] = {}
    with progress.track("masks", total=len(jobs)) as task:
        for chunk in _chunks(jobs, workers, overwrite):
            for id, (outcome, problem) in chunk.items():
                if outcome is None:
                    problems[id] = problem
                else:
                    outcomes[id] = outcome
            task.advance(len(chunk))
    if problems:
        names = sorted(problems)
        raise UserError(
            f"{len(names)} of {len(jobs)} masks cannot be made: {first_few(names, _SHOWN)} "
            f"({problems[names[0]]}); the others are there, and the same command goes on"
        )
    return dict(sorted(outcomes.items()))


_Outcomes = dict[str, tuple[Outcome | None, str]]


def _chunks(jobs: Sequence[MaskJob], workers: int, overwrite: bool) -> Iterator[_Outcomes]:
    parts = [jobs[i : i + _CHUNK] for i in range(0, len(jobs), _CHUNK)]
    if workers <= 1 or len(jobs) < _POOL_FROM:
        yield from (_make_chunk(part, overwrite) for part in parts)
        return
    with worker_pool(workers) as pool:
        for future in as_completed([pool.submit(_make_chunk, part, overwrite) for part in parts]):
            yield future.result()


def _make_chunk(jobs: Sequence[MaskJob], overwrite: bool) -> _Outcomes:
    """Make the masks of `jobs`. A source that cannot be used is noted; a target that cannot be written raises."""
    outcomes: _Outcomes = {}
    for job in jobs:
        try:
            mask = _source_mask(job)
        except UserError as error:
            outcomes[job.id] = None, str(error)
        else:
            outcomes[job.id] = _place(job.target, mask, overwrite), ""
    return outcomes


def _place(target: Path, mask: np.ndarray, overwrite: bool) -> Outcome:
    if target.exists():
        if _equals(target, mask):
            return "kept"
        if not overwrite:
            return "differs"
    write_label(target, mask)
    return "written"


def _write_list(path: Path, ids: Sequence[str], overwrite: bool) -> bool:
    """Write the list; False if another one is there already and was left alone."""
    if path.exists() and not overwrite:
        try:
            return set(read_id_list(path)) == set(ids)
        except UserError:
            return False
    write_atomically(path, ("\n".join(ids) + "\n").encode())
    return True
