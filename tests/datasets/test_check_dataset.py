"""The quick check before a run: lists, labels, headers; and the decoded masks of scored splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsssbench.cli.check_tables import remarks
from wsssbench.datasets.check import check_dataset, check_masks, full_check
from wsssbench.datasets.voc.dataset import VOC2012, VOC_CLASSES
from wsssbench.errors import LeakError
from wsssbench.files import ground_truth as truth
from wsssbench.files.images import write_label
from wsssbench.progress import Silent


@pytest.fixture
def dataset(voc_root: Path) -> VOC2012:
    lines = ["id,labels", *(f"2007_00000{i},person" for i in (1, 2, 3)), "2008_000001,cat"]
    (voc_root / "labels.csv").write_text("\n".join(lines))
    return VOC2012(root=str(voc_root))


def image_of(dataset: VOC2012, number: int) -> Path:
    return dataset.root / "JPEGImages" / f"2007_00000{number}.jpg"


def mask_of(dataset: VOC2012, number: int) -> Path:
    return dataset.root / "SegmentationClass" / f"2007_00000{number}.png"


def only(problems: list[str]) -> str:
    assert len(problems) == 1, problems
    return problems[0]


def test_a_good_data_set_has_no_problems(dataset: VOC2012) -> None:
    assert check_dataset(dataset, ["train", "val", "train"], masks=True, workers=2) == []
    with truth.allow_masks("evaluate"):
        assert check_masks(dataset, "train", workers=2) == []


def test_missing_and_damaged_images(dataset: VOC2012) -> None:
    image_of(dataset, 1).unlink()
    image_of(dataset, 3).write_bytes(b"no image")
    sentence = only(check_dataset(dataset, ["train"], masks=False, workers=2))
    assert "2 of 3 images of split 'train'" in sentence
    assert "'2007_000001', '2007_000003'" in sentence and "has no image in" in sentence


def test_many_missing_images_are_one_sentence(dataset: VOC2012) -> None:
    ids = [f"x{i}" for i in range(50)]
    (dataset.root / "many.txt").write_text("\n".join(ids))
    many = VOC2012(root=str(dataset.root), lists={"many": "many.txt"})
    sentence = only(check_dataset(many, ["many"], masks=False, workers=2, labels=False))
    assert "50 of 50" in sentence and "'x0', 'x1', 'x2' and 47 more" in sentence


def test_lists_and_labels(dataset: VOC2012) -> None:
    labels = dataset.root / "labels.csv"
    labels.write_text("id,labels\n2007_000001,person\n2007_000002,\n2007_000003,cat\n")
    empty, unlabelled = check_dataset(dataset, ["train", "val"], masks=False, workers=1)
    assert "1 of 3 images of split 'train' have no class" in empty and "'2007_000002'" in empty
    assert "1 of 1 ids have no labels" in unlabelled
    assert check_dataset(dataset, ["train", "val"], False, 1, labels=False) == []
    assert "unknown split" in only(check_dataset(dataset, ["nope"], masks=False, workers=1))


def test_labels_that_are_no_multi_hot_vectors(dataset: VOC2012, monkeypatch) -> None:
    values = np.ones((3, 20), np.float32)
    values[1, 4] = np.nan
    monkeypatch.setattr(dataset, "labels", lambda split: values)
    sentence = only(check_dataset(dataset, ["train"], masks=False, workers=1))
    assert "labels other than 0 and 1: '2007_000002'" in sentence
    monkeypatch.setattr(dataset, "labels", lambda split: np.ones((3, 19), np.float32))
    assert "shape (3, 19)" in only(check_dataset(dataset, ["train"], masks=False, workers=1))


def test_masks_by_their_headers(dataset: VOC2012) -> None:
    mask_of(dataset, 1).unlink()
    write_label(mask_of(dataset, 2), np.zeros((20, 31), np.uint8))
    missing, size = check_dataset(dataset, ["train"], masks=True, workers=2)
    assert "1 of 3 masks" in missing and "'2007_000001'" in missing and "does not exist" in missing
    assert "1 masks of split 'train' differ in size" in size
    assert "2007_000002.png is 31 x 20, but its image is 30 x 20 pixels" in size
    other = VOC2012(root=str(dataset.root), masks="Gone")
    nowhere = only(check_dataset(other, ["val"], masks=True, workers=1))
    assert "no folder of ground-truth masks" in nowhere


def test_a_reason_that_splits_share_is_given_once(dataset: VOC2012) -> None:
    (dataset.root / "labels.csv").unlink()
    sentence = only(check_dataset(dataset, ["train", "val"], masks=False, workers=1))
    assert "neither labels.csv nor Annotations/" in sentence


def test_masks_that_are_pictures_show_before_a_run(dataset: VOC2012) -> None:
    Image.new("RGB", (30, 20)).save(mask_of(dataset, 1))
    sentence = only(check_dataset(dataset, ["train"], masks=True, workers=2))
    assert "1 of 3 masks" in sentence and "is a colour image (mode RGB)" in sentence
    Image.new("L", (30, 20)).save(mask_of(dataset, 1), format="JPEG")
    sentence = only(check_dataset(dataset, ["train"], masks=True, workers=2))
    assert "is a JPEG file" in sentence


def test_values_of_masks_are_for_evaluation(dataset: VOC2012) -> None:
    write_label(mask_of(dataset, 2), np.full((20, 30), 21, np.uint8))
    Image.new("RGB", (30, 20)).save(mask_of(dataset, 3))
    write_label(mask_of(dataset, 1), np.full((30, 20), len(VOC_CLASSES), np.uint8))
    with pytest.raises(LeakError):
        check_masks(dataset, "train", workers=2)
    with truth.allow_masks("evaluate"):
        size, unusable = check_masks(dataset, "train", workers=2)
    assert "2 of 3 masks" in unusable and "has the label 21" in unusable
    assert "2007_000001.png is 20 x 30, but its image is 30 x 20 pixels" in size


def test_real_photos(minivoc: Path, voc12_lists: Path) -> None:
    dataset = VOC2012(root=str(minivoc), labels=str(voc12_lists / "cls_labels.npy"))
    assert check_dataset(dataset, ["train", "train_aug", "val"], masks=True, workers=2) == []


def test_a_photo_that_exif_turns_says_why_the_sizes_differ(dataset: VOC2012) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(image_of(dataset, 1), exif=exif)
    write_label(mask_of(dataset, 1), np.zeros((30, 20), np.uint8))
    sentence = only(check_dataset(dataset, ["train"], masks=True, workers=1))
    assert "its EXIF says rotated, which is ignored" in sentence
    Image.new("RGB", (30, 20)).save(image_of(dataset, 1))
    assert "EXIF" not in only(check_dataset(dataset, ["train"], masks=True, workers=1))


class Warned(Silent):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def test_deep_images_that_are_nearly_black_are_told_of_as_a_whole(dataset: VOC2012) -> None:
    def told(*largest: int) -> list[str]:
        for number, value in enumerate(largest, 1):
            values = np.full((20, 30), 5, np.uint16)
            values[0, 0] = value
            Image.fromarray(values).save(image_of(dataset, number), "PNG")
        progress = Warned()
        assert check_dataset(dataset, ["train"], False, 1, progress=progress) == []
        report = full_check(dataset, ["train"])
        assert [problem.text for problem in report.problems] == progress.warnings
        assert not report.stops
        return progress.warnings

    # Dark photos of 12 bits beside a bright one: none is stretched by itself.
    (sentence,) = told(900, 4095, 60)
    assert (
        "use 12 of them" in sentence
        and "as 0 to 15 of 255" in sentence
        and "by 16 once" in sentence
    )
    assert told(900, 65535, 60) == []
    assert "use 14 of them" in told(900, 16383, 60)[0]


def test_a_jpeg_without_its_end_marker_is_counted(dataset: VOC2012) -> None:
    image_of(dataset, 1).write_bytes(image_of(dataset, 1).read_bytes()[:-2])
    report = full_check(dataset, ["train"])
    assert report.problems == () and report.splits[0].sizes is not None
    assert report.splits[0].sizes.unended == 1
    (line,) = (line for line in remarks(report, {"train": []}) if "JPEG" in line)
    assert line == "train: 1 JPEG without its end marker; all of its pixels are there"
