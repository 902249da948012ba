from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsssbench.datasets.synthetic.dataset import SyntheticScenes
from wsssbench.datasets.synthetic.scene_layout import SceneParameters
from wsssbench.errors import UserError
from wsssbench.plugins import load
from wsssbench.progress import Silent

SMALL = {"num_classes": 6, "train_images": 8, "val_images": 4, "image_size": 64}


def hashes(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def made(directory: Path, **parameters: object) -> SyntheticScenes:
    dataset = SyntheticScenes(**{**SMALL, **parameters})
    dataset.generate(directory, Silent())
    return dataset.at(directory)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> SyntheticScenes:
    return made(tmp_path_factory.mktemp("synthetic"))


def test_voc_layout(dataset: SyntheticScenes) -> None:
    train, val = dataset.ids("train"), dataset.ids("val")
    assert (len(train), len(val)) == (8, 4) and not set(train) & set(val)
    ids = sorted(train + val)
    expected = [f"JPEGImages/{id}.jpg" for id in ids] + [
        f"SegmentationClass/{id}.png" for id in ids
    ]
    lists = [f"ImageSets/Segmentation/{split}.txt" for split in ("train", "val")]
    assert sorted(hashes(dataset.root)) == sorted([*expected, *lists, "labels.csv"])
    assert (dataset.root / lists[0]).read_text() == "".join(f"{id}\n" for id in train)
    with Image.open(dataset.image_path(train[0])) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 64))
    with Image.open(dataset.mask_path(val[0], "val")) as mask:
        assert (mask.format, mask.mode, mask.size) == ("PNG", "P", (64, 64))


@pytest.mark.parametrize("split", ["train", "val"])
def test_labels_say_what_the_masks_show(dataset: SyntheticScenes, split: str) -> None:
    labels = dataset.labels(split)
    assert labels.shape == (SMALL[f"{split}_images"], 6) and labels.dtype == np.float32
    for id, row in zip(dataset.ids(split), labels, strict=True):
        counts = np.bincount(
            np.array(Image.open(dataset.mask_path(id, split))).ravel(), minlength=256
        )
        assert np.array_equal(row, counts[1:7] > 0)
        assert all(counts[1:7][row > 0] >= 16)


def test_few_images_show_every_class(dataset: SyntheticScenes) -> None:
    assert dataset.labels("train")[:6].any(axis=0).all()


def test_stored_images_are_the_scenes(dataset: SyntheticScenes) -> None:
    scene = dataset.scene("val", 2)
    id = dataset.ids("val")[2]
    stored = np.array(Image.open(dataset.image_path(id))).astype(int)
    assert np.abs(stored - scene.image).mean() < 6  # JPEG, quality 95
    assert np.array_equal(np.array(Image.open(dataset.mask_path(id, "val"))), scene.mask)


def test_same_parameters_give_the_same_bytes(dataset: SyntheticScenes, tmp_path: Path) -> None:
    made(tmp_path)
    assert hashes(tmp_path) == hashes(dataset.root)


def test_another_seed_gives_other_images(dataset: SyntheticScenes, tmp_path: Path) -> None:
    made(tmp_path, seed=1)
    one, other = hashes(dataset.root), hashes(tmp_path)
    images = [name for name in one if name.startswith("JPEGImages")]
    assert one.keys() == other.keys() and all(one[name] != other[name] for name in images)


def test_an_image_depends_on_its_own_number_only(dataset: SyntheticScenes, tmp_path: Path) -> None:
    fewer = made(tmp_path, train_images=3, val_images=1)
    all_of_them = hashes(dataset.root)
    for name, digest in hashes(tmp_path).items():
        if name.startswith(("JPEGImages", "SegmentationClass")):
            assert digest == all_of_them[name]
    last = [fewer.scene("train", index).image for index in (2, 1, 0)]
    assert np.array_equal(last[2], dataset.scene("train", 0).image)
    assert not np.array_equal(dataset.scene("train", 0).image, dataset.scene("val", 0).image)


