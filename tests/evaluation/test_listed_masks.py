"""Which masks are scored: ids of every form, each image once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wsssbench.errors import UserError
from wsssbench.evaluation.listed_masks import listed_masks
from wsssbench.evaluation.score_folder import evaluate
from wsssbench.files.images import write_label

IDS = ["#1", "IMG 7.b", "cats/0001", "cats/night/2 (1)", "dogs/0001", "photo (2)", "x,y"]


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Masks of `IDS`, every one of another class, and what else lies about."""
    for i, id in enumerate(IDS):
        path = tmp_path / "gt" / f"{id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_label(path, np.array([[0, i + 1]], np.uint8))
    (tmp_path / "gt" / ".ipynb_checkpoints").mkdir()
    for name in (".ipynb_checkpoints/0001-checkpoint.png", "._x,y.png", "notes.txt"):
        (tmp_path / "gt" / name).write_bytes(b"")
    return tmp_path / "gt"


def test_every_mask_of_a_folder(masks: Path) -> None:
    assert listed_masks(None, masks) == {id: masks / f"{id}.png" for id in IDS}


FORMS = {
    "ids": lambda id: id,
    "file names": lambda id: f"{id}.jpg",
    "mask names": lambda id: f"  {id}.png ",
    "names of results": lambda id: id.replace("/", "__"),
    "Windows": lambda id: id.replace("/", "\\"),
}


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_list_of_ids_as_they_are(masks: Path, form: str, ending: str) -> None:
    path = masks.parent / "list.txt"
    lines = ["# a comment", *map(FORMS[form], IDS[::-1]), ""]
    path.write_bytes(ending.join(lines).encode())
    assert list(listed_masks(path, masks)) == IDS[::-1]
    assert list(listed_masks([FORMS[form](id).strip() for id in IDS], masks)) == IDS


def test_the_lists_of_the_field(masks: Path) -> None:
    write_label(masks / "2007_000032.png", np.zeros((1, 2), np.uint8))
    path = masks.parent / "list.txt"
    for line in (
        "2007_000032",
        "/JPEGImages/2007_000032.jpg /SegmentationClassAug/2007_000032.png",
    ):
        path.write_text(line)
        assert list(listed_masks(path, masks)) == ["2007_000032"]


def test_what_cannot_be_scored_is_named(masks: Path) -> None:
    path = masks.parent / "list.txt"
    for twice in (["cats/0001", "x,y", "cats/0001"], ["cats/0001.png", "cats__0001"]):
        path.write_text("\n".join(twice))
        for ids in (twice, path):
            with pytest.raises(UserError, match=r"'cats/0001' twice"):
                listed_masks(ids, masks)
    path.write_text("photo (2)\nphoto (3)\n")
    with pytest.raises(
        UserError, match=r"no mask for 1 images of the list, the first is photo \(3\)"
    ):
        listed_masks(path, masks)
    with pytest.raises(UserError, match=r"the first is \.\./gt/x,y"):
        listed_masks(["../gt/x,y"], masks)
    with pytest.raises(UserError, match="ids is empty"):
        listed_masks([], masks)
    (masks.parent / "none").mkdir()
    with pytest.raises(UserError, match=r"has no \.png file"):
        listed_masks(None, masks.parent / "none")


@pytest.mark.parametrize("joint", ["/", "__"])
def test_predictions_lie_as_the_masks_or_flat(masks: Path, joint: str) -> None:
    pred = masks.parent / "pred"
    for i, id in enumerate(IDS):
        path = pred / f"{id.replace('/', joint)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_label(path, np.array([[0, i + 1]], np.uint8))
    found = evaluate(pred, masks)
    assert (found["images"], found["miou"], len(found["iou"])) == (7, 100, 8)
    path.unlink()
    with pytest.raises(UserError, match=r"no prediction for 1 images.*x,y\.png"):
        evaluate(pred, masks)
