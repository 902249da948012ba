from __future__ import annotations

import pickle
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from wsssbench.datasets.voc.dataset import VOC2012, VOC_CLASSES
from wsssbench.errors import UserError
from wsssbench.files.npy import save_array_dict
from wsssbench.plugins import load


def with_csv(root: Path) -> Path:
    lines = [f"2007_00000{i},{VOC_CLASSES[i - 1]};person" for i in (1, 2, 3)]
    (root / "labels.csv").write_text("\n".join(["id,labels", *lines]) + "\n")
    return root


def test_the_devkit_layout(voc_root: Path) -> None:
    dataset = VOC2012(root=str(with_csv(voc_root)))
    assert len(dataset.classes) == 20 and dataset.classes[14] == "person"
    assert dataset.ids("train") == ["2007_000001", "2007_000002", "2007_000003"]
    assert dataset.image_path("2007_000001") == voc_root / "JPEGImages" / "2007_000001.jpg"
    assert dataset.mask_path("x", "train") == voc_root / "SegmentationClass" / "x.png"
    labels = dataset.labels("train")
    assert labels.shape == (3, 20) and labels.dtype == np.float32
    assert [np.flatnonzero(row).tolist() for row in labels] == [[0, 14], [1, 14], [2, 14]]


def test_it_is_registered_and_pickles(voc_root: Path) -> None:
    dataset = load().registries.dataset.build({"type": "VOC2012", "root": str(with_csv(voc_root))})
    again = pickle.loads(pickle.dumps(dataset))
    assert again.ids("val") == ["2008_000001"]
    with pytest.raises(UserError, match=r"VOC2012.*root 'nowhere' does not exist"):
        load().registries.dataset.build({"type": "VOC2012", "root": "nowhere"})


def test_masks_per_split(voc_root: Path) -> None:
    dataset = VOC2012(root=str(voc_root))
    assert dataset.mask_path("x", "train_aug") is None  # no SegmentationClassAug here
    assert dataset.mask_path("x", "test") is None
    (voc_root / "SegmentationClassAug").mkdir()
    (voc_root / "Mine").mkdir()
    assert dataset.mask_path("x", "train_aug") == voc_root / "SegmentationClassAug" / "x.png"
    mine = VOC2012(root=str(voc_root), masks_of={"train_aug": "Mine", "val": ""})
    assert mine.mask_path("x", "train_aug") == voc_root / "Mine" / "x.png"
    assert mine.mask_path("x", "val") is None
    closed = {path.name for path in mine.mask_directories()}
    assert closed >= {"SegmentationClass", "SegmentationClassAug", "SegmentationObject", "Mine"}


def test_affinitynet_lists_and_their_images(voc_root: Path, monkeypatch) -> None:
    (voc_root / "photos").mkdir()
    (voc_root / "JPEGImages" / "2008_000001.jpg").rename(voc_root / "photos" / "odd.JPEG")
    (voc_root / "psa.txt").write_text(
        "/JPEGImages/2007_000001.jpg /Elsewhere/2007_000001.png\n/photos/odd.JPEG\n"
    )
    dataset = VOC2012(root=str(voc_root), lists={"mine": "psa.txt"})
    assert dataset.image_path("odd") == voc_root / "photos" / "odd.JPEG"  # before ids()
    assert dataset.ids("mine") == ["2007_000001", "odd"]
    # the config decides which truth counts, not the list
    assert dataset.mask_path("2007_000001", "mine") == (
        voc_root / "SegmentationClass" / "2007_000001.png"
    )
    monkeypatch.chdir(voc_root.parent)
    (voc_root.parent / "here.txt").write_text("2007_000002\n")
    assert VOC2012(root="VOC2012", lists={"mine": "here.txt"}).ids("mine") == ["2007_000002"]


@pytest.mark.parametrize("suffix", [".png", ".jpeg", ".JPG"])
def test_other_image_suffixes(voc_root: Path, suffix: str) -> None:
    (voc_root / "JPEGImages" / f"x{suffix}").touch()
    assert VOC2012(root=str(voc_root)).image_path("x").name == f"x{suffix}"


def test_label_sources(voc_root: Path, tmp_path: Path) -> None:
    dataset = VOC2012(root=str(voc_root))
    with pytest.raises(
        UserError,
        match=f"wsssbench data labels --voc {voc_root} --splits [a-z_,]*train[a-z_,]* --out",
    ):
        dataset.labels("train")
    with pytest.raises(UserError, match="Annotations does not exist"):
        VOC2012(root=str(voc_root), labels="xml").labels("train")

    (voc_root / "Annotations").mkdir()
    for id in dataset.ids("train"):
        text = "<annotation><object><name>cat</name></object></annotation>"
        (voc_root / "Annotations" / f"{id}.xml").write_text(text)
    assert dataset.labels("train")[:, 7].tolist() == [1, 1, 1]

    vectors = {id: np.eye(20, dtype=np.float32)[3] for id in dataset.ids("train")}
    save_array_dict(voc_root / "cls_labels.npy", vectors)
    by_npy = VOC2012(root=str(voc_root), labels="cls_labels.npy")
    assert by_npy.labels("train").argmax(axis=1).tolist() == [3, 3, 3]
    with pytest.raises(UserError, match=r"1 of 1 ids have no labels in .*cls_labels\.npy"):
        by_npy.labels("val")

    with_csv(voc_root)  # goes before Annotations
    assert dataset.labels("train").argmax(axis=1).tolist() == [0, 1, 2]
    assert (
        VOC2012(root=str(voc_root), labels="xml").labels("train").argmax(axis=1).tolist() == [7] * 3
    )
    absolute = VOC2012(root=str(voc_root), labels=str(voc_root / "labels.csv"))
    assert absolute.labels("train").sum() == 6


