"""Stores the counts of every scored image, for bootstrap intervals and for the images where methods differ.

``image_counts.npz`` in the folder of an evaluation, copied into the folder of each run that reports it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.files.atomic import write_atomically
from wsssbench.files.npz import parse_npz
from wsssbench.files.reading import reading_artefact

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
    """Read what `write_image_counts` stored at `path`, by choice.

    Raises:
        CorruptArtefactError: missing or damaged.
    """
    with reading_artefact(path):
        arrays = parse_npz(path.read_bytes())
        ids = arrays.pop("ids")
        if ids.ndim != 1 or ids.dtype.kind != "U":
            raise ValueError(f"its ids are {ids.dtype} of shape {ids.shape}, not a vector of names")
        choices = [name.removesuffix("_true") for name in arrays if name.endswith("_true")]
        counts = {c: ClassCounts(*(arrays[f"{c}_{part}"] for part in _PARTS)) for c in choices}
        for name, array in arrays.items():
            if array.ndim != 2 or array.dtype.kind != "i" or len(array) != len(ids):
                raise ValueError(
                    f"{len(ids)} ids, but its '{name}' is {array.dtype} of shape {array.shape}"
                )
    return {c: ImageCounts(tuple(ids.tolist()), counts[c]) for c in choices}
