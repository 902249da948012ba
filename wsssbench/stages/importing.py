"""What imports share: the files that have to be there, and notes on images, merged into one file of all processes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from wsssbench.errors import UserError
from wsssbench.files.atomic import write_atomically
from wsssbench.files.image_lists import first_few
from wsssbench.interfaces import Dataset
from wsssbench.parallel import ranks

# A line per image with something to tell; while processes work, each has a file of its own.
_NOTES = "notes.txt"


def refuse_generated(dataset: Dataset, section: str) -> None:
    """Raise UserError for a data set that is generated: nobody else has made files of its images."""
    if dataset.generated:
        raise UserError(
            f"{section}: files of others belong to images in files, but {type(dataset).__name__} generates its own"
        )


def require_files(
    directory: Path, suffix: str, what: str, dataset: Dataset, splits: Iterable[str]
) -> None:
    """Check that there is ``<id>`` + `suffix` in `directory` for every image that has a class; looks at no image.

    Args:
        what: the files in words, e.g. ``CAM files``.

    Raises:
        UserError: no such folder, or files missing in it: one sentence with their number and the first names.
    """
    if not directory.is_dir():
        raise UserError(f"the folder of {what} {directory} does not exist")
    names = {
        f"{id}{suffix}": None
        for split in splits
        for id, labels in zip(dataset.ids(split), dataset.labels(split), strict=True)
        if labels.any()
    }
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        raise UserError(
            f"{directory} lacks {len(missing)} of the {len(names)} {what} that are needed: {first_few(missing)}"
        )


def write_note(directory: Path, note: str, id: str) -> None:
    """Note something of image `id`; before its artefact, since the note of a missing artefact is written again."""
    name = f"{ranks.rank()}-{os.getpid()}-{_NOTES}"
    with (directory / name).open("a", encoding="utf-8") as stream:
        stream.write(f"{note} {id}\n")


def collect_notes(directory: Path, *kinds: str) -> dict[str, int]:
    """Merge the notes of all processes, and count the images of each of `kinds`."""
    files = sorted(directory.glob(f"*{_NOTES}"))
    lines = {line for path in files for line in path.read_text(encoding="utf-8").splitlines()}
    ranks.barrier()
    if ranks.is_main() and lines:
        write_atomically(directory / _NOTES, "".join(f"{n}\n" for n in sorted(lines)).encode())
        for path in files:
            if path.name != _NOTES:
                path.unlink()
    return {kind: sum(line.startswith(f"{kind} ") for line in lines) for kind in kinds}
