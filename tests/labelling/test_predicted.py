"""Label maps of another stage as pseudo-labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wsssbench.files.images import write_label
from wsssbench.interfaces import photo_of
from wsssbench.labelling.predicted import PredictedLabels
from wsssbench.stages.handles import LabelFiles


def test_classes_that_are_not_in_the_photo_become_background(tmp_path: Path) -> None:
    values = np.random.default_rng(0).choice([0, 1, 2, 3, 255], (6, 5)).astype(np.uint8)
    write_label(tmp_path / "a.png", values)
    photo = photo_of(np.zeros((6, 5, 3), np.uint8), [1, 0, 1], "a")
    label = PredictedLabels(("x", "y", "z"), labels=LabelFiles(tmp_path)).label(photo, None)
    expected = [[0 if v == 2 else v for v in row] for row in values]
    np.testing.assert_array_equal(label, expected)
    whole = PredictedLabels(("x", "y", "z"), labels=LabelFiles(tmp_path), present_only=False)
    np.testing.assert_array_equal(whole.label(photo, None), values)
