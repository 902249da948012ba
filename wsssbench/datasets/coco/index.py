"""The index of an MS-COCO split: its images and what they show, in 5 MB instead of the instance file's 330."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsssbench.datasets.coco.annotations import CocoImage, coco_split
from wsssbench.datasets.coco.classes import COCO_CLASSES
from wsssbench.errors import UserError
from wsssbench.files.atomic import write_atomically

HEADER = "id,height,width,classes"


@dataclass(frozen=True)
class CocoIndex:
    """The images of a split by ascending number: `ids`, and their `labels` (n, 80) uint8 in {0, 1}."""

    ids: list[str]
    labels: np.ndarray

    def row_of(self) -> dict[str, int]:
        """Position by id."""
        return {id: row for row, id in enumerate(self.ids)}


def index_path(prepared: Path, split: str) -> Path:
    """The path of the index of `split`."""
    return prepared / "index" / f"{split}2014.csv"


def write_index(path: Path, images: Sequence[CocoImage]) -> None:
    """Write one line per image: id, height, width, label-map values separated by ``;``."""
    lines = [HEADER] + [
        f"{image.id},{image.size[0]},{image.size[1]},{';'.join(map(str, image.values))}"
        for image in images
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def read_index(path: Path, split: str) -> CocoIndex:
    """Read what `write_index` wrote.

    Raises:
        FileNotFoundError: not prepared.
        UserError: damaged.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = text.split("\n")
    if lines[0] != HEADER or lines[-1]:
        raise _damaged(path, 1 if lines[0] != HEADER else len(lines))
    ids: list[str] = []
    labels = np.zeros((len(lines) - 2, len(COCO_CLASSES)), np.uint8)
    for row, line in enumerate(lines[1:-1]):
        try:
            id, _, _, values = line.split(",")
            shown = [int(value) for value in values.split(";")] if values else []
        except ValueError:
            raise _damaged(path, row + 2) from None
        whole = all(1 <= value <= len(COCO_CLASSES) for value in shown)
        if not whole or coco_split(id) != split or (ids and id <= ids[-1]):
            raise _damaged(path, row + 2)
        labels[row, [value - 1 for value in shown]] = 1
        ids.append(id)
    return CocoIndex(ids, labels)


def _damaged(path: Path, line: int) -> UserError:
    return UserError(
        f"index {path} is damaged in line {line}: remove it and give the `wsssbench data prepare coco` command again"
    )
