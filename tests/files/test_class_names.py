"""Class lists: which names are of foreground classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsssbench.datasets.coco.classes import COCO_CLASSES
from wsssbench.datasets.voc.dataset import VOC_CLASSES
from wsssbench.errors import UserError
from wsssbench.files.class_names import checked_classes, read_classes

NO_CLASS = (
    *(
        "background",
        "Background",
        "BG",
        "_background_",
        "__background__",
        "<background>",
        "back-ground",
        "[BG]",
    ),
    *(
        "0 background",
        "0: background",
        "background:0,0,0::",
        "background (0)",
        "unlabeled",
        "Unlabelled",
        "void",
    ),
    *(
        "VOID",
        "__ignore__",
        "ignore",
        "ignore_index",
        "Ignored",
        "don't care",
        "DontCare",
        "255",
        "0",
        "-1",
    ),
    *("255 void", "none", "背景", "Arri\u00e8re-plan", "Arrie\u0300re-plan"),
)
# Names that hold or resemble one of those, and are classes.
SOUND = (
    *(
        "cat",
        "background noise",
        "avoid",
        "ground",
        "bgr",
        "bg7",
        "backpack",
        "other",
        "unknown",
        "ignorer",
    ),
    *("vase", "no parking", "void fraction", "7 up", "number 255", "object", "label", "region"),
)


@pytest.mark.parametrize("name", NO_CLASS)
def test_the_background_and_what_is_ignored_are_no_classes(name: str) -> None:
    for names in ([name, "cat", "dog"], ["cat", "dog", name]):
        with pytest.raises(ValueError, match="has to list the foreground classes only"):
            checked_classes(names)


def test_sound_names_stay() -> None:
    assert checked_classes(SOUND) == SOUND
    assert checked_classes(VOC_CLASSES) == VOC_CLASSES
    assert checked_classes(COCO_CLASSES) == COCO_CLASSES


def test_numbered_lists_are_told_and_names_with_numbers_are_not(tmp_path: Path) -> None:
    for first in (0, 1):
        (tmp_path / "x.txt").write_text(f"{first} cat\n{first + 1} dog\n{first + 2}: cow\n")
        with pytest.raises(UserError, match=r"x\.txt.*leave out the numbers"):
            read_classes(tmp_path / "x.txt")
    for names in (
        ("1 cent", "2 cents", "5 cents"),
        ("2 wheels", "3 wheels"),
        ("1 up",),
        ("1up", "2up"),
    ):
        assert checked_classes(names) == names