def test_labels_open_no_mask(dataset: SyntheticScenes, tmp_path: Path) -> None:
    shutil.copytree(dataset.root, tmp_path / "copy")
    copy = dataset.at(tmp_path / "copy")
    assert copy.mask_directories() == (tmp_path / "copy" / "SegmentationClass",)
    shutil.rmtree(copy.mask_directories()[0])
    assert np.array_equal(copy.labels("train"), dataset.labels("train"))


def test_generation_reports_every_image(tmp_path: Path) -> None:
    class Counter(Silent):
        def __init__(self) -> None:
            self.total = self.done = 0

        def track(self, title: str, total: int, done: int = 0) -> Counter:  # type: ignore[override]
            self.total = total
            return self

        def __enter__(self) -> Counter:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def advance(self, steps: int = 1, note: str = "") -> None:
            self.done += steps

    counter = Counter()
    SyntheticScenes(**{**SMALL, "train_images": 2, "val_images": 1}).generate(tmp_path, counter)
    assert counter.total == counter.done == 3


def test_before_and_without_files(tmp_path: Path) -> None:
    unbound = SyntheticScenes(**SMALL)
    with pytest.raises(UserError, match="has no files yet"):
        unbound.ids("train")
    empty = unbound.at(tmp_path)
    for use in (lambda: empty.ids("train"), lambda: empty.labels("val")):
        with pytest.raises(UserError, match=r"train\.txt|val\.txt|labels\.csv"):
            use()
    with pytest.raises(UserError, match="'train_00000' has no image"):
        empty.image_path("train_00000")
    with pytest.raises(UserError, match="has no files yet"):
        unbound.mask_directories()  # binding makes a copy


def test_unknown_split(dataset: SyntheticScenes) -> None:
    for use in (dataset.ids, dataset.labels, lambda split: dataset.mask_path("train_00000", split)):
        with pytest.raises(UserError, match="unknown split 'trian': did you mean train"):
            use("trian")


def test_an_id_without_labels(dataset: SyntheticScenes, tmp_path: Path) -> None:
    shutil.copytree(dataset.root, tmp_path / "copy")
    table = tmp_path / "copy" / "labels.csv"
    lines = table.read_text().splitlines(keepends=True)
    assert lines[0] == "id,labels\n"
    table.write_text("".join(line for line in lines if not line.startswith("train_00003,")))
    with pytest.raises(UserError, match="train_00003"):
        dataset.at(tmp_path / "copy").labels("train")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"num_classes": 30}, "num_classes=30 has to be int >= 2 and <= 20"),
        ({"train_images": 0}, "train_images=0"),
        ({"seed": -1}, "seed=-1"),
        ({"image_size": 40, "object_size": [0.2, 0.4]}, "objects of 8.0 pixels"),
        ({"part_sise": 0.1}, "did you mean part_size"),
        ({"clutter": "much"}, "clutter='much'"),
    ],
)
def test_wrong_parameters_get_one_sentence(given: dict[str, object], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint) as caught:
        load().registries.dataset.build({"type": "SyntheticScenes", **given})
    assert "\n" not in str(caught.value)


def test_objects_that_vanish_under_the_boundary() -> None:
    crowded = SyntheticScenes(image_size=40, object_size=(0.3, 0.3), boundary=4)
    with pytest.raises(UserError, match=r"boundary=4.*raise object_size or image_size"):
        crowded.scene("train", 0)


def test_builds_from_a_config() -> None:
    config = {"type": "SyntheticScenes", "objects": [1, 2], "object_size": [0.3, 0.4]}
    dataset = load().registries.dataset.build(config)
    assert dataset.generated and len(dataset.classes) == 8
    assert dataset.parameters.objects == (1, 2)


def test_defaults_are_those_of_the_scenes() -> None:
    assert SyntheticScenes().parameters == SceneParameters()
