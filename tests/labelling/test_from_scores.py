"""The default labelling: the best class of every pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from wsssbench.interfaces import Cam, Photo, Scores
from wsssbench.labelling.from_scores import FromScores

CLASSES = ("a", "b", "c")
PRESENT = np.array([1, 3], np.uint8)
PHOTO = cast(Photo, None)  # it looks at none


def test_of_cams_the_largest_activation_above_the_threshold() -> None:
    maps = np.random.default_rng(0).random((2, 6, 5), np.float32)
    label = FromScores(CLASSES, threshold=0.4).label(PHOTO, Cam(PRESENT, maps, (6, 5)))
    for y, x in np.ndindex(6, 5):
        best = int(maps[:, y, x].argmax())
        assert label[y, x] == (PRESENT[best] if maps[best, y, x] > 0.4 else 0)


def test_of_scores_the_largest_share_unless_it_is_below_the_confidence() -> None:
    planes = np.random.default_rng(1).random((3, 6, 5), np.float32)
    label = FromScores(CLASSES, confidence=0.5).label(PHOTO, Scores(PRESENT, planes, (6, 5)))
    for y, x in np.ndindex(6, 5):
        best = int(planes[:, y, x].argmax())
        sure = planes[best, y, x] >= 0.5 * planes[:, y, x].sum()
        assert label[y, x] == ((0, *PRESENT)[best] if sure else 255)


@pytest.mark.parametrize("given", [None, Cam(PRESENT, np.zeros((2, 1, 1), np.float32), (1, 1))])
def test_without_a_number_nothing_is_guessed(given: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a CAM and a number as threshold"):
        FromScores(CLASSES, threshold="otsu").label(PHOTO, given)
