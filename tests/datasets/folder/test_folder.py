from __future__ import annotations

import json
import os
import time
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wsssbench.datasets.check import check_dataset
from wsssbench.datasets.folder.dataset import FolderDataset
from wsssbench.errors import UserError
from wsssbench.files.images import read_image, write_label
from wsssbench.plugins import load

CSV = """id,labels,split
0001,cat,train
0002.jpg,dog; cat ,train
cats/0001,traffic light,train
IMG 7.b,,val
ünï,dog,val
"""
IDS = ["0001", "0002", "cats__0001", "IMG 7.b", "ünï"]
FILES = ["0001.jpg", "0002.JPG", "cats/0001.png", "IMG 7.b.jpeg", "ünï.jpg"]


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = "PNG" if path.suffix == ".png" else "JPEG"
        Image.new("RGB", (30, 20), (len(name), 0, 0)).save(path, format=kind)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make(tmp_path / "images", *FILES)
    (tmp_path / "labels.csv").write_text(CSV.replace("0002.jpg", "0002.JPG"), encoding="utf-8")
    return tmp_path


def dataset(root: Path, **parameters: Any) -> FolderDataset:
    given = {"images": "images", "labels": "labels.csv", **parameters}
    return FolderDataset(root=str(root), **given)


def write_json(root: Path, content: Any) -> None:
    (root / "labels.json").write_text(json.dumps(content), encoding="utf-8")


