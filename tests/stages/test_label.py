"""Scores become pseudo-labels; which images a stage goes through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsssbench.files.artefacts import write_scores
from wsssbench.files.images import read_label
from wsssbench.interfaces import RunContext, Scores
from wsssbench.ops.label_map import label_map
from wsssbench.progress import Silent
from wsssbench.stages.handles import ScoreFiles
from wsssbench.stages.label import Label
from wsssbench.stages.segment import spread
from wsssbench.stages.stage import StageWork, ids_of


class Lists:
    """As much of a data set as the stage needs: images of 10 x 8 pixels in `folder`."""

    classes = tuple("ABCDEFGHIJ")

    def __init__(self, folder: Path = Path()) -> None:
        self.folder = folder

    def ids(self, split: str) -> list[str]:
        return {"train_aug": ["b", "a", "x"], "train": ["a", "c"]}[split]

    def labels(self, split: str) -> np.ndarray:
        return np.ones((len(self.ids(split)), 10), np.float32)

    def image_path(self, id: str) -> Path:
        return self.folder / f"{id}.png"


def test_an_image_of_two_splits_is_one_image() -> None:
    both = ids_of(Lists(), ("train_aug", "train"))  # type: ignore[arg-type]
    assert both == [("b", "train_aug"), ("a", "train_aug"), ("x", "train_aug"), ("c", "train")]


def test_the_stage_writes_a_label_map_per_image(tmp_path: Path) -> None:
    given, target = tmp_path / "given", tmp_path / "label"
    rng = np.random.default_rng(1)
    scores = {
        id: Scores(np.array([1, 9], np.uint8), rng.random((3, 5, 4)).astype(np.float32), (10, 8))
        for id in "abcx"
    }
    for folder in (given, target):
        folder.mkdir()
    for id, one in scores.items():
        write_scores(given / f"{id}.npz", one)
        Image.new("RGB", (8, 10)).save(tmp_path / f"{id}.png")
    component = {"type": "FromScores", "confidence": 0.4}
    config = {"labelling": component, "splits": ("train_aug", "train")}
    context = RunContext(target, "cpu", 1, 0, Silent())
    inputs = {"given": ScoreFiles(given)}
    work = StageWork("label", config, inputs, {}, Lists(tmp_path), context)  # type: ignore[arg-type]
    assert Label().run(work) == {"images": 4}
    for id, one in scores.items():
        expected = label_map(one.planes, one.classes, one.size, 0.4)
        np.testing.assert_array_equal(read_label(target / f"{id}.png"), expected)
    assert len(list(target.iterdir())) == 4


@pytest.mark.parametrize(("n", "count"), [(0, 3), (1, 8), (3, 8), (8, 8), (100, 8), (5, 0)])
def test_gallery_is_spread_over_the_list(n: int, count: int) -> None:
    ids = [f"{i:03}" for i in range(n)]
    shown = spread(ids, count)
    assert len(shown) == min(n, count) == len(set(shown))
    assert shown == sorted(shown) and set(shown) <= set(ids)
    if shown:
        assert shown[0] == ids[0]
        steps = np.diff([int(id) for id in shown])
        assert not len(steps) or steps.max() - steps.min() <= 1
        assert n - int(shown[-1]) <= -(-n // len(shown))  # up to the end of the list
