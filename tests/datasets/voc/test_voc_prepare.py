from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sbd_archive import ALL, SIZE, TRAIN_AUG, VOC, make_archives, sbd_mask, voc_mask, write_mat

from wsssbench.datasets.voc import prepare as voc_prepare
from wsssbench.datasets.voc.dataset import VOC2012
from wsssbench.datasets.voc.prepare import Prepared, prepare_voc
from wsssbench.errors import UserError
from wsssbench.files.image_lists import read_id_list
from wsssbench.files.images import read_label, write_label
from wsssbench.progress import Silent

OWN = {*VOC["train"], *VOC["val"]}


@pytest.fixture
def archives(tmp_path: Path) -> tuple[Path, Path]:
    return make_archives(tmp_path)


def prepared(archives: tuple[Path, Path], overwrite: bool = False, workers: int = 1) -> Prepared:
    return prepare_voc(*archives, workers, Silent(), overwrite)


def masks_of(archives: tuple[Path, Path]) -> dict[str, Path]:
    return {path.stem: path for path in (archives[0] / "SegmentationClassAug").iterdir()}


def check_masks(archives: tuple[Path, Path]) -> None:
    """The rule: VOC's own masks for its train and val, SBD's for the others."""
    masks = masks_of(archives)
    assert sorted(masks) == ALL
    for id, path in masks.items():
        assert np.array_equal(read_label(path), (voc_mask if id in OWN else sbd_mask)(id)), id


def test_masks_and_list(archives: tuple[Path, Path]) -> None:
    made = prepared(archives)
    check_masks(archives)
    path = archives[0] / "ImageSets/Segmentation/train_aug.txt"
    assert path.read_text() == "".join(f"{id}\n" for id in TRAIN_AUG)
    assert (made.train_aug, made.written, made.kept) == (4, 6, 0)
    assert (made.different, made.list_kept, made.expected) == ([], False, False)
    assert made.counts == {"voc train": 2, "voc val": 2, "sbd train": 3, "sbd val": 1}
    dataset = VOC2012(root=str(archives[0]))
    assert dataset.ids("train_aug") == TRAIN_AUG and dataset.has_masks("train_aug")


def test_goes_on_where_it_was_stopped(archives: tuple[Path, Path]) -> None:
    prepared(archives)
    masks = masks_of(archives)
    masks["2008_000005"].unlink()
    (masks["2008_000005"].parent / ".x.png.1-1.partial").touch()  # of a process that was killed
    grey = Image.fromarray(read_label(masks["2009_000001"]))  # the same mask without a palette
    grey.save(masks["2009_000001"])
    before = {id: path.read_bytes() for id, path in masks.items() if path.exists()}
    again = prepared(archives)
    assert (again.written, again.kept, again.different) == (1, 5, [])
    check_masks(archives)
    assert all(masks[id].read_bytes() == data for id, data in before.items())


def test_what_differs_is_left_alone(archives: tuple[Path, Path]) -> None:
    devkit = archives[0]
    folder, listed = (
        devkit / "SegmentationClassAug",
        devkit / "ImageSets/Segmentation/train_aug.txt",
    )
    folder.mkdir()
    write_label(folder / "2008_000005.png", np.zeros(SIZE, np.uint8))
    Image.new("RGB", SIZE[::-1]).save(folder / "2007_000001.png")
    listed.write_text("2007_000001\n")
    before = {path: path.read_bytes() for path in (*folder.iterdir(), listed)}
    made = prepared(archives)
    assert (made.written, made.different) == (4, ["2007_000001", "2008_000005"])
    assert made.list_kept
    assert all(path.read_bytes() == data for path, data in before.items())

    made = prepared(archives, overwrite=True)
    assert (made.written, made.kept, made.different, made.list_kept) == (2, 4, [], False)
    check_masks(archives)
    assert read_id_list(listed) == TRAIN_AUG


