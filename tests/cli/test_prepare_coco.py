"""``wsssbench data prepare coco`` as a user gives it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from in_process import call, refused
from mini_coco import HEIGHT, WIDTH, MiniCoco, mini_coco, name_of

from wsssbench.datasets.coco.dataset import COCO2014
from wsssbench.files.images import read_label


@pytest.fixture
def coco(tmp_path: Path) -> MiniCoco:
    mini_coco(tmp_path / "coco", "val")
    return mini_coco(tmp_path / "coco")


def arguments(coco: MiniCoco, masks: str, *more: object) -> tuple[object, ...]:
    return ("data", "prepare", "coco", "--coco", coco.root, "--masks", masks, "--workers", 1, *more)


def test_instances_and_how_to_go_on(coco: MiniCoco) -> None:
    outcome = call(*arguments(coco, "instances"))
    assert outcome.code == 0, outcome
    assert "train: 3 images, 2 with objects" in outcome.out
    assert "the official file has 82,783 images, 82,081 with objects" in outcome.out
    assert f"--set data.root={coco.root} --set data.masks=instances" in outcome.out
    folder = coco.root / "masks" / "instances"
    assert sorted(p.name for p in folder.iterdir()) == ["masks.json", "train2014", "val2014"]
    assert len(list((folder / "val2014").iterdir())) == 3
    record = json.loads((folder / "masks.json").read_text())
    assert record["finished"] == {"train": 3, "val": 3}
    assert COCO2014(root=str(coco.root), masks="instances").ids("val")[0] == name_of(9, "val")


def test_it_continues_and_keeps_what_is_whole(coco: MiniCoco) -> None:
    call(*arguments(coco, "instances"))
    folder = coco.root / "masks/instances/train2014"
    kept, cut, gone = (folder / f"{name_of(n)}.png" for n in (9, 25, 30))
    expected = {path: path.read_bytes() for path in (cut, gone)}
    kept_at = kept.stat().st_mtime_ns
    cut.write_bytes(expected[cut][:40])
    gone.unlink()
    (folder / f".{gone.name}.1-2.partial").touch()
    outcome = call(*arguments(coco, "instances", "--split", "train"))
    assert "masks of train: 1 of 3 images are done already" in outcome.out
    assert {path: path.read_bytes() for path in expected} == expected
    assert kept.stat().st_mtime_ns == kept_at
    assert len(list(folder.iterdir())) == 3
    record = json.loads((folder.parent / "masks.json").read_text())
    assert record["finished"] == {"train": 3, "val": 3}


def test_another_rule_needs_another_folder(coco: MiniCoco, tmp_path: Path) -> None:
    call(*arguments(coco, "instances", "--split", "train"))
    sentence = refused(*arguments(coco, "instances", "--overlap", "last"))
    assert "masks made by another rule (instances, smaller on top, crowds below)" in sentence
    out = tmp_path / "out"
    outcome = call(*arguments(coco, "instances", "--overlap", "last", "--out", out))
    assert f"--set data.prepared={out}" in outcome.out
    dataset = COCO2014(root=str(coco.root), masks="instances", prepared=str(out))
    assert dataset.card()["masks"] == "instances, later in the file on top, crowds below"
    path = dataset.mask_path(name_of(9), "train")
    assert path is not None and path.is_relative_to(out) and path.is_file()
    assert out / "masks" in dataset.mask_directories()


def test_stuff(coco: MiniCoco) -> None:
    sentence = refused(*arguments(coco, "stuff"))
    assert "stuffthingmaps: no such folder; unpack stuffthingmaps_trainval2017.zip" in sentence
    values = np.full((HEIGHT, WIDTH), 140)
    values[4:8, 4:8], values[0] = 17, 255
    for number in (9, 25, 30):
        coco.stuff_map(number, values, "train2017" if number == 9 else "val2017")
    outcome = call(*arguments(coco, "stuff", "--stuff", coco.root / "stuffthingmaps"))
    assert outcome.code == 0, outcome
    label = read_label(coco.root / "masks/stuff/train2014" / f"{name_of(9)}.png")
    assert np.unique(label).tolist() == [0, 17, 255] and (label == 17).sum() == 16
    dataset = COCO2014(root=str(coco.root))
    assert dataset.has_masks("val") and dataset.card()["masks"] == "COCO-Stuff"


@pytest.mark.usefixtures("warm_workers")
def test_the_same_with_worker_processes(coco: MiniCoco, tmp_path: Path) -> None:
    for number in range(100, 170):
        coco.image(number)
        coco.object(number, 1 + number % 11, [[2, 3, 20, 4, number % 20, 22]])
    coco.write()
    for workers in (1, 2):
        more = ("--split", "train", "--out", tmp_path / str(workers), "--workers", workers)
        assert call(*arguments(coco, "instances", *more)).code == 0
    one, two = (
        {p.name: p.read_bytes() for p in (tmp_path / w / "masks/instances/train2014").iterdir()}
        for w in ("1", "2")
    )
    assert len(one) == 73 and one == two


def test_an_image_file_that_is_missing_is_a_warning(coco: MiniCoco) -> None:
    (coco.root / "train2014" / f"{name_of(9)}.jpg").unlink()
    outcome = call(*arguments(coco, "none", "--split", "train"))
    assert outcome.code == 0
    assert f"1 of 3 image files are not in {coco.root / 'train2014'}, e.g." in outcome.out
    assert not (coco.root / "masks").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--masks", "stuf"), "--masks: unknown kind of masks 'stuf': did you mean stuff?"),
        (("--overlap", "largest"), "--overlap: unknown rule 'largest'"),
        (("--split", "train,test"), "--split: unknown split 'test'"),
        (("--stuff", "x"), "--stuff x was given, but --masks instances does not read it"),
    ],
)
def test_options_are_checked(coco: MiniCoco, more: tuple[str, str], sentence: str) -> None:
    assert sentence in refused(*arguments(coco, "instances", *more))


def test_folders_and_files_are_checked(coco: MiniCoco, tmp_path: Path) -> None:
    gone = MiniCoco(tmp_path / "gone")
    assert "no such folder" in refused(*arguments(gone, "none"))
    coco.file.write_text(coco.file.read_text()[:-300])
    assert "no whole JSON file" in refused(*arguments(coco, "none"))
    coco.file.unlink()
    assert "instances_train2014.json does not exist" in refused(*arguments(coco, "none"))
