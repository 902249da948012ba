"""The images of a trial: the first ones, or those that show all classes, of any data set."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from wsssbench.datasets.subset import Subset, Trial
from wsssbench.errors import UserError
from wsssbench.interfaces import Dataset


class Made(Dataset):
    """Ids 0 to n - 1 with the given labels; files are there unless their id is in `gone`."""

    def __init__(self, folder: Path, labels: np.ndarray, gone: tuple[int, ...] = ()) -> None:
        self.classes = tuple("abcdefghij"[: labels.shape[1]])
        self.folder, self.table, self.gone = folder, labels, gone
        for i in range(len(labels)):
            if i not in gone:
                (folder / f"{i}.png").touch()

    def ids(self, split: str) -> list[str]:
        return [str(i) for i in range(len(self.table))]

    def labels(self, split: str) -> np.ndarray:
        if split == "test":
            raise UserError("a test split has no labels")
        return self.table.astype(np.float32)

    def image_path(self, id: str) -> Path:
        return self.folder / f"{id}.png"

    def mask_path(self, id: str, split: str) -> Path | None:
        return self.folder / f"{id}.png"

    def mask_directories(self) -> tuple[Path, ...]:
        return (self.folder,)


@pytest.mark.parametrize("seed", range(5))
def test_as_many_classes_as_a_search_over_all_pairs_or_nearly(tmp_path: Path, seed: int) -> None:
    """Taking the best image each time shows at least 3/4 of what any two images could (1 - (1 - 1/2)^2)."""
    table = np.random.default_rng(seed).random((12, 8)) < 0.3
    chosen = Subset(Made(tmp_path, table), Trial(images=2, smoke=True)).ids("train")
    assert len(set(chosen)) == 2 and chosen == sorted(chosen, key=int)
    shown = table[[int(id) for id in chosen]].any(axis=0).sum()
    best = max((table[i] | table[j]).sum() for i in range(12) for j in range(12))
    assert shown >= 0.75 * best


def test_what_is_not_there_is_not_chosen_and_enough_are(tmp_path: Path) -> None:
    table = np.eye(6, dtype=bool)[[0, 1, 1, 2, 2, 0]]
    whole = Made(tmp_path, table, gone=(1, 3))
    assert Subset(whole, Trial(images=4, smoke=True)).ids("train") == ["0", "2", "4", "5"]
    assert Subset(whole, Trial(images=3, smoke=True)).ids("test") == ["0", "2", "4"]
    assert Subset(whole, Trial(images=3)).ids("train") == ["0", "1", "2"]
    assert Subset(whole, Trial(images=9, smoke=True)).ids("train") == whole.ids("train")


def test_labels_go_with_the_ids_also_in_another_process(tmp_path: Path) -> None:
    table = np.random.default_rng(3).random((20, 5)) < 0.4
    part = Subset(Made(tmp_path, table), Trial(images=3, smoke=True))
    rows = [int(id) for id in part.ids("train")]
    np.testing.assert_array_equal(part.labels("train"), table[rows])
    there = pickle.loads(pickle.dumps(part))
    assert there.ids("train") == part.ids("train") and there.mask_directories() == (tmp_path,)
