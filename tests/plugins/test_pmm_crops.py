"""PMM's windows, relabelled crops and multi-crop CAMs: loops, and the released code's outputs (golden/pmm-*.npz)."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from golden import golden
from PIL import Image
from tiny_classifier import K, recorder
from wsssbench_baselines.gap import GAP
from wsssbench_baselines.methods.pmm_crops import (
    MultiCropCAM,
    RelabelledCrops,
    merged,
    ranged,
    shown_classes,
    windows,
)

from wsssbench.errors import UserError
from wsssbench.interfaces import Scores, photo_of
from wsssbench.models.preprocess import normalise

SEEDS = pytest.mark.parametrize("seed", [0, 1])


# windows


@SEEDS
def test_windows_are_the_released_ones(seed: int) -> None:
    given, wanted, parameters = golden(f"pmm-windows-{seed}")
    made = [
        (number, scale, *box)
        for number, (width, height) in enumerate(given["sizes"].tolist())
        for scale in parameters["scales"]
        for box in windows((height, width), scale, parameters["crop"], parameters["stride"])
    ]
    np.testing.assert_array_equal(made, wanted["windows"])


def test_windows_of_any_photo_cover_it_at_its_own_scale() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        size, scale = tuple(random.integers(1, 60, 2).tolist()), random.uniform(0.1, 4)
        crop, stride = random.integers(1, 30, 2).tolist()
        seen = np.zeros(size, bool)
        for at in (scale, 1.0):
            for left, top, right, bottom in windows(size, at, crop, stride):
                assert 0 <= left < right <= size[1] and 0 <= top < bottom <= size[0]
                seen[top:bottom, left:right] |= at == 1
        assert seen.all()


# relabelled crops


@SEEDS
def test_labels_of_crops_are_the_released_ones(seed: int) -> None:
    given, wanted, parameters = golden(f"pmm-relabel-{seed}")
    masks = given["masks"] > parameters["sure"]
    for crop, labels in zip(given["crops"].tolist(), wanted["labels"], strict=True):
        shown = given["classes"][shown_classes(masks, tuple(crop), parameters["share"])]
        np.testing.assert_array_equal(np.flatnonzero(labels), shown)


def scores_of(size: tuple[int, int]) -> Scores:
    """Class 2 at the left, sure; class 4 at the right, not sure, but for its last column."""
    planes = np.zeros((3, *size), np.float32)
    planes[1, :, : size[1] // 3] = 0.95
    planes[2, :, -(size[1] // 3) :] = 0.6
    planes[2, :, -1] = 0.97
    planes[0] = 1 - planes[1:].max(axis=0)
    return Scores(np.array([2, 4], np.uint8), planes, size)


def relabelling(scores: Scores, **parameters: object) -> RelabelledCrops:
    return RelabelledCrops(masks=SimpleNamespace(read=lambda id: scores), **parameters)


def test_a_crop_shows_one_of_the_windows_and_its_classes() -> None:
    size, scales = (20, 27), (0.75, 1.5)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    plane = np.arange(np.prod(size), dtype=np.uint8).reshape(size)
    photo = photo_of(image, [1, 1, 1, 1, 1], "a").changed(planes={"p": plane})
    method = relabelling(scores_of(size), crop=12, stride=8, scales=scales)
    expected, pictures = {}, {}
    for box in (box for scale in scales for box in windows(size, scale, 12, 8)):
        left, top, right, bottom = box
        area, labels = (right - left) * (bottom - top), [0.0] * 5
        for value, columns in ((2, range(9)), (4, range(26, 27))):
            inside = sum(x in columns for x in range(left, right)) * (bottom - top)
            whole = len(columns) * 20
            labels[value - 1] = float(inside > 0.1 * whole or inside > 0.1 * area)
        shown = [
            np.array(Image.fromarray(pixels).crop(box).resize((12, 12), resampling))
            for pixels, resampling in ((image, Image.BILINEAR), (plane, Image.NEAREST))
        ]
        pictures[shown[0].tobytes()] = box
        expected[box] = labels, shown[1].tolist()
    drawn = set()
    for draw in range(200):
        (view,) = method.views(photo, np.random.default_rng(draw))
        box = pictures[view.image.tobytes()]
        assert (view.labels.tolist(), view.planes["p"].tolist()) == expected[box]
        assert view.labels.dtype == np.float32
        drawn.add(box)
    assert {box for box, (labels, _) in expected.items() if any(labels)} <= drawn
    assert photo.labels.all() and photo.planes["p"] is plane


def test_windows_are_drawn_until_one_shows_a_class() -> None:
    size = (8, 40)
    planes = np.zeros((2, *size), np.float32)
    planes[1, :, :8] = 1  # one of five windows
    image = np.zeros((*size, 3), np.uint8)
    photo = photo_of(image, [1], "a")
    parameters = {"crop": 8, "stride": 8, "scales": (1.0,)}
    one = relabelling(Scores(np.array([1], np.uint8), planes, size), **parameters)
    shown = [one.views(photo, np.random.default_rng(i))[0].labels[0] for i in range(300)]
    assert np.mean(shown) == pytest.approx(1 - 0.8**5, abs=0.08)  # five windows, five draws
    none = Scores(np.zeros(0, np.uint8), np.ones((1, *size), np.float32), size)
    (view,) = relabelling(none, **parameters).views(photo, np.random.default_rng(0))
    assert not view.labels.any()


def test_masks_of_another_size_are_told() -> None:
    photo = photo_of(np.zeros((8, 9, 3), np.uint8), [1, 0, 0, 1], "a")
    with pytest.raises(UserError, match="masks of image 'a' are 8 x 12, but it is 8 x 9"):
        relabelling(scores_of((8, 12))).views(photo, np.random.default_rng(0))


# CAMs


@SEEDS
def test_windows_are_merged_as_released(seed: int) -> None:
    given, wanted, _ = golden(f"pmm-merge-windows-{seed}")
    present = np.flatnonzero(given["labels"]) + 1
    views = torch.from_numpy(given["maps"])[:, present]
    maps = [view.flip(-1) if i % 2 else view for i, view in enumerate(views)]
    boxes = [(x, y, x + w, y + h) for x, y, w, h in given["windows"].tolist()]
    cam = ranged(merged(maps, boxes, tuple(given["size"].tolist())))
    np.testing.assert_allclose(cam, wanted["normalised"], atol=5e-4)  # which are half precision


def test_the_cam_window_by_window() -> None:
    classifier = recorder(GAP(K)).float()
    size, scales, crop, stride = (21, 26), (1.0, 1.7), 16, 9
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    photo = photo_of(image, [0, 1, 0, 1])
    cam = MultiCropCAM(crop=crop, stride=stride, scales=scales).infer(classifier, photo)
    total, count = np.zeros((2, *size)), np.zeros(size)
    for scale in scales:
        for left, top, right, bottom in windows(size, scale, crop, stride):
            part = Image.fromarray(image[top:bottom, left:right]).resize(
                (crop, crop), Image.BILINEAR
            )
            for step in (1, -1):
                view = np.ascontiguousarray(normalise(np.array(part))[..., ::step])
                with torch.no_grad():
                    f = classifier(torch.from_numpy(view)[None]).maps[:, [1, 3]].relu()
                f = torch.nn.functional.interpolate(
                    f.flip(-1) if step < 0 else f, (bottom - top, right - left), mode="bilinear"
                )
                total[:, top:bottom, left:right] += f[0].numpy()
                count[top:bottom, left:right] += 1
    mean = total / count
    for k in range(2):
        low, high = mean[k].min(), mean[k].max()
        expected = np.where(mean[k] < low + 1e-5, 0, (mean[k] - low) / (high - low + 1e-5))
        np.testing.assert_allclose(cam.maps[k], expected, atol=2e-5)
    assert cam.classes.tolist() == [2, 4] and cam.size == size
    assert cam.maps.min() == 0 and cam.maps.max() == pytest.approx(1, abs=1e-2)


def test_a_constant_map_and_no_class() -> None:
    assert not ranged(torch.full((2, 3, 4), 0.7)).any()
    nothing = MultiCropCAM(crop=8, stride=4).infer(
        recorder(GAP(K)), photo_of(np.zeros((5, 6, 3), np.uint8), [0] * K)
    )
    assert nothing.maps.shape == (0, 5, 6)
