from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wsssbench.datasets.voc.dataset import VOC2012, VOC_CLASSES
from wsssbench.errors import LeakError, UserError
from wsssbench.files import ground_truth as truth
from wsssbench.files import image_labels as labels
from wsssbench.files.images import write_label
from wsssbench.files.npy import save_array_dict

CLASSES = ("cat", "dog", "traffic light")


def csv_file(tmp_path: Path, *lines: str) -> Path:
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "labels.csv"


def xml(*objects: str) -> str:
    return f"<annotation><filename>x.jpg</filename>{''.join(objects)}</annotation>"


def an_object(name: str, difficult: int = 0, inside: str = "") -> str:
    return f"<object><name>{name}</name><difficult>{difficult}</difficult>{inside}</object>"


def test_csv_of_names_and_values(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        "\ufeffid, labels",
        "a,cat dog",
        "",
        "b,traffic light",
        "c,traffic light;cat",
        "d,1 3",
        "e,3;dog;",
        "f,",
    )
    read = {id: row.tolist() for id, row in labels.read_labels_csv(path, CLASSES).items()}
    assert read == {
        "a": [1, 1, 0],
        "b": [0, 0, 1],
        "c": [1, 0, 1],
        "d": [1, 0, 1],
        "e": [0, 1, 1],
        "f": [0, 0, 0],
    }


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["a,cat"], "starts with 'a,cat', but the first line has to be 'id,labels'"),
        (["id;labels", "a;cat"], "has to be 'id,labels'"),
        (["id,labels", "a,cat,dog"], "line 2 .* 3 columns"),
        (["id,labels", "a"], "line 2 .* 1 columns"),
        (["id,labels", "", "a,catt"], r"line 3 .*unknown class 'catt': did you mean cat\?"),
        (["id,labels", "a,0"], r"label 0, but classes are 1\.\.3"),
        (["id,labels", "a,4"], r"label 4, but classes are 1\.\.3"),
        (["id,labels", "a,cat", "a,dog"], "line 3 .*'a' a second time"),
        (["id,labels", 'a,"cat'], "cannot be read as CSV"),
    ],
)
def test_csv_mistakes_get_a_sentence(tmp_path: Path, lines: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        labels.read_labels_csv(csv_file(tmp_path, *lines), CLASSES)


def test_missing_and_empty_csv(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        labels.read_labels_csv(tmp_path / "gone.csv", CLASSES)
    with pytest.raises(UserError, match="has to be 'id,labels'"):
        labels.read_labels_csv(csv_file(tmp_path), CLASSES)


def test_csv_round_trip(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = (*CLASSES, "a,b", '"quoted"')
    given = {f"id{i}": rng.integers(0, 2, 5).astype(np.float32) for i in range(20)}
    labels.write_labels_csv(tmp_path / "x.csv", given, names)
    read = labels.read_labels_csv(tmp_path / "x.csv", names)
    assert list(read) == list(given)
    assert all(np.array_equal(read[id], given[id]) for id in given)


def test_npy_labels_and_their_integer_ids(tmp_path: Path) -> None:
    vector = np.array([1, 0, 1], np.float32)
    save_array_dict(tmp_path / "x.npy", {"a": vector, 2007000032: vector})
    read = labels.labels_from_npy(tmp_path / "x.npy", CLASSES)
    assert list(read) == ["a", "2007_000032"] and read["a"].tolist() == [1, 0, 1]
    with pytest.raises(UserError, match=r"shape \(3,\) for 'a', but there are 2 classes"):
        labels.labels_from_npy(tmp_path / "x.npy", CLASSES[:2])
    save_array_dict(tmp_path / "x.npy", {"a": vector / 2})
    with pytest.raises(UserError, match="0 and 1 for 'a'"):
        labels.labels_from_npy(tmp_path / "x.npy", CLASSES)


def test_xml_objects_but_not_their_parts(tmp_path: Path) -> None:
    part = "<part><name>head</name></part>"
    (tmp_path / "a.xml").write_text(xml(an_object("cat"), an_object("dog", 1, part)))
    (tmp_path / "b.xml").write_text(xml(an_object(" traffic light\n")))
    read = labels.labels_from_xml(tmp_path, ["a", "b"], CLASSES)
    assert [read[id].tolist() for id in ("a", "b")] == [[1, 1, 0], [0, 0, 1]]
    strict = labels.labels_from_xml(tmp_path, ["a"], CLASSES, difficult=False)
    assert strict["a"].tolist() == [1, 0, 0]


def test_xml_mistakes_get_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(xml(an_object("dgo")))
    with pytest.raises(UserError, match=r"a\.xml: unknown class 'dgo': did you mean dog"):
        labels.labels_from_xml(tmp_path, ["a"], CLASSES)
    (tmp_path / "a.xml").write_text("<annotation>")
    with pytest.raises(UserError, match=r"a\.xml cannot be read as XML"):
        labels.labels_from_xml(tmp_path, ["a"], CLASSES)
    with pytest.raises(UserError, match=r"2 of 3 ids have no XML file .*'b', 'c'"):
        labels.labels_from_xml(tmp_path, ["a", "b", "c"], CLASSES)


def test_labels_from_masks_are_made_on_request_only(voc_root: Path) -> None:
    dataset = VOC2012(root=str(voc_root))
    with pytest.raises(LeakError):
        labels.labels_from_masks(dataset, "train")
    with truth.allow_masks("data labels"):
        made = labels.labels_from_masks(dataset, "train")
    assert {id: (np.flatnonzero(row) + 1).tolist() for id, row in made.items()} == {
        "2007_000001": [1, 15],
        "2007_000002": [2, 15],
        "2007_000003": [3, 15],
    }
    labels.write_labels_csv(voc_root / "labels.csv", made, VOC_CLASSES)
    assert np.array_equal(dataset.labels("train"), np.stack(list(made.values())))


def test_masks_with_unknown_labels_are_refused(voc_root: Path) -> None:
    path = voc_root / "SegmentationClass" / "2007_000002.png"
    write_label(path, np.full((20, 30), 21, np.uint8))
    with (
        truth.allow_masks("data labels"),
        pytest.raises(UserError, match=r"2007_000002\.png has the label 21, but there are 20"),
    ):
        labels.labels_from_masks(VOC2012(root=str(voc_root)), "train")


def test_stack_names_ids_without_labels() -> None:
    given = {"a": np.array([1, 0]), "b": np.array([0, 1])}
    assert labels.stack(given, ["b", "a"], "x").tolist() == [[0, 1], [1, 0]]
    with pytest.raises(UserError, match=r"2 of 3 ids have no labels in x\.csv: 'c', 'd'"):
        labels.stack(given, ["c", "a", "d"], "x.csv")
