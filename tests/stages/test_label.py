"""Scores become pseudo-labels; which images a stage goes through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from naive_evaluation import bilinear

from wsssbench.files.artefacts import write_scores
from wsssbench.files.images import read_label
from wsssbench.interfaces import RunContext, Scores
from wsssbench.progress import Silent
from wsssbench.stages import label
from wsssbench.stages.label import label_map
from wsssbench.stages.segment import gallery_ids
from wsssbench.stages.work import StageWork, ids_of


def random_scores(rng: np.random.Generator, classes: list[int], size: tuple[int, int]) -> Scores:
    planes = rng.random((1 + len(classes), 5, 4)).astype(np.float32)
    return Scores(np.array(classes, np.uint8), planes, size)


def naive(scores: Scores, confidence: float) -> np.ndarray:
    full = np.array([bilinear(plane, scores.size) for plane in scores.planes])
    result = np.zeros(scores.size, np.uint8)
    for y, x in np.ndindex(*scores.size):
        best = int(full[:, y, x].argmax())
        result[y, x] = [0, *scores.classes][best]
        if full[best, y, x] / full[:, y, x].sum() < confidence:
            result[y, x] = 255
    return result


@pytest.mark.parametrize("confidence", [0.0, 0.45, 0.6])
@pytest.mark.parametrize("size", [(5, 4), (9, 11)])
@pytest.mark.parametrize("classes", [[], [7], [2, 15, 254]])
def test_against_the_definition(
    confidence: float, size: tuple[int, int], classes: list[int]
) -> None:
    scores = random_scores(np.random.default_rng(len(classes)), classes, size)
    found = label_map(scores, confidence)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, naive(scores, confidence))


def test_ignored_pixels_grow_with_the_confidence() -> None:
    scores = random_scores(np.random.default_rng(0), [1, 2, 3], (20, 20))
    ignored = [(label_map(scores, c) == 255).mean() for c in (0.0, 0.3, 0.4, 0.5, 1.0)]
    assert (
        ignored[0] == 0 and ignored == sorted(ignored) and ignored[1] < ignored[3] < ignored[4] == 1
    )


def test_the_first_of_equal_scores_wins_and_nothing_is_background() -> None:
    equal = Scores(np.array([3, 4], np.uint8), np.zeros((3, 2, 2), np.float32), (2, 2))
    assert label_map(equal).tolist() == [[0, 0], [0, 0]]
    equal.planes[1:] = 0.5
    assert label_map(equal).tolist() == [[3, 3], [3, 3]]
    assert label_map(equal, 0.5).tolist() == [[3, 3], [3, 3]]  # exactly the confidence is sure


class Lists:
    """As much of a data set as `ids_of` needs."""

    def ids(self, split: str) -> list[str]:
        return {"train_aug": ["b", "a", "x"], "train": ["a", "c"]}[split]


def test_an_image_of_two_splits_is_one_image() -> None:
    both = ids_of(Lists(), ("train_aug", "train"))  # type: ignore[arg-type]
    assert both == [("b", "train_aug"), ("a", "train_aug"), ("x", "train_aug"), ("c", "train")]


def test_the_stage_writes_a_label_map_per_image(tmp_path: Path) -> None:
    given, target = tmp_path / "given", tmp_path / "label"
    rng = np.random.default_rng(1)
    scores = {id: random_scores(rng, [1, 9], (10, 8)) for id in "abcx"}
    for folder in (given, target):
        folder.mkdir()
    for id, one in scores.items():
        write_scores(given / f"{id}.npz", one)
    config = {"confidence": 0.4, "splits": ("train_aug", "train")}
    work = StageWork(config, {"given": given}, Lists(), RunContext(target, "cpu", 1, 0, Silent()))  # type: ignore[arg-type]
    assert label.run(work) == {"images": 4}
    for id, one in scores.items():
        np.testing.assert_array_equal(read_label(target / f"{id}.png"), naive(one, 0.4))
    assert len(list(target.iterdir())) == 4


@pytest.mark.parametrize(("n", "count"), [(0, 3), (1, 8), (3, 8), (8, 8), (100, 8), (5, 0)])
def test_gallery_is_spread_over_the_list(n: int, count: int) -> None:
    ids = [f"{i:03}" for i in range(n)]
    shown = gallery_ids(ids, count)
    assert len(shown) == min(n, count) == len(set(shown))
    assert shown == sorted(shown) and set(shown) <= set(ids)
    if shown:
        assert shown[0] == ids[0]
        steps = np.diff([int(id) for id in shown])
        assert not len(steps) or steps.max() - steps.min() <= 1
        assert n - int(shown[-1]) <= -(-n // len(shown))  # up to the end of the list
