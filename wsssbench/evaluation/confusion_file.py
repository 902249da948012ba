"""The confusion matrix of an evaluation as a table that any program reads: ``confusion.csv``.

A line per ground-truth class and a column per predicted one, background first; the last column counts pixels that were
predicted as 255, "ignored". Numbers are pixels.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsssbench.files.atomic import write_atomically
from wsssbench.files.reading import reading_artefact

FILE = "confusion.csv"
_CORNER = "ground truth"
_IGNORED = "ignored"


@dataclass(frozen=True, eq=False)
class Confusion:
    """Pixels by class.

    Attributes:
        names: of background and the K classes.
        pixels: by ground truth and prediction, (K + 1, K + 2) int64; the last column was predicted as 255.
    """

    names: tuple[str, ...]
    pixels: np.ndarray


def write_confusion(path: Path, matrix: np.ndarray, classes: Sequence[str]) -> None:
    """Store the `matrix` (K + 2, K + 1) of `wsssbench.evaluation.confusion`; `classes` are the K names."""
    names = ["background", *classes]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_CORNER, *names, _IGNORED])
    writer.writerows([name, *column.tolist()] for name, column in zip(names, matrix.T, strict=True))
    write_atomically(path, stream.getvalue().encode("utf-8"))


def read_confusion(path: Path) -> Confusion:
    """Read what `write_confusion` stored.

    Raises:
        CorruptArtefactError: missing or damaged.
    """
    with reading_artefact(path):
        head, *lines = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
        names = tuple(line[0] for line in lines)
        pixels = np.array([line[1:] for line in lines], np.int64)
        if head != [_CORNER, *names, _IGNORED] or pixels.shape != (len(names), len(names) + 1):
            raise ValueError("it is no table of ground-truth and predicted classes")
    return Confusion(names, pixels)
