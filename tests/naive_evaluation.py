"""The evaluation spelt out: one threshold at a time, one pixel at a time, sets of pixels per class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]  # (prediction, truth), both (H, W)


def predicted_at(maps: Mapping[int, np.ndarray], threshold: float, shape: Sequence[int]) -> Any:
    """The class with the largest map where that exceeds the threshold, else background, (H, W)."""
    label = np.zeros(shape, int)
    for y in range(shape[0]):
        for x in range(shape[1]):
            highest = float(np.float32(threshold))
            for value in sorted(maps):
                if float(maps[value][y, x]) > highest:
                    highest, label[y, x] = float(maps[value][y, x]), value
    return label


def scores_of(pairs: Iterable[Pair]) -> dict[str, Any]:
    """miou, precision, recall in per cent and iou by class, over the classes that occur."""
    said: dict[int, set[tuple[int, int, int]]] = {}
    true: dict[int, set[tuple[int, int, int]]] = {}
    for number, (prediction, truth) in enumerate(pairs):
        for y, x in np.ndindex(truth.shape):
            if truth[y, x] != 255:
                said.setdefault(int(prediction[y, x]), set()).add((number, y, x))
                true.setdefault(int(truth[y, x]), set()).add((number, y, x))
    said.pop(255, None)
    iou, precision, recall = {}, [], []
    for value in sorted(true):
        there, right = said.get(value, set()), said.get(value, set()) & true[value]
        iou[value] = 100 * len(right) / len(there | true[value])
        precision.append(100 * len(right) / len(there) if there else 0.0)
        recall.append(100 * len(right) / len(true[value]))
    count = len(true)
    return {
        "miou": sum(iou.values()) / count,
        "precision": sum(precision) / count,
        "recall": sum(recall) / count,
        "iou": iou,
    }


def bilinear(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) resized to `size`, pixel centres at half integers, borders repeated."""
    result = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            (top, bottom, v), (left, right, u) = (
                _between(at, have, want)
                for at, have, want in zip((y, x), plane.shape, size, strict=True)
            )
            upper = plane[top, left] * (1 - u) + plane[top, right] * u
            lower = plane[bottom, left] * (1 - u) + plane[bottom, right] * u
            result[y, x] = upper * (1 - v) + lower * v
    return result


def _between(at: int, have: int, want: int) -> tuple[int, int, float]:
    place = max((at + 0.5) * have / want - 0.5, 0.0)
    first = math.floor(place)
    return first, min(first + 1, have - 1), place - first
