from __future__ import annotations

from pathlib import Path

import pytest

from wsssbench.errors import UserError
from wsssbench.files.image_lists import ListEntry, first_few, read_id_list, read_list, read_names


def listed(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "list.txt"
    path.write_bytes(text.encode())
    return path


def test_plain_ids_keep_their_order(tmp_path: Path) -> None:
    path = listed(tmp_path, "\ufeff# comment\r\nb\r\n\r\n  a \r\nCOCO_train2014_000000000009\r\n")
    assert read_id_list(path) == ["b", "a", "COCO_train2014_000000000009"]


def test_affinitynet_lines(tmp_path: Path) -> None:
    text = "/JPEGImages/2007_000032.jpg /SegmentationClassAug/2007_000032.png\nimages/my.cat.PNG\n"
    assert read_list(listed(tmp_path, text)) == [
        ListEntry(
            "2007_000032", "JPEGImages/2007_000032.jpg", "SegmentationClassAug/2007_000032.png"
        ),
        ListEntry("my.cat", "images/my.cat.PNG"),
    ]


def test_file_names_without_folder_are_ids(tmp_path: Path) -> None:
    assert read_list(listed(tmp_path, "a.jpg\nb.c\n")) == [ListEntry("a"), ListEntry("b.c")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("# nothing\n\n", "is empty"),
        ("a\nb\n a\n", "'a' twice, in lines 1 and 3"),
        ("a -1\n", "line 1 .*ImageSets/Main"),
        ("a b c\n", "line 1 .* 3 words"),
        ("a\n/\n", "line 2 .* names no image"),
    ],
)
def test_mistakes_get_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_list(listed(tmp_path, text))


def test_missing_and_binary_lists(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_list(tmp_path / "gone.txt")
    (tmp_path / "x.txt").write_bytes(b"\xff\xfe\x00\xd8\x00")
    with pytest.raises(UserError, match="cannot be read as text"):
        read_list(tmp_path / "x.txt")
    with pytest.raises(UserError, match="cannot be read as text"):
        read_list(tmp_path)


def test_the_lists_of_the_literature(voc12_lists: Path) -> None:
    counts = {s: len(read_list(voc12_lists / f"{s}.txt")) for s in ("train", "train_aug", "val")}
    assert counts == {"train": 1464, "train_aug": 10582, "val": 1449}
    test = read_list(voc12_lists / "test.txt")
    assert len(test) == 1456 and all(e.mask is None and e.image for e in test)


def test_the_first_few_of_many_names() -> None:
    assert first_few(["a"]) == "'a'"
    assert first_few([str(i) for i in range(100)]) == "'0', '1', '2' and 97 more"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_lists_that_windows_wrote(tmp_path: Path, encoding: str) -> None:
    text = "JPEGImages\\ü.jpg SegmentationClass\\ü.png\r\nb\r\n"
    (tmp_path / "x.txt").write_bytes(text.encode(encoding))
    assert read_list(tmp_path / "x.txt") == [
        ListEntry("ü", "JPEGImages/ü.jpg", "SegmentationClass/ü.png"),
        ListEntry("b"),
    ]
    (tmp_path / "x.txt").write_bytes("a\nb\n".encode("utf-16-le"))  # without a mark
    with pytest.raises(UserError, match="holds zeros, as UTF-16 does: save it as UTF-8"):
        read_list(tmp_path / "x.txt")


def test_a_line_that_is_an_image_as_a_whole_is_its_id(tmp_path: Path) -> None:
    path = listed(tmp_path, "#1 front\n# no comment\n#2\n a, b \na\n#2 old\n")
    there = {"#1 front", "#2", "a, b"}
    assert read_id_list(path, known=there.__contains__) == ["#1 front", "#2", "a, b", "a"]
    assert read_names(path, known=there.__contains__) == ["#1 front", "#2", "a, b", "a"]
    assert read_names(path) == ["a, b", "a"]
