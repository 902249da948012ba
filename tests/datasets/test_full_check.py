"""The full check: counts against loops, every kind of problem, a good data set and real photos."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsssbench.datasets.check import DatasetReport, check_masks, full_check
from wsssbench.datasets.check_counts import (
    MaskFacts,
    count_labels,
    count_masks,
    find_duplicates,
    find_overlaps,
    never_alone,
    strongest_pairs,
)
from wsssbench.datasets.checker import Problem
from wsssbench.datasets.folder.dataset import FolderDataset
from wsssbench.datasets.voc.dataset import VOC2012
from wsssbench.errors import LeakError
from wsssbench.files import ground_truth as truth
from wsssbench.files.images import ImageFacts, read_label, write_label

K = 5
CLASSES = tuple("abcde")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_label_counts_against_loops(rng: np.random.Generator) -> None:
    labels = rng.random((60, K)) < 0.25
    report = count_labels(labels, CLASSES)
    rows = [[CLASSES[k] for k in range(K) if row[k]] for row in labels]
    assert report.empty == sum(not row for row in rows) > 0
    assert report.mean == pytest.approx(sum(map(len, rows)) / 60)
    for i, a in enumerate(CLASSES):
        assert report.images[a] == sum(a in row for row in rows)
        assert report.alone[a] == sum(row == [a] for row in rows)
        for j, b in enumerate(CLASSES):
            assert report.together[i][j] == sum(a in row and b in row for row in rows)
    pairs = strongest_pairs(report, least=1)
    assert len(pairs) == sum(report.together[i][j] > 0 for i in range(K) for j in range(i))
    for pair in pairs:
        (a, b), (of_a, of_b) = pair.names, pair.shares
        both = sum(a in row and b in row for row in rows)
        assert of_a == both / report.images[a] >= of_b == both / report.images[b]
    assert [p.shares[0] for p in pairs] == sorted((p.shares[0] for p in pairs), reverse=True)


def test_pairs_in_few_images_are_left_out() -> None:
    labels = np.array([[1, 1, 0]] * 3 + [[0, 1, 1]] * 2 + [[0, 1, 0]] * 5, dtype=bool)
    (pair,) = strongest_pairs(count_labels(labels, CLASSES[:3]))
    assert (pair.names, pair.together, pair.shares) == (("a", "b"), 3, (1.0, 0.3))


def test_classes_that_are_never_alone() -> None:
    labels = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0]], dtype=bool)
    assert never_alone(count_labels(labels, CLASSES[:4])) == [("a", ["b"]), ("c", ["a", "b"])]


def test_mask_counts_against_loops(rng: np.random.Generator) -> None:
    maps = {f"i{n}": rng.choice([0, 1, 2, 4, 255], (4, 6)).astype(np.uint8) for n in range(12)}
    maps["i0"][:] = 0
    facts = {
        id: MaskFacts(map.shape, tuple((int(v), int((map == v).sum())) for v in np.unique(map)))
        for id, map in maps.items()
    }
    labels = {id: rng.random(K) < 0.5 for id in maps}
    report = count_masks(facts, labels, CLASSES)
    everything = np.stack(list(maps.values()))
    for name, value in zip(
        ("background", *CLASSES, "ignore"), (0, 1, 2, 3, 4, 5, 255), strict=True
    ):
        assert report.pixels[name] == pytest.approx((everything == value).mean())
    only_mask = {d.name: (d.images, d.ids) for d in report.only_mask}
    only_label = {d.name: (d.images, d.ids) for d in report.only_label}
    for k, name in enumerate(CLASSES):
        shown = [id for id, map in maps.items() if (map == k + 1).any()]
        told = [id for id in maps if labels[id][k]]
        assert report.images[name] == len(shown)
        surplus = [id for id in shown if id not in told]
        absent = [id for id in told if id not in shown]
        assert only_mask.get(name, (0, ())) == (len(surplus), tuple(surplus[:10]))
        assert only_label.get(name, (0, ())) == (len(absent), tuple(absent[:10]))


def test_overlaps_and_duplicates() -> None:
    lists = {"train": ["a", "b"], "aug": ["c", "b", "a"], "val": ["d", "c"], "test": ["e"]}
    report = {overlap.splits: overlap for overlap in find_overlaps(lists)}
    assert set(report) == {("train", "aug"), ("aug", "val")}
    assert report["train", "aug"].inside == "train" and report["train", "aug"].images == 2
    assert report["aug", "val"].inside == "" and report["aug", "val"].ids == ("c",)
    digests = {"a": b"1", "b": b"1", "c": b"2", "d": b"3", "e": b"2"}
    images = {id: ImageFacts((1, 1), "RGB", False, 1, digest) for id, digest in digests.items()}
    users = {id: tuple(s for s, ids in lists.items() if id in ids) for id in digests}
    same, leak = find_duplicates(images, users)
    assert same.ids == ("a", "b") and not same.across
    assert leak.ids == ("c", "e") and leak.across and leak.splits == (("aug", "val"), ("test",))


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """12 images of 24 x 30 pixels: t0..t7 in train, v0..v3 in val; masks of val and of t0..t3."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    lines = ["id,labels,split"]
    for i in range(12):
        id, split = (f"t{i}", "train") if i < 8 else (f"v{i - 8}", "val")
        image = rng.integers(0, 256, (24, 30, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / "images" / f"{id}.jpg")
        lines.append(f"{id},{CLASSES[i % 3]};{CLASSES[3]},{split}")
        if i < 4 or i >= 8:
            mask = np.zeros((24, 30), np.uint8)
            mask[3:9, 2:10], mask[12:18], mask[0] = 1 + i % 3, 4, 255
            write_label(tmp_path / "masks" / f"{id}.png", mask)
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "evaluate.txt").write_text("t0\nt1\nt2\n")
    return tmp_path