def test_unknown_and_empty_splits(voc_root: Path) -> None:
    dataset = VOC2012(root=str(voc_root))
    with pytest.raises(UserError, match=r"unknown split 'trian': did you mean train\?"):
        dataset.ids("trian")
    (voc_root / "ImageSets/Segmentation/none.txt").touch()
    with pytest.raises(UserError, match="is empty"):
        dataset.ids("none")
    with pytest.raises(UserError, match="does not exist"):
        VOC2012(root=str(voc_root), lists={"mine": "gone.txt"}).ids("mine")


def test_id_without_image(voc_root: Path) -> None:
    with pytest.raises(UserError, match="'2099_000001' has no image"):
        VOC2012(root=str(voc_root)).image_path("2099_000001")


def test_a_missing_list_is_no_problem_of_other_splits(voc_root: Path) -> None:
    dataset = VOC2012(root=str(voc_root), lists={"mine": "gone.txt"})
    assert dataset.image_path("2007_000001").name == "2007_000001.jpg"


def test_a_home_folder_is_found(voc_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(voc_root))
    (voc_root / "home.txt").write_text("2007_000001\n")
    (voc_root / "home.csv").write_text("id,labels\n2007_000001,cat\n")
    dataset = VOC2012(root=str(voc_root), labels="~/home.csv", lists={"mine": "~/home.txt"})
    assert dataset.labels("mine").argmax(axis=1).tolist() == [7]


def test_a_root_beside_the_right_one_is_hinted(voc_root: Path) -> None:
    for wrong in (voc_root.parent, voc_root / "JPEGImages"):
        with pytest.raises(ValueError, match=r"no folder JPEGImages, did you mean .*"):
            VOC2012(root=str(wrong))
    with pytest.raises(ValueError, match="does not exist"):
        VOC2012(root=str(voc_root / "gone"))


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        ((), "0 names"),
        (tuple(map(str, range(255))), "255 names"),
        (("cat", "dog", "cat"), "'cat' twice"),
        (("background", "cat"), "background"),
        (("cat", "3"), "'3'"),
        (("a;b",), "'a;b'"),
    ],
)
def test_class_lists(voc_root: Path, classes: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        VOC2012(root=str(voc_root), classes=classes)


def test_real_photos_with_the_labels_of_the_literature(minivoc: Path, voc12_lists: Path) -> None:
    dataset = VOC2012(root=str(minivoc), labels=str(voc12_lists / "cls_labels.npy"))
    assert [len(dataset.ids(s)) for s in ("train", "train_aug", "val")] == [60, 175, 60]
    labels = dataset.labels("train_aug")
    assert labels.shape == (175, 20) and labels.sum(axis=1).min() >= 1


def test_the_card_says_which_lists_and_masks(voc_root: Path, tmp_path: Path) -> None:
    assert VOC2012(root=str(voc_root)).card() == {
        "lists": "the devkit's",
        "masks": "SegmentationClass",
    }
    lists = {"val": str(tmp_path / "part.txt"), "train": "sub/other.txt"}
    card = VOC2012(root=str(voc_root), lists=lists, masks="Mine").card()
    assert card == {"lists": "train: other.txt, val: part.txt", "masks": "Mine"}


def test_ids_of_a_devkit_in_any_form(voc_root: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "été") for form in ("NFC", "NFD"))
    photos, masks = voc_root / "JPEGImages", voc_root / "SegmentationClass"
    for old, new in (("2007_000001", apart), ("2007_000002", "#1 front"), ("2007_000003", "0003")):
        (photos / f"{old}.jpg").rename(photos / f"{new}.jpg")
        (masks / f"{old}.png").rename(masks / f"{new}.png")
    (photos / "0003.jpg").rename(photos / "0003.JpG")
    (voc_root / "Annotations").mkdir()
    for name in (apart, "#1 front", "0003"):
        text = "<annotation><object><name>cat</name></object></annotation>"
        (voc_root / "Annotations" / f"{name}.xml").write_text(text)
    for written in (composed, apart):
        (voc_root / "mine.txt").write_text(f"# mine\n{written}\n#1 front\n0003\n")
        dataset = VOC2012(root=str(voc_root), lists={"mine": "mine.txt"})
        assert dataset.ids("mine") == [composed, "#1 front", "0003"]
        found = [dataset.image_path(id).name for id in dataset.ids("mine")]
        assert found == [f"{apart}.jpg", "#1 front.jpg", "0003.JpG"]
        for id in dataset.ids("mine"):
            mask = dataset.mask_path(id, "mine")
            assert mask is not None and mask.is_file()
        np.testing.assert_array_equal(dataset.labels("mine").argmax(axis=1), [7, 7, 7])
    with pytest.raises(UserError, match=r"'3' has no image in .* but '0003'"):
        dataset.image_path("3")


def test_own_classes_from_a_file_are_in_the_command_for_labels(voc_root: Path) -> None:
    (voc_root / "names.txt").write_text("scratch\nhole in one\n")
    dataset = VOC2012(root=str(voc_root), classes="names.txt")
    assert dataset.classes == ("scratch", "hole in one")
    with pytest.raises(UserError, match="--classes 'scratch,hole in one'"):
        dataset.labels("train")
    with pytest.raises(ValueError, match="foreground classes only"):
        VOC2012(root=str(voc_root), classes=("__background__", "scratch"))
