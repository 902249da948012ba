"""``wsssbench data prepare voc`` on a small devkit and SBD."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from in_process import call, refused
from sbd_archive import ALL, SIZE, TRAIN_AUG, make_archives

from wsssbench.datasets.voc import prepare as voc_prepare
from wsssbench.datasets.voc import sbd as sbd_module
from wsssbench.files.images import write_label


def prepare(folder: Path, *more: object) -> str:
    outcome = call(
        *("data", "prepare", "voc", "--voc", folder / "VOC2012"),
        *("--sbd", folder / "benchmark_RELEASE", "--workers", 1, *more),
    )
    assert (outcome.code, outcome.err) == (0, ""), outcome
    return outcome.out


def test_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voc, _ = make_archives(tmp_path)
    said = prepare(tmp_path)
    assert "train_aug has 4 images instead of the literature's 10582" in said
    assert "voc train 2, voc val 2, sbd train 3, sbd val 1" in said
    assert f"{len(ALL)} masks written, 0 were there; train_aug: {len(TRAIN_AUG)} images" in said
    assert f"wsssbench data labels --voc {voc} --from xml --splits train_aug,val" in said

    monkeypatch.setattr(sbd_module, "TRAIN_AUG", 4)
    monkeypatch.setattr(voc_prepare, "TRAIN_AUG", 4)
    (voc / "labels.csv").write_text("id,labels\n")
    said = prepare(tmp_path)
    assert "0 masks written, 6 were there" in said
    assert "warning" not in said and "data labels" not in said


def test_what_differs_is_told_and_replaced_on_request(tmp_path: Path) -> None:
    voc, _ = make_archives(tmp_path)
    (voc / "SegmentationClassAug").mkdir()
    write_label(voc / "SegmentationClassAug/2008_000005.png", np.zeros(SIZE, np.uint8))
    (voc / "ImageSets/Segmentation/train_aug.txt").write_text("2007_000001\n")
    said = prepare(tmp_path)
    assert "1 masks in SegmentationClassAug were there before" in said and "'2008_000005'" in said
    assert "train_aug.txt was there before with other ids" in said
    said = prepare(tmp_path, "--overwrite")
    assert "1 masks written, 5 were there" in said and "before" not in said


def test_folders_that_are_none(tmp_path: Path) -> None:
    voc, sbd = make_archives(tmp_path)
    command = ("data", "prepare", "voc", "--voc")
    assert "did you mean" in refused(*command, tmp_path, "--sbd", sbd)
    assert "does not exist" in refused(*command, tmp_path / "gone", "--sbd", sbd)
    assert "no folder cls/ of SBD" in refused(*command, voc, "--sbd", voc)
    (sbd / "dataset/cls/2009_000001.mat").write_bytes(b"")
    assert "2009_000001.mat cannot be read" in refused(*command, voc, "--sbd", sbd)