def refusal(root: Path, **parameters: Any) -> str:
    with pytest.raises((ValueError, UserError)) as caught:
        dataset(root, **parameters)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_any_ids_and_names_from_a_csv_with_splits(root: Path) -> None:
    found = dataset(root)
    assert found.classes == ("cat", "dog", "traffic light")
    assert found.ids("train") == IDS[:3] and found.ids("val") == IDS[3:]
    np.testing.assert_array_equal(found.labels("train"), [[1, 0, 0], [1, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(found.labels("val"), [[0, 0, 0], [0, 1, 0]])
    assert found.labels("val").dtype == np.float32
    assert [found.image_path(id) for id in IDS] == [root / "images" / name for name in FILES]
    assert not found.has_masks("train") and found.mask_path("0001", "train") is None
    assert found.mask_directories() == ()
    assert found.card()["class order"] == "sorted names of labels.csv"


def test_json_says_the_same(root: Path) -> None:
    csv = dataset(root)
    images = {
        "0001": {"labels": ["cat"], "split": "train"},
        "0002": {"labels": ["dog", "cat"], "split": "train"},
        "cats/0001.png": {"labels": ["traffic light"], "split": "train"},
        "IMG 7.b": {"labels": [], "split": "val"},
        "ünï": {"labels": ["dog"], "split": "val"},
    }
    write_json(root, {"images": images})
    other = dataset(root, labels="labels.json")
    assert other.classes == csv.classes
    for split in ("train", "val"):
        assert other.ids(split) == csv.ids(split)
        np.testing.assert_array_equal(other.labels(split), csv.labels(split))
    write_json(root, {"classes": ["dog", "traffic light", "cat", "cow"], "images": images})
    ordered = dataset(root, labels="labels.json")
    assert ordered.classes == ("dog", "traffic light", "cat", "cow")
    np.testing.assert_array_equal(ordered.labels("train")[1], [1, 0, 1, 0])
    assert ordered.card()["class order"] == "as given"
    write_json(root, {"classes": ["cat", "dog"], "images": {"0001": [2], "0002": ["1"]}})
    by_value = dataset(root, labels="labels.json")
    np.testing.assert_array_equal(by_value.labels("train"), [[0, 1], [1, 0]])


def test_classes_from_a_tuple_or_a_file(root: Path) -> None:
    names = ("zebra", "traffic light", "dog", "cat")
    (root / "names.txt").write_text("# mine\n" + "\n".join(names) + "\n")
    for classes in (names, "names.txt"):
        found = dataset(root, classes=classes)
        assert found.classes == names
        np.testing.assert_array_equal(found.labels("train")[2], [0, 1, 0, 0])
    built = load().registries.dataset.build(
        {"type": "FolderDataset", "root": str(root), "images": "images", "labels": "labels.csv",
         "classes": list(names)}, where="data")  # fmt: skip
    assert built.classes == names
    sentence = refusal(root, classes=("kat", "dog", "traffic light"))
    assert "line 2" in sentence and "did you mean kat" in sentence
    many = tuple(f"c{i}" for i in range(255))
    assert "255 names" in refusal(root, classes=many)
    write_json(root, {"images": {"0001": list(many[:254])}})
    assert dataset(root, labels="labels.json").labels("train").shape == (1, 254)
    write_json(root, {"images": {"0001": list(many)}})
    assert "255 names" in refusal(root, labels="labels.json")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (["cat,dog", "cat", "dog"], "separate labels by ';'"),
        (["cat dog", "cat", "dog"], "separate labels by ';'"),
        (["1", "2", "1;2"], "need `classes`"),
        (["", "", ""], "no image in"),
        (["cat", "background", ""], "background"),
    ],
)
def test_names_that_would_be_a_guess(root: Path, fields: list[str], said: str) -> None:
    lines = [f'{id},"{field}"' for id, field in zip(IDS[:3], fields, strict=True)]
    (root / "labels.csv").write_text("\n".join(["id,labels", *lines]))
    assert said in refusal(root)
    if fields[0] != "cat" and any(fields):  # with a list of classes it is clear
        assert dataset(root, classes=("cat", "dog", "cat dog", "cat,dog")).labels("train").any()


def test_splits_from_lists_and_from_nothing(root: Path) -> None:
    (root / "labels.csv").write_text("id,labels\n0001,cat\n0002,dog\nIMG 7.b,dog\n")
    everything = dataset(root)
    assert everything.ids("train") == ["0001", "0002", "IMG 7.b"]
    with pytest.raises(UserError, match=r"no column `split`.*splits.val=''"):
        everything.ids("val")
    (root / "a.txt").write_text("IMG 7.b\n# no\n\n0002.JPG\n")
    (root / "b.txt").write_text("0001\n")
    split = dataset(root, splits={"train": "a.txt", "val": "b.txt"})
    assert split.ids("train") == ["IMG 7.b", "0002"] and split.ids("val") == ["0001"]
    np.testing.assert_array_equal(split.labels("train"), [[0, 1], [0, 1]])
    with pytest.raises(UserError, match="unknown split 'vla': did you mean val"):
        split.ids("vla")
    with pytest.raises(UserError, match="unknown split"):
        split.has_masks("test")
    (root / "b.txt").write_text("0001\nünï\n")
    unlabelled = dataset(root, splits={"val": "b.txt"})
    with pytest.raises(UserError, match=r"1 of 2 ids of split 'val' have no labels in .*: 'ünï'"):
        unlabelled.labels("val")
    (root / "b.txt").write_text("0002\n0001\n0002.JPG\n")
    assert "has 1 of its ids twice: '0002'" in refusal(root, splits={"val": "b.txt"})
    assert "does not exist" in refusal(root, splits={"val": "none.txt"})


def test_a_list_beside_the_files_own_splits(root: Path) -> None:
    (root / "held.txt").write_text("0001\n")
    found = dataset(root, splits={"heldout": "held.txt"})
    assert found.ids("heldout") == ["0001"] and found.ids("train") == IDS[:3]
    assert "by both" in refusal(root, splits={"train": "held.txt"})
    (root / "labels.csv").write_text("id,labels,split\n0001,cat,train\n0002,cat,\nünï,cat,\n")
    assert "2 of 3 images" in refusal(root) and "'0002', 'ünï'" in refusal(root)


def test_masks_of_some_splits(root: Path) -> None:
    masks = root / "masks"
    masks.mkdir()
    assert "give `classes`" in refusal(root, masks="masks")
    classes = ("dog", "cat", "traffic light")
    assert "no mask of any image" in refusal(root, masks="masks", classes=classes)
    write_label(masks / "0001_mask.png", np.zeros((20, 30), np.uint8))
    sentence = refusal(root, masks="masks", classes=classes)
    assert "'0001' needs 0001.png" in sentence and "0001_mask.png" in sentence
    for name in ("IMG 7.b.png", "cats/0001.png"):
        (masks / name).parent.mkdir(exist_ok=True)
        write_label(masks / name, np.zeros((20, 30), np.uint8))
    found = dataset(root, masks="masks", classes=classes)
    assert found.has_masks("val") and found.has_masks("train")
    assert found.mask_path("cats__0001", "train") == masks / "cats/0001.png"
    assert found.mask_path("IMG 7.b", "val") == masks / "IMG 7.b.png"
    assert found.mask_path("ünï", "val") == masks / "ünï.png"  # has to be there: val has masks
    (masks / "cats/0001.png").unlink()
    found = dataset(root, masks="masks", classes=classes)
    assert found.has_masks("val") and not found.has_masks("train")
    assert found.mask_path("0001", "train") is None
    assert found.mask_directories() == (masks,)
    (problem,) = check_dataset(found, ["val"], masks=True, workers=1, labels=False)
    assert "1 of 2 masks of split 'val'" in problem and "'ünï'" in problem


def test_masks_need_a_folder_of_their_own(root: Path) -> None:
    classes = ("dog", "cat", "traffic light")
    for folder in ("images", "."):
        assert "folder of their own" in refusal(root, masks=folder, classes=classes)
    write_label(root / "images" / "0001.png", np.zeros((20, 30), np.uint8))
    inside = root / "images" / "masks"
    inside.mkdir()
    (root / "images" / "0001.png").rename(inside / "0001.png")
    found = dataset(root, masks="images/masks", classes=classes)
    assert found.mask_path("0001", "train") == inside / "0001.png"
    with pytest.raises(UserError):  # masks below the images are no images
        found.image_path("masks__0001")


def test_missing_images_are_counted_with_a_hint(root: Path) -> None:
    lines = ["id,labels", "0001,cat", "img 7.b,cat", "gone,dog", "cats__0002,cat", "sub/ünï,cat"]
    (root / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    found = dataset(root)
    (problem,) = check_dataset(found, ["train"], masks=False, workers=1)
    assert "4 of 5 images of split 'train'" in problem and "'img 7.b', 'gone'" in problem
    for id, said in (("img 7.b", "upper and lower case"), ("sub__ünï", "'ünï.jpg'")):
        with pytest.raises(UserError, match=f"no image in .*{said}"):
            found.image_path(id)


def test_two_images_of_one_id(root: Path) -> None:
    make(root / "images", "0001.png", "a/b.jpg", "a__b.jpg")
    found = dataset(root)
    with pytest.raises(UserError, match=r"'0001' has 2 images .*'0001.jpg', '0001.png'"):
        found.image_path("0001")
    with pytest.raises(UserError, match=r"'a/b.jpg', 'a__b.jpg'"):
        found.image_path("a__b")
    (root / "labels.csv").write_text("id,labels\n0002,cat\n0002.JPG,dog\n")
    assert "line 3" in refusal(root) and "'0002', which has its labels already" in refusal(root)


def test_unicode_in_either_form(root: Path) -> None:
    import unicodedata

    (root / "labels.csv").write_text(
        unicodedata.normalize("NFD", "id,labels\nünï,cat\n"), encoding="utf-8"
    )
    found = dataset(root)
    assert found.image_path(found.ids("train")[0]) == root / "images" / "ünï.jpg"


def test_what_else_lies_in_the_folder(root: Path) -> None:
    make(root / "images", ".0001.png", ".thumbs/0001.jpg")
    (root / "images" / "readme.txt").write_text("x")
    (root / "images" / "circle").symlink_to(root / "images", target_is_directory=True)
    found = dataset(root)
    assert all(found.image_path(id).is_file() for id in IDS)
    (root / "tiff").mkdir()
    (root / "tiff" / "a.heic").write_bytes(b"")
    assert "but 1 .heic" in refusal(root, images="tiff")
    assert "does not exist" in refusal(root, images="nowhere")
    make(root / "images", "x" * 201 + ".jpg")
    (root / "long.csv").write_text(f"id,labels\n{'x' * 201},cat\n")
    assert "longer than 200 bytes" in refusal(root, labels="long.csv")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "has to be"),
        ({"images": []}, "has to be"),
        ({"images": {}}, "lists no image"),
        ({"images": {"0001": "cat"}}, "image '0001'"),
        ({"images": {"0001": [["cat"]]}}, "image '0001'"),
        ({"images": {"0001": [True]}}, "image '0001'"),
        ({"images": {"0001": {"label": ["cat"]}}}, "did you mean labels"),
        ({"images": {"0001": {"labels": ["cat"], "split": 1}}}, "split 1"),
        ({"images": {"": ["cat"]}}, "no id"),
        ({"image": {}, "images": {"0001": ["cat"]}}, "did you mean images"),
        ({"classes": "cat", "images": {"0001": ["cat"]}}, "list of names"),
        ({"classes": ["dog"], "images": {"0001": ["cat"]}}, "unknown class 'cat'"),
    ],
)
def test_json_of_another_form(root: Path, content: Any, said: str) -> None:
    write_json(root, content)
    assert said in refusal(root, labels="labels.json")