def look(
    folder: Path, scored: tuple[str, ...] = ("evaluate", "val"), workers: int = 2
) -> DatasetReport:
    dataset = FolderDataset(
        root=str(folder),
        images="images",
        labels="labels.csv",
        masks="masks",
        classes=CLASSES,
        splits={"evaluate": "evaluate.txt"},
    )
    return full_check(dataset, ["evaluate", "val"], scored=scored, workers=workers)


def only(report: DatasetReport) -> Problem:
    assert len(report.problems) == 1, report.problems
    return report.problems[0]


def test_a_good_data_set(folder: Path) -> None:
    report = look(folder)
    assert not report.problems and not report.stops
    assert (report.images, report.masks) == (7, 7)
    evaluate, val = report.splits
    assert (evaluate.name, evaluate.images, val.images) == ("evaluate", 3, 4)
    assert evaluate.sizes is not None and evaluate.sizes.height == (24, 24, 24)
    assert evaluate.sizes.width == (30, 30, 30) and evaluate.sizes.modes == {"RGB": 3}
    assert val.masks is not None and val.masks.masks == 4
    assert val.masks.pixels["ignore"] == pytest.approx(1 / 24)
    assert val.masks.only_mask == () and val.masks.only_label == ()
    assert evaluate.labels is not None and evaluate.labels.images["d"] == 3
    assert json.loads(json.dumps(asdict(report)))["splits"][0]["labels"]["alone"]["a"] == 0
    assert look(folder, workers=1) == report
    with pytest.raises(LeakError):  # the check leaves the masks closed behind it
        dataset = FolderDataset(root=str(folder), images="images", labels="labels.csv",
                                masks="masks", classes=CLASSES)  # fmt: skip
        truth.read_mask(dataset, "v0", "val")


def test_damaged_and_missing_images(folder: Path) -> None:
    whole = (folder / "images" / "t1.jpg").read_bytes()
    (folder / "images" / "t1.jpg").write_bytes(whole[:-40])
    (folder / "images" / "v0.jpg").write_bytes(b"")
    (folder / "images" / "v1.jpg").unlink()
    report = look(folder)
    problems = {problem.id: problem for problem in report.problems}
    assert set(problems) == {"t1", "v0", "v1"} and report.stops
    assert "lacks the end of a JPEG" in problems["t1"].text and problems["t1"].file.endswith(
        "t1.jpg"
    )
    assert problems["t1"].splits == ("evaluate",) and problems["t1"].kind == "image"
    assert "damaged" in problems["v0"].text and "has no image" in problems["v1"].text
    assert report.splits[0].sizes is not None and report.splits[0].sizes.modes == {"RGB": 2}


