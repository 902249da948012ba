"""The counts of every scored image, for what looks at images one by one: bootstrap intervals, where methods differ.

``image_counts.npz`` in the folder of an evaluation, copied into the folder of each run that reports it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsssbench.errors import CorruptArtefactError
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.files.atomic import write_atomically

FILE = "image_counts.npz"
_PARTS = ("correct", "predicted", "true")


@dataclass(frozen=True)
class ImageCounts:
    """Counts per image.

    Attributes:
        ids: of n images, in the order of the split.
        counts: ``correct``, ``predicted`` and ``true``, each (n, K + 1) int32.
    """

    ids: tuple[str, ...]
    counts: ClassCounts


def write_image_counts(path: Path, ids: Sequence[str], choices: Mapping[str, ClassCounts]) -> None:
    """Store the counts (n, K + 1) of `ids` under each of `choices`: ``chosen`` and, for CAMs, ``oracle``.

    Equal counts give equal bytes.
    """
    arrays: dict[str, np.ndarray] = {"ids": np.asarray(ids, np.str_)}
    for name, counts in choices.items():
        for part in _PARTS:
            arrays[f"{name}_{part}"] = np.asarray(getattr(counts, part), np.int32)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    write_atomically(path, stream.getvalue())


def read_image_counts(path: Path) -> dict[str, ImageCounts]:
    """What `write_image_counts` stored at `path`, by choice.

    Raises:
        CorruptArtefactError: missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        ids = tuple(str(id) for id in arrays["ids"])
        choices = [name.removesuffix("_true") for name in arrays if name.endswith("_true")]
        found = {
            choice: ClassCounts(*(arrays[f"{choice}_{part}"] for part in _PARTS))
            for choice in choices
        }
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CorruptArtefactError(path, f"{type(error).__name__}: {error}") from error
    for counts in found.values():
        if counts.true.ndim != 2 or len(counts.true) != len(ids):
            raise CorruptArtefactError(path, f"counts of {len(counts.true)} images, {len(ids)} ids")
    return {choice: ImageCounts(ids, counts) for choice, counts in found.items()}
