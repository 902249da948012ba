"""The literature's own files, as users bring them along: AffinityNet-style lists and ``cls_labels.npy``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wsssbench.datasets.voc.dataset import VOC2012, VOC_CLASSES
from wsssbench.datasets.voc.sbd import TRAIN_AUG
from wsssbench.datasets.voc.submission import TEST_IMAGES
from wsssbench.files.image_labels import labels_from_npy
from wsssbench.files.image_lists import read_id_list, read_list

COUNTS = {"train": 1464, "train_aug": TRAIN_AUG, "val": 1449, "test": TEST_IMAGES}


@pytest.mark.parametrize("split", list(COUNTS))
def test_lists(voc12_lists: Path, split: str) -> None:
    entries = read_list(voc12_lists / f"{split}.txt")
    ids = {entry.id for entry in entries}
    assert len(entries) == len(ids) == COUNTS[split]
    for entry in entries:
        assert entry.image == f"JPEGImages/{entry.id}.jpg"
        wanted = None if split == "test" else f"SegmentationClassAug/{entry.id}.png"
        assert entry.mask == wanted


def test_how_the_lists_overlap(voc12_lists: Path) -> None:
    ids = {split: set(read_id_list(voc12_lists / f"{split}.txt")) for split in COUNTS}
    assert ids["train"] < ids["train_aug"]
    assert not ids["val"] & ids["train_aug"]
    assert not ids["test"] & (ids["train_aug"] | ids["val"])


def test_image_level_labels(voc12_lists: Path) -> None:
    labels = labels_from_npy(voc12_lists / "cls_labels.npy", VOC_CLASSES)
    raw = np.load(voc12_lists / "cls_labels.npy", allow_pickle=True).item()
    for split in ("train", "train_aug", "val"):
        for id in read_id_list(voc12_lists / f"{split}.txt"):
            vector = labels[id]
            assert vector.shape == (20,) and vector.dtype == np.float32
            assert np.isin(vector, (0, 1)).all() and vector.any()
            assert np.array_equal(vector, raw[id])


def test_a_devkit_with_those_files(voc12_lists: Path, tmp_path: Path) -> None:
    (tmp_path / "JPEGImages").mkdir()
    lists = {split: str(voc12_lists / f"{split}.txt") for split in COUNTS}
    dataset = VOC2012(root=str(tmp_path), lists=lists, labels=str(voc12_lists / "cls_labels.npy"))
    assert {split: len(dataset.ids(split)) for split in COUNTS} == COUNTS
    labels = dataset.labels("train_aug")
    assert labels.shape == (TRAIN_AUG, 20)
    id = dataset.ids("train_aug")[0]
    assert dataset.image_path(id) == tmp_path / "JPEGImages" / f"{id}.jpg"