def test_an_affinitynet_list_of_the_same_images_is_fine(archives: tuple[Path, Path]) -> None:
    listed = archives[0] / "ImageSets/Segmentation/train_aug.txt"
    text = "".join(f"/JPEGImages/{id}.jpg /SegmentationClassAug/{id}.png\n" for id in TRAIN_AUG)
    listed.write_text(text)
    assert not prepared(archives).list_kept
    assert listed.read_text() == text
    listed.write_text("")
    assert prepared(archives).list_kept


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_several_processes_make_the_same(
    archives: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(voc_prepare, "_POOL_FROM", 1)
    monkeypatch.setattr(voc_prepare, "_CHUNK", 2)
    write_mat(archives[1] / "dataset/cls/2009_000001.mat", np.zeros((3, 4), np.uint8))
    with pytest.raises(UserError, match=r"1 of 6 masks cannot be made: '2009_000001'"):
        prepared(archives, workers=workers)
    write_mat(archives[1] / "dataset/cls/2009_000001.mat", sbd_mask("2009_000001"))
    made = prepared(archives, workers=workers)
    assert (made.written, made.kept) == (1, 5)
    check_masks(archives)


def test_damaged_sources_are_told_together(archives: tuple[Path, Path]) -> None:
    devkit, sbd = archives
    (sbd / "dataset/cls/2008_000005.mat").write_bytes(b"nothing")
    Image.new("RGB", (5, 5)).save(devkit / "JPEGImages/2009_000001.jpg")
    wrong = voc_mask("2007_000002")
    wrong[3, 3] = 21
    write_label(devkit / "SegmentationClass/2007_000002.png", wrong)
    with pytest.raises(UserError) as refusal:
        prepared(archives)
    sentence = str(refusal.value)
    assert "3 of 6 masks cannot be made: '2007_000002', '2008_000005', '2009_000001'" in sentence
    assert "2007_000002.png has the label 21" in sentence
    assert sorted(masks_of(archives)) == ["2007_000001", "2007_000003", "2008_000009"]
    assert not (devkit / "ImageSets/Segmentation/train_aug.txt").exists()  # not complete yet


def test_sizes_are_told(archives: tuple[Path, Path]) -> None:
    Image.new("RGB", (5, 7)).save(archives[0] / "JPEGImages/2009_000001.jpg")
    with pytest.raises(UserError, match=r"2009_000001\.mat is 17 x 12, but .* is 5 x 7 pixels"):
        prepared(archives)


@pytest.mark.parametrize(
    ("gone", "sentence"),
    [
        ("VOC2012/JPEGImages/2009_000001.jpg", r"JPEGImages lacks 1 files .*'2009_000001\.jpg'"),
        ("VOC2012/SegmentationClass/2007_000003.png", r"Class lacks 1 files .*'2007_000003\.png'"),
        (
            "benchmark_RELEASE/dataset/cls/2008_000005.mat",
            r"cls lacks 1 files .*'2008_000005\.mat'",
        ),
        ("VOC2012/ImageSets/Segmentation/val.txt", r"list .*val\.txt does not exist"),
        ("benchmark_RELEASE/dataset/train.txt", r"has no train\.txt"),
    ],
)
def test_missing_files_show_before_any_work(
    archives: tuple[Path, Path], gone: str, sentence: str
) -> None:
    (archives[0].parent / gone).unlink()
    with pytest.raises(UserError, match=sentence):
        prepared(archives)
    assert not (archives[0] / "SegmentationClassAug").exists()


def test_sbd_masks_of_voc_images_are_not_needed(archives: tuple[Path, Path]) -> None:
    for id in ("2007_000003", "2007_000002"):
        (archives[1] / f"dataset/cls/{id}.mat").unlink()
    prepared(archives)
    check_masks(archives)


@pytest.mark.skipif(os.geteuid() == 0, reason="a user who may not write everywhere")
def test_a_folder_that_cannot_be_written_ends_it(archives: tuple[Path, Path]) -> None:
    folder = archives[0] / "SegmentationClassAug"
    folder.mkdir(mode=0o500)
    with pytest.raises(UserError, match="cannot be written to"):
        prepared(archives)


def test_a_full_disk_ends_it(archives: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, label: np.ndarray) -> None:
        raise UserError(f"no space left on the disk of {path.parent}")

    monkeypatch.setattr(voc_prepare, "write_label", full)
    with pytest.raises(UserError, match=r"^no space left"):
        prepared(archives)