def test_labels_files_that_cannot_be_read(root: Path) -> None:
    (root / "labels.json").write_text('{"images": {"0001": ["a"], "0001": ["b"]}}')
    assert "'0001' a second time" in refusal(root, labels="labels.json")
    (root / "labels.json").write_text('{"images": {')
    assert "cannot be read as JSON" in refusal(root, labels="labels.json")
    assert "does not exist" in refusal(root, labels="none.json")
    assert "does not exist" in refusal(root, labels="none.csv")
    assert ".csv or .json" in refusal(root, labels="labels.xlsx")
    (root / "labels.csv").write_text("name,class\n0001,cat\n")
    assert "the first line has to be 'id,labels' or 'id,labels,split'" in refusal(root)
    (root / "labels.csv").write_bytes("id,labels\nü,cat\n".encode("latin-1"))
    assert "it is not in UTF-8" in refusal(root)
    (root / "labels.csv").write_bytes("id,labels\nü,cat\n".encode("utf-16"))
    assert dataset(root).ids("train") == ["ü"]
    (root / "labels.csv").write_text("id,labels,split\n0001,cat\n")
    assert "2 columns instead of 3" in refusal(root)


def test_images_without_any_class(root: Path) -> None:
    (strict,) = check_dataset(dataset(root), ["val"], masks=False, workers=1)
    assert "1 of 2 images of split 'val' have no class" in strict
    allowed = dataset(root, empty_images=True)
    assert allowed.empty_images and check_dataset(allowed, ["val"], False, 1) == []


