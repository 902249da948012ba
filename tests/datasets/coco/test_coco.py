"""MS-COCO's instance files, the index made of them, and the data set on top."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mini_coco import MiniCoco, mini_coco, name_of

from wsssbench.datasets.check import check_dataset
from wsssbench.datasets.coco.annotations import CocoImage, read_instances
from wsssbench.datasets.coco.dataset import COCO2014
from wsssbench.datasets.coco.index import index_path, read_index, write_index
from wsssbench.datasets.coco.prepare import CocoPreparation
from wsssbench.errors import UserError
from wsssbench.files.ground_truth import allow_masks, read_mask
from wsssbench.interfaces import RunContext
from wsssbench.plugins import load
from wsssbench.progress import Silent

NINE, EMPTY, THIRTY = (name_of(number) for number in (9, 25, 30))


def prepare(root: Path, masks: str = "instances", splits: tuple[str, ...] = ("train",)) -> None:
    preparation = CocoPreparation(root, root, masks, root / "stuffthingmaps")
    preparation.run(splits, RunContext(root, "cpu", 1, 0, Silent()))


@pytest.fixture
def coco(tmp_path: Path) -> MiniCoco:
    return mini_coco(tmp_path / "coco")


@pytest.fixture
def prepared(coco: MiniCoco) -> Path:
    mini_coco(coco.root, "val")
    prepare(coco.root, splits=("train", "val"))
    return coco.root


@pytest.mark.parametrize("how", [{}, {"indent": 1}, {"separators": (",", ":")}], ids=str)
def test_the_instance_file_is_read_whatever_its_spaces(coco: MiniCoco, how: dict) -> None:
    coco.write(**how)
    images = read_instances(coco.file, "train")
    assert [image.id for image in images] == [NINE, EMPTY, THIRTY]
    assert [image.size for image in images] == [(24, 32)] * 3
    assert [image.values for image in images] == [(1, 17), (), (1, 80)]
    raw = coco.file.read_bytes()
    numbers = [[json.loads(raw[a:b])["id"] for a, b in image.spans] for image in images]
    assert numbers == [[900, 902], [], [901, 903]]


def test_annotations_may_come_before_images_and_arrays_be_empty(coco: MiniCoco) -> None:
    content = dict(reversed(list(coco.content().items())))
    coco.file.write_bytes(b"\xef\xbb\xbf \n" + json.dumps(content).encode())
    assert [len(image.spans) for image in read_instances(coco.file, "train")] == [2, 0, 2]
    coco.file.write_text(json.dumps(content | {"annotations": []}))
    assert not any(image.values for image in read_instances(coco.file, "train"))


def test_every_cut_of_the_file_is_one_sentence(coco: MiniCoco) -> None:
    whole = coco.file.read_bytes()
    for length in [1, 2, 9, *range(20, len(whole) - 1, 37), len(whole) - 1]:
        coco.file.write_bytes(whole[:length])
        with pytest.raises(
            UserError, match=r"no whole JSON file: .* at byte \d+; was its download"
        ):
            read_instances(coco.file, "train")
    coco.file.write_bytes(b"")
    with pytest.raises(UserError, match="is empty"):
        read_instances(coco.file, "train")
    coco.file.unlink()
    with pytest.raises(UserError, match=r"unpack MS-COCO's annotations_trainval2014\.zip"):
        read_instances(coco.file, "train")


def without(entry: dict, key: str) -> dict:
    return {name: value for name, value in entry.items() if name != key}


@pytest.mark.parametrize(
    ("section", "change", "sentence"),
    [
        ("images", lambda e: [without(e[0], "height")], "image 30 has no 'height'"),
        ("images", lambda e: [e[0], e[0]], "image 30 is there twice"),
        ("images", lambda e: [e[0] | {"width": 0}], r"height and width \[24, 0\]"),
        ("images", lambda e: [e[0] | {"width": True}], "height and width"),
        ("images", lambda e: [e[0] | {"id": "30"}], "image 30 has id '30', but it is a whole"),
        ("images", lambda e: [e[0] | {"file_name": "000000000030.jpg"}], "of MS-COCO 2014"),
        (
            "images",
            lambda e: [e[0] | {"file_name": "COCO_val2014_000000000030.jpg"}],
            "split 'train'",
        ),
        ("images", lambda e: [7], "one image is '7', but each has to be an object"),
        ("images", lambda e: e[:1], "has annotations of image 9, which is not among its images"),
        ("images", lambda e: {}, r"'\[' expected at byte"),
        ("annotations", lambda e: [without(e[0], "segmentation")], "900 has no 'segmentation'"),
        ("annotations", lambda e: [e[0] | {"category_id": 12}], "900 has the category 12, which"),
        ("annotations", lambda e: [e[0] | {"category_id": [1]}], "900 has category_id"),
        ("categories", lambda e: [{"id": 1, "name": "cat"}], "category 1 is 'cat', but MS-COCO's"),
        ("categories", lambda e: [{"id": 1}], "category 1 has no 'name'"),
    ],
)
def test_files_of_another_kind_are_one_sentence(coco, section, change, sentence) -> None:
    content = coco.content()
    coco.file.write_text(json.dumps(content | {section: change(content[section])}))
    with pytest.raises(UserError, match=sentence) as caught:
        read_instances(coco.file, "train")
    assert "\n" not in str(caught.value) and str(coco.file) in str(caught.value)
    coco.file.write_text(json.dumps(without(content, section)))
    with pytest.raises(UserError, match=f"has no '{section}', so it is no instance file"):
        read_instances(coco.file, "train")


def test_images_with_objects_and_all_images(prepared: Path) -> None:
    labelled = COCO2014(root=str(prepared))
    assert labelled.ids("train") == [NINE, THIRTY] and not labelled.empty_images
    assert [np.flatnonzero(row).tolist() for row in labelled.labels("train")] == [[0, 16], [0, 79]]
    every = COCO2014(root=str(prepared), images="all", masks="instances")
    assert every.ids("train") == [NINE, EMPTY, THIRTY] and every.empty_images
    labels = every.labels("train")
    assert labels.shape == (3, 80) and labels.dtype == np.float32
    assert labels.sum(axis=1).tolist() == [2, 0, 2]
    assert every.ids("val")[0] == name_of(9, "val")
    assert check_dataset(every, ["train", "val"], masks=True, workers=1) == []
    assert every.image_path(NINE) == prepared / "train2014" / f"{NINE}.jpg"


def test_masks_and_what_the_card_says_about_them(prepared: Path) -> None:
    dataset = COCO2014(root=str(prepared), masks="instances")
    assert dataset.has_masks("train")
    with allow_masks("test"):
        assert np.unique(read_mask(dataset, NINE, "train")).tolist() == [0, 1, 17]
    assert dataset.card() == {
        "images listed": "with objects: train 2 (officially 82,081), val 2 (officially 40,137)",
        "masks": "instances, smaller on top, crowds below",
    }
    closed = dataset.mask_directories()
    assert {prepared / "masks", prepared / "annotations", prepared / "stuffthingmaps"} == set(
        closed
    )
    none = COCO2014(root=str(prepared), masks=None, images="all")
    assert not none.has_masks("val") and none.mask_path(NINE, "train") is None
    assert none.card()["masks"] == "none"
    assert str(none.card()["images listed"]).startswith("all: train 3 (officially 82,783)")


def test_what_is_not_prepared_is_said_with_the_command(coco: MiniCoco) -> None:
    dataset = COCO2014(root=str(coco.root))
    command = f"wsssbench data prepare coco --coco {coco.root} --masks stuff --stuff {coco.root}"
    with pytest.raises(UserError, match=f"split 'train' is not prepared .*{command}"):
        dataset.ids("train")
    prepare(coco.root, "none")
    assert dataset.ids("train") == [NINE, THIRTY]
    with pytest.raises(UserError, match=f"masks='stuff' was given, but .*{command}"):
        dataset.has_masks("train")
    with pytest.raises(UserError, match="split 'val' is not prepared"):
        dataset.ids("val")
    prepare(coco.root)
    val = name_of(1, "val")
    with pytest.raises(UserError, match=r"masks of MS-COCO's split 'val' are not all in"):
        COCO2014(root=str(coco.root), masks="instances").mask_path(val, "val")


def test_lists_of_ones_own(prepared: Path, tmp_path: Path) -> None:
    (prepared / "part.txt").write_text(f"{name_of(30, 'val')}\n{EMPTY}\n/train2014/{NINE}.jpg\n")
    (tmp_path / "bad.txt").write_text(f"{NINE}\nCOCO_train2014_000000000031\n30\n")
    lists = {"part": "part.txt", "bad": str(tmp_path / "bad.txt")}
    dataset = COCO2014(root=str(prepared), lists=lists, masks="instances")
    assert dataset.ids("part") == [name_of(30, "val"), EMPTY, NINE]
    expected = [[0, 79], [], [0, 16]]
    assert [np.flatnonzero(row).tolist() for row in dataset.labels("part")] == expected
    assert dataset.mask_path(name_of(30, "val"), "part") == (
        prepared / "masks/instances/val2014" / f"{name_of(30, 'val')}.png"
    )
    with pytest.raises(UserError, match=r"2 of 3 ids in list .* are not in MS-COCO 2014"):
        dataset.ids("bad")
    with pytest.raises(UserError, match=r"unknown split 'prat': did you mean part\?"):
        dataset.ids("prat")
    assert str(dataset.card()["images listed"]).endswith("; part: list part.txt")


def test_missing_images_and_folders(prepared: Path) -> None:
    dataset = load().registries.dataset.build({"type": "COCO2014", "root": str(prepared)})
    (prepared / "train2014" / f"{NINE}.jpg").unlink()
    with pytest.raises(UserError, match=f"'{NINE}' has no image: .*/train2014/{NINE}.jpg does not"):
        dataset.image_path(NINE)
    (prepared / "images").mkdir()
    (prepared / "val2014").rename(prepared / "images" / "val2014")
    assert dataset.image_path(name_of(9, "val")).is_file()
    with pytest.raises(UserError, match=r"COCO2014.*root 'nowhere' does not exist"):
        load().registries.dataset.build({"type": "COCO2014", "root": "nowhere"})


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("id,height", "id,hight"),
        lambda text: text[:-4],
        lambda text: text.replace("1;17", "0;17"),
        lambda text: text.replace("1;17", "1;81"),
        lambda text: text.replace("1;17", "person"),
        lambda text: text.replace("train2014", "val2014"),
        lambda text: text.replace(",24,32,1;17", ",1;17"),
        lambda text: text + text.splitlines()[1] + "\n",
    ],
)
def test_a_damaged_index_is_one_sentence(prepared: Path, damage) -> None:
    path = index_path(prepared, "train")
    path.write_text(damage(path.read_text()))
    with pytest.raises(UserError, match=r"index .* is damaged in line \d"):
        read_index(path, "train")


def test_the_index_comes_back(tmp_path: Path) -> None:
    images = [CocoImage(name_of(n), n, (5, n), v) for n, v in ((2, ()), (3, (1, 80)), (7, (44,)))]
    write_index(tmp_path / "i" / "train2014.csv", images)
    index = read_index(tmp_path / "i" / "train2014.csv", "train")
    assert index.ids == [image.id for image in images]
    assert [tuple(np.flatnonzero(row) + 1) for row in index.labels] == [i.values for i in images]


FULL_SIZE = """
import pickle, sys
from collections import Counter
import numpy as np
from wsssbench.datasets.coco.dataset import COCO2014
from wsssbench.datasets.coco.annotations import CocoImage
from wsssbench.datasets.coco.index import index_path, write_index
from pathlib import Path