def checked_masks(folder: Path, split: str = "val") -> list[str]:
    dataset = FolderDataset(root=str(folder), images="images", labels="labels.csv", masks="masks",
                            classes=CLASSES)  # fmt: skip
    with truth.allow_masks("test"):
        return check_masks(dataset, split, 1)


def redraw(folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    for path in (folder / "masks").iterdir():
        write_label(path, change(read_label(path)).astype(np.uint8))


def test_masks_that_are_drawn_in_white(folder: Path) -> None:
    assert checked_masks(folder) == []
    redraw(folder, lambda mask: np.where(mask == 0, 0, 255))
    first, second = look(folder).problems
    assert (first.kind, first.check, first.stops) == ("mask", "mask classes", True)
    assert (first.splits, second.splits) == (("evaluate",), ("val",))
    for problem, name in ((first, "t0"), (second, "v0")):
        assert "no class 1..K at all, only 0 (background) and 255" in problem.text
        assert f"masks/{name}.png: were they drawn as 0/255 instead of 0/1?" in problem.text
    assert checked_masks(folder) == [second.text]
    minor = look(folder, scored=())
    assert not minor.stops and len(minor.problems) == 2


def test_masks_of_background_only_stop_nothing(folder: Path) -> None:
    redraw(folder, lambda mask: mask * 0)
    report = look(folder)
    assert not report.stops and len(report.problems) == 2
    assert "background (0) only" in report.problems[0].text
    assert checked_masks(folder) == []


@pytest.mark.parametrize("shift", [-1, 1])
def test_masks_whose_classes_are_shifted_against_the_labels(folder: Path, shift: int) -> None:
    redraw(folder, lambda m: np.where((m > 0) & (m < 255), m.astype(int) + shift, m))
    report = look(folder)
    assert report.stops
    for problem in report.problems:
        assert (
            f"if their class indices are {'raised' if shift > 0 else 'lowered'} by 1"
            in problem.text
        )
    assert [p.splits for p in report.problems] == [("evaluate",), ("val",)]
    (said,) = checked_masks(folder)
    assert said.startswith("split 'val': the image-level labels agree with")


def test_labels_that_miss_classes_stop_nothing(folder: Path) -> None:
    """E.g. labels of one class per image, of whatever quality."""
    text = (folder / "labels.csv").read_text().replace(f";{CLASSES[3]}", "")
    (folder / "labels.csv").write_text(text)
    assert not look(folder).problems and checked_masks(folder) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda p: p.unlink(), "does not exist"),
        (lambda p: p.write_bytes(p.read_bytes()[:60]), "cannot be read"),
        (
            lambda p: write_label(p, np.zeros((30, 24), np.uint8)),
            "24 x 30, but its image is 30 x 24",
        ),
        (lambda p: write_label(p, np.full((24, 30), 6, np.uint8)), "has the label 6"),
        (lambda p: Image.new("RGB", (30, 24)).save(p), "colour image"),
        (lambda p: Image.new("L", (30, 24)).save(p, format="JPEG"), "JPEG"),
    ],
    ids=["missing", "truncated", "size", "class", "rgb", "jpeg"],
)
def test_every_kind_of_bad_mask(folder: Path, damage, said: str) -> None:
    damage(folder / "masks" / "v2.png")
    report = look(folder)
    problem = only(report)
    assert said in problem.text and problem.file == str(folder / "masks" / "v2.png")
    assert (problem.kind, problem.id, problem.splits, problem.stops) == (
        "mask",
        "v2",
        ("val",),
        True,
    )
    assert not look(folder, scored=("evaluate",)).stops
    assert report.splits[1].masks is not None
    assert report.splits[1].masks.masks == (4 if said.startswith("24") else 3)


def test_labels_against_masks(folder: Path) -> None:
    text = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(text.replace("v1,a;d", "v1,e;d").replace("t0,a;d", "t0,d"))
    report = look(folder)
    assert not report.problems
    evaluate, val = (split.masks for split in report.splits)
    assert evaluate is not None and val is not None
    assert [(d.name, d.images, d.ids) for d in evaluate.only_mask] == [("a", 1, ("t0",))]
    assert [(d.name, d.ids) for d in val.only_label] == [("e", ("v1",))]