@pytest.mark.slow
def test_a_hundred_thousand_images(tmp_path: Path) -> None:
    count = 100_000
    (tmp_path / "images").mkdir()
    for i in range(count):
        os.close(os.open(tmp_path / "images" / f"{i:06d}.jpg", os.O_CREAT))
    lines = (f"{i:06d},c{i % 80};c{i % 79},{('train', 'val')[i % 2]}" for i in range(count))
    (tmp_path / "labels.csv").write_text("\n".join(["id,labels,split", *lines]))
    began = time.process_time()
    found = dataset(tmp_path)
    labels = {split: found.labels(split) for split in ("train", "val")}
    paths = [found.image_path(id) for id in found.ids("train")]
    assert time.process_time() - began < 10
    assert len(paths) == count // 2 and paths[-1].name == "099998.jpg"
    assert labels["val"].shape == (count // 2, 80) and labels["val"].sum(axis=1).max() == 2


@pytest.mark.parametrize(
    "name", ["cats/0001", "cats\\0001", "cats\\0001.png", "{images}/cats/0001.png"]
)
def test_paths_in_labels_and_lists_of_any_system(root: Path, name: str) -> None:
    name = name.format(images=root / "images")
    (root / "labels.csv").write_text(f"id,labels\n{name},cat\n")
    (root / "list.txt").write_text(f"{name}\n")
    found = dataset(root, splits={"train": "list.txt"})
    assert found.ids("train") == ["cats__0001"] and found.labels("train").tolist() == [[1]]


def test_ids_and_classes_of_both_unicode_forms_are_one(root: Path) -> None:
    both = [unicodedata.normalize(form, "ünï") for form in ("NFC", "NFD")]
    assert both[0] != both[1]
    for id in both:
        lines = [
            f"{id},{both[0]};dog",
            f"0001,{both[1]}",
            "0002.JPG,ice\u00a0cream",
            "IMG 7.b,ice  cream",
        ]
        (root / "labels.csv").write_text("\n".join(["id,labels", *lines]), encoding="utf-8")
        found = dataset(root)
        assert found.classes == ("dog", "ice cream", both[0])
        assert found.ids("train") == [both[0], "0001", "0002", "IMG 7.b"]
        write_json(root, {"classes": [both[1], "dog"], "images": {id: [both[0]], "0001": ["dog"]}})
        assert dataset(root, labels="labels.json").labels("train").tolist() == [[1, 0], [0, 1]]
    assert "twice" in refusal(root, classes=tuple(both))


def test_ids_that_begin_with_a_hash_count_and_comments_do_not(root: Path) -> None:
    make(root / "images", "#1 front.jpg", "#2.jpg")
    (root / "labels.csv").write_text("id,labels\n#1 front,cat\n#2,dog\n0001,dog\n")
    (root / "list.txt").write_text("# mine\n#1 front\n#2.jpg\n# 0001\n#0001\n")
    assert dataset(root, splits={"train": "list.txt"}).ids("train") == ["#1 front", "#2"]


def test_other_formats_are_read_where_there_is_no_usual_one(root: Path) -> None:
    for name, form in (
        ("w.webp", "WEBP"),
        ("b.BMP", "BMP"),
        ("t.tif", "TIFF"),
        ("0001.tiff", "TIFF"),
    ):
        Image.new("RGB", (30, 20), (9, 8, 7)).save(
            root / "images" / name, form, **({"lossless": True} if form == "WEBP" else {})
        )
    (root / "images" / "h.heic").write_bytes(b"")
    (root / "labels.csv").write_text("id,labels\nw,cat\nb,cat\nt.tif,cat\n0001,cat\nh,cat\n")
    found = dataset(root)
    assert [found.image_path(id).name for id in found.ids("train")[:4]] == [
        "w.webp",
        "b.BMP",
        "t.tif",
        "0001.jpg",
    ]
    assert all((read_image(found.image_path(id)) == (9, 8, 7)).all() for id in "wbt")
    with pytest.raises(
        UserError, match=r"'h' has no image in .*, but h\.heic: \.jpg, .* and \.tiff are read"
    ):
        found.image_path("h")


@pytest.mark.parametrize(
    ("id", "said"),
    [
        ("1", "but '0001': did a spreadsheet strip the zeros"),
        ("1.0", "but '0001': did a spreadsheet strip the zeros"),
        ("cats/1", "but 'cats__0001': did a spreadsheet strip the zeros"),
        ("2.00701E+11", "did a spreadsheet round the number"),
        ("0001.jpg,0001.png", "a line of a list is one id"),
    ],
)
def test_what_became_of_an_id_is_told(root: Path, id: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        dataset(root).image_path(dataset(root)._images.find(id))


@pytest.mark.parametrize("name", ["_background_", "__ignore__", "255"])
def test_the_background_is_no_class_wherever_classes_are_listed(root: Path, name: str) -> None:
    said = "has to list the foreground classes only"
    names = (name, "cat", "dog", "traffic light")
    (root / "names.txt").write_text("\n".join(names))
    for classes in (names, "names.txt"):
        assert said in refusal(root, classes=classes)
    write_json(root, {"classes": list(names), "images": {"0001": ["cat"]}})
    assert "labels.json" in refusal(root, labels="labels.json") and said in refusal(
        root, labels="labels.json"
    )
    if not name.isdigit():
        (root / "labels.csv").write_text(f"id,labels\n0001,cat\n0002.JPG,{name}\n")
        assert said in refusal(root) and said in refusal(root, classes=("cat", "dog"))
