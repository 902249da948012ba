"""A label map holds the best class per pixel, or 255 where that is not clear enough."""

from __future__ import annotations

import numpy as np
import pytest
from naive_evaluation import bilinear

from wsssbench.ops.label_map import label_map


def random_planes(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 5, 4)).astype(np.float32)


def naive(
    planes: np.ndarray, classes: list[int], size: tuple[int, int], confidence: float
) -> np.ndarray:
    full = np.array([bilinear(plane, size) for plane in planes])
    result = np.zeros(size, np.uint8)
    for y, x in np.ndindex(*size):
        best = int(full[:, y, x].argmax())
        result[y, x] = [0, *classes][best]
        if full[best, y, x] / full[:, y, x].sum() < confidence:
            result[y, x] = 255
    return result


@pytest.mark.parametrize("confidence", [0.0, 0.45, 0.6])
@pytest.mark.parametrize("size", [(5, 4), (9, 11)])
@pytest.mark.parametrize("classes", [[], [7], [2, 15, 254]])
def test_against_the_definition(
    confidence: float, size: tuple[int, int], classes: list[int]
) -> None:
    planes = random_planes(len(classes), 1 + len(classes))
    label = label_map(planes, np.array(classes, np.uint8), size, confidence)
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, naive(planes, classes, size, confidence))


def test_ignored_pixels_grow_with_the_confidence() -> None:
    planes, classes = random_planes(0, 4), np.array([1, 2, 3], np.uint8)
    ignored = [
        (label_map(planes, classes, (20, 20), c) == 255).mean() for c in (0.0, 0.3, 0.4, 0.5, 1.0)
    ]
    assert ignored[0] == 0 and ignored == sorted(ignored)
    assert ignored[1] < ignored[3] < ignored[4] == 1


def test_the_first_of_equal_scores_wins_and_zeros_are_background() -> None:
    planes, classes, size = np.zeros((3, 2, 2), np.float32), np.array([3, 4], np.uint8), (2, 2)
    assert label_map(planes, classes, size).tolist() == [[0, 0], [0, 0]]
    planes[1:] = 0.5
    assert label_map(planes, classes, size).tolist() == [[3, 3], [3, 3]]
    # a share of exactly the confidence is enough
    assert label_map(planes, classes, size, 0.5).tolist() == [[3, 3], [3, 3]]