def test_images_without_class_and_splits_without_labels(folder: Path) -> None:
    text = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(text.replace("t2,c;d", "t2,"))
    problem = only(look(folder))
    assert (problem.kind, problem.id, problem.stops) == ("labels", "t2", True)
    (folder / "labels.csv").write_text(text)
    (folder / "images" / "x.jpg").write_bytes((folder / "images" / "t5.jpg").read_bytes())
    (folder / "x.txt").write_text("x\n")
    dataset = FolderDataset(
        root=str(folder), images="images", labels="labels.csv", splits={"test": "x.txt"}
    )
    problem = only(full_check(dataset, ["test"]))
    assert problem.kind == "split" and "have no labels" in problem.text and problem.stops
    report = full_check(dataset, ["test", "train"], unlabelled=["test"])
    assert not report.problems and report.splits[0].labels is None
    (duplicate,) = report.duplicates
    assert set(duplicate.ids) == {"x", "t5"} and duplicate.across
    problem = only(full_check(dataset, ["trian"]))
    assert "did you mean train" in problem.text


def test_a_folder_of_masks_that_is_not_there(voc_root: Path) -> None:
    lines = ["id,labels", *(f"2007_00000{i},person" for i in (1, 2, 3))]
    (voc_root / "labels.csv").write_text("\n".join(lines))
    dataset = VOC2012(root=str(voc_root), masks="Gone")
    problem = only(full_check(dataset, ["train"], scored=["train"]))
    assert (problem.kind, problem.stops) == ("split", True)
    assert "no folder of ground-truth masks" in problem.text
    assert not full_check(dataset, ["train"]).stops


def test_odd_images(folder: Path) -> None:
    images = folder / "images"
    grey = Image.new("L", (30, 24), 7)
    grey.save(images / "v0.jpg")
    grey.convert("CMYK").save(images / "v1.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (24, 30)).save(images / "v2.jpg", exif=exif)
    report = look(folder)
    sizes = report.splits[1].sizes
    assert sizes is not None
    assert sizes.modes == {"RGB": 2, "L": 1, "CMYK": 1} and sizes.rotated == 1
    assert sizes.height == (24, 24, 30) and sizes.width == (24, 30, 30)
    assert "EXIF says rotated" in only(report).text


def test_a_truncated_png(folder: Path) -> None:
    path = folder / "images" / "t0.jpg"
    noise = np.random.default_rng(1).integers(0, 256, (24, 30, 4), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "images" / "t0.png")
    path.unlink()
    assert not look(folder).problems
    path = path.with_suffix(".png")
    path.write_bytes(path.read_bytes()[:900])
    assert only(look(folder)).id == "t0"


def test_real_photos(minivoc: Path, tmp_path: Path) -> None:
    lists = {split: (minivoc / f"ImageSets/Segmentation/{split}.txt").read_text().split()
             for split in ("train", "val")}  # fmt: skip
    masks = {id: np.array(Image.open(minivoc / "SegmentationClass" / f"{id}.png"))
             for ids in lists.values() for id in ids}  # fmt: skip
    rows = [f"{id},{';'.join(str(v) for v in np.unique(m) if v not in (0, 255))}"
            for id, m in masks.items()]  # fmt: skip
    (tmp_path / "labels.csv").write_text("\n".join(["id,labels", *rows]))
    dataset = VOC2012(root=str(minivoc), labels=str(tmp_path / "labels.csv"))
    report = full_check(dataset, ["train", "val"], scored=["train", "val"], workers=2)
    assert not report.problems and report.images == report.masks == len(masks)
    for split in report.splits:
        assert split.masks is not None and split.labels is not None
        assert split.masks.images == split.labels.images
        total = sum(masks[id].size for id in lists[split.name])
        cats = sum(int((masks[id] == 8).sum()) for id in lists[split.name])
        assert split.masks.pixels["cat"] == pytest.approx(cats / total)
        assert sum(split.masks.pixels.values()) == pytest.approx(1)