root, rng = Path(sys.argv[1]), np.random.default_rng(0)
numbers = np.sort(rng.choice(581_929, 82_783, replace=False)).tolist()
write_index(index_path(root, "train"), [
    CocoImage(f"COCO_train2014_{n:012}", n, (480, 640),
              tuple(sorted({int(k) for k in rng.integers(1, 81, 3)})) if i >= 702 else ())
    for i, n in enumerate(numbers)
])
events = Counter()
sys.addaudithook(lambda event, _: events.update([event]))
sys.setprofile(lambda _, event, __: events.update([event]))
dataset = COCO2014(root=str(root), masks=None)
ids, labels, card = dataset.ids("train"), dataset.labels("train"), dataset.card()
sys.setprofile(None)
opened, called = events["open"], events["call"] + events["c_call"]
status = Path("/proc/self/status").read_text()  # getrusage would count what the parent had before the fork
peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
assert card["images listed"] == "with objects: train 82,081", card
print(len(ids), labels.shape[0], opened, called, peak, len(pickle.dumps(dataset)))
"""


@pytest.mark.skipif(
    not Path("/proc/self/status").is_file(),
    reason="/proc/self/status",
)
def test_80k_images_load_by_one_file_and_do_not_travel_to_workers(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_SIZE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    listed, labelled, opened, called, mebibytes, pickled = map(float, done.stdout.split())
    assert listed == labelled == 82_081
    assert opened < 10
    assert called < 60 * listed  # seconds on any machine; a loop in a loop would be thousands
    assert mebibytes < 1024
    assert pickled < 10_000


def test_it_finds_images_in_another_process(prepared: Path) -> None:
    dataset = COCO2014(root=str(prepared))
    dataset.labels("train")
    again = pickle.loads(pickle.dumps(dataset))
    index_path(prepared, "train").unlink()  # not needed for paths
    assert again.image_path(NINE).is_file()
