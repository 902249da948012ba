"""CDA's bank and pasting against its released code, and against their definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from golden import golden
from PIL import Image
from wsssbench_baselines.methods import cda

from wsssbench.contract.samples import CLASSES, write_photos
from wsssbench.errors import UserError
from wsssbench.files.images import write_label
from wsssbench.interfaces import Photos, RunContext
from wsssbench.plugins import load
from wsssbench.progress import Silent
from wsssbench.stages.handles import LabelFiles


@pytest.mark.parametrize("seed", [0, 1])
def test_the_bank_has_the_released_codes_instances(seed: int) -> None:
    given, wanted, parameters = golden(f"cda-bank-{seed}")
    area = (parameters["smallest"], parameters["largest"])
    for label, c, box in zip(given["segmentations"], wanted["cls"], wanted["box"], strict=True):
        value, (rows, columns) = cda.instance(label, area)
        assert value - 1 == c
        if value:
            assert [rows.start, columns.start, rows.stop, columns.stop] == box.tolist()


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "name", ["rotation-class1", "rotation-class20", "rotation-large", "rescale"]
)
def test_pasting_is_the_released_codes_without_its_growing_masks(name: str, seed: int) -> None:
    """Of class 1 it is the same; of others its mask has border pixels more, the fuller the higher the class number."""
    given, wanted, parameters = golden(f"cda-{name}-{seed}")
    photo, degree = given["photo"], parameters.get("degree", 0)
    scales = parameters["largest"], parameters.get("rescale", 1.0)
    mask = (given["mask"] > 0).astype(np.uint8)
    parts = cda.prepared(given["instance"], mask, photo.shape[:2], degree, *scales)
    result = cda.pasted(photo, *parts, parameters["row"], parameters["col"])
    changed = (result != photo).any(axis=2)
    assert changed.any() and not (changed & ~wanted["changed"]).any()
    np.testing.assert_array_equal(result[changed], wanted["pasted"][changed])
    if parameters["cls"] == 1:
        np.testing.assert_array_equal(result, wanted["pasted"])
    else:
        assert 0.75 < changed.sum() / wanted["changed"].sum() < 1


def bank_of(folder: Path) -> tuple[cda.Instances, Photos]:
    """Instances of three sample photos: a red square of class 1, 2 or 3."""
    (folder / "photos").mkdir()
    photos = write_photos(folder / "photos")
    for number, photo in enumerate(photos, 1):
        label = np.zeros(photo.image.shape[:2], np.uint8)
        label[10:30, 5:25] = number if number < 4 else 255
        image = photo.image
        image[label > 0] = (255, 0, 0)
        Image.fromarray(image).save(photo.path)
        write_label(folder / f"{photo.id}.png", label)
    (folder / "bank").mkdir()
    context = RunContext(folder / "bank", "cpu", 0, 0, Silent())
    result = cda.InstanceBank(CLASSES, labels=LabelFiles(folder)).run(photos, context)
    assert result == {"instances": 3, "classes": 3}
    return cda.Instances(folder / "bank"), photos


def test_a_view_has_an_instance_of_a_class_that_the_photo_lacks(tmp_path: Path) -> None:
    bank, photos = bank_of(tmp_path)
    cutout, mask = bank.read("image_0")
    assert mask.shape == (20, 20) and mask.all() and (cutout == (255, 0, 0)).all()
    photo = photos[1].changed(image=np.full((60, 50, 3), 90, np.uint8))  # has class 1
    random, drawn = np.random.default_rng(0), set()
    for _ in range(20):
        first, second = cda.ContextDecoupling(bank=bank).views(photo, random)
        assert first is photo
        (value,) = np.flatnonzero(second.labels - photo.labels) + 1
        drawn.add(int(value))
        changed = (second.image != photo.image).any(axis=2)
        assert 300 < changed.sum() < 420  # 400, rotated
        reds = second.image[changed]
        assert np.median(reds[:, 0]) == 255 and np.median(reds[:, 1]) == 0
    assert drawn == {2, 3}
    every = photo.changed(labels=np.ones(4, np.float32))
    assert cda.ContextDecoupling(bank=bank).views(every, random) == (every, every)


def test_instances_are_no_larger_than_the_share_of_the_photo() -> None:
    random = np.random.default_rng(1)
    for _ in range(30):
        size, part = random.integers(20, 90, 2), random.integers(5, 120, 2)
        mask = np.ones(part, np.uint8)
        cutout = np.zeros((*part, 3), np.uint8)
        _, small = cda.prepared(cutout, mask, tuple(size), int(random.integers(-90, 91)), 0.7)
        assert (np.array(small.shape) <= np.maximum(1, 0.7 * size)).all()


def test_photos_without_label_maps_are_refused(tmp_path: Path) -> None:
    photos, context = write_photos(tmp_path), RunContext(tmp_path, "cpu", 0, 0, Silent())
    stage = cda.InstanceBank(
        CLASSES, labels=LabelFiles(tmp_path / "none"), photos=Photos(photos[:1])
    )
    with pytest.raises(UserError, match="no label maps of 'image_0': photos has to be a split"):
        stage.run(photos, context)


def test_instances_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    config = {"type": "ContextDecoupling", "bank": cda.Instances(tmp_path), "rescale": (1.0, 1.5)}
    with pytest.raises(UserError, match=r"rescale=\(1.0, 1.5\) has to be a range"):
        load().registries.augmentation.build(config)
