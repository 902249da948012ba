"""What mmseg trains on: reproducible views in which image and label map stay together."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_segmentation import CLASSES, make_items

from wsssbench.errors import UserError
from wsssbench.interfaces import SegmentationItem
from wsssbench.models.preprocess import IMAGENET_MEAN, IMAGENET_STD
from wsssbench.segmenters.settings import TestSettings, TrainView
from wsssbench.training.quiet import quiet

NAMES = ("background", *CLASSES)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    with quiet(directory / "log"):
        from wsssbench.segmenters import data
    data.made = make_items(directory)
    return data


def _view(**changes):
    defaults = {"crop": 32, "resize": (0.5, 1.5), "flip": True, "photometric": True}
    return TrainView(**{**defaults, "cat_max_ratio": 0.75, **changes})


def _globals():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002


def test_a_view_depends_on_seed_and_position_only(data):
    def views(seed):
        items = data.Items(data.made, NAMES, data.training_pipeline(_view()), seed)
        return lambda index, position: items[(index, position)]["inputs"]

    first, second = views(4), views(4)
    expected = first(2, 9)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    second(0, 5)
    before = _globals()
    assert torch.equal(second(2, 9), expected)
    assert _globals() == before
    assert not torch.equal(expected, first(2, 10))
    assert not torch.equal(expected, views(5)(2, 9))


def test_label_maps_follow_their_images(data):
    items = data.Items(data.made, NAMES, data.training_pipeline(_view(photometric=False)), 0)
    sizes = set()
    for position in range(60):
        packed = items[(position % len(items), position)]
        _, green, red = packed["inputs"].float()  # BGR until the preprocessor
        label = packed["data_samples"].gt_sem_seg.data[0]
        assert label.shape == red.shape
        sizes.add(tuple(label.shape))
        assert max(label.shape) <= 32
        for value, colour in ((1, red - green), (2, green - red)):
            inside = colour[label == value]
            if inside.numel() > 20:
                assert (inside > 60).float().mean() > 0.8
        assert (red - green)[label == 0].abs().median() < 60
    assert len(sizes) > 10


def test_padding_is_mean_colour_and_ignored(data, tmp_path):
    from wsssbench.segmenters.network import build_network
    from wsssbench.segmenters.settings import HeadSettings

    with quiet(tmp_path / "log"):
        model = build_network({"type": "TinyBackbone"}, HeadSettings("largefov"), 3, "cpu", crop=64)
    pipeline = data.training_pipeline(
        _view(crop=64, resize=(1.0, 1.0), flip=False, photometric=False)
    )
    packed = data.Items(data.made, NAMES, pipeline, 0)[(0, 0)]
    raw, label = packed["inputs"], packed["data_samples"].gt_sem_seg.data
    height, width = raw.shape[1:]
    batch = model.data_preprocessor(
        {"inputs": [raw], "data_samples": [packed["data_samples"]]}, training=True
    )
    image, padded = batch["inputs"][0], batch["data_samples"][0].gt_sem_seg.data
    assert image.shape == (3, 64, 64)
    assert padded.shape == (1, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    rgb = raw.flip(0).permute(1, 2, 0) / 255
    expected = ((rgb - mean) / std).permute(2, 0, 1)
    torch.testing.assert_close(image[:, :height, :width], expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(padded[:, :height, :width], label)
    assert (padded[:, height:] == 255).all()
    assert (padded[:, :, width:] == 255).all()
    assert (image[:, height:] == 0).all()


def test_odd_image_modes(data, tmp_path):
    label = tmp_path / "label.png"
    Image.fromarray(np.ones((20, 30), np.uint8)).save(label)
    for mode in ("L", "P", "RGBA", "1", "CMYK"):
        path = tmp_path / f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}"
        Image.fromarray(np.full((20, 30, 3), 200, np.uint8)).convert(mode).save(path)
        item = SegmentationItem(mode, path, label)
        packed = data.Items([item], NAMES, data.training_pipeline(_view()), 0)[(0, 0)]
        assert packed["inputs"].shape[0] == 3


@pytest.mark.parametrize(
    ("shape", "value", "sentence"),
    [((20, 20), 3, "holds the value 3, but only 0 to 2 and 255"), ((20, 21), 1, "of one size")],
)
def test_label_maps_that_do_not_fit(data, tmp_path, shape, value, sentence):
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.full(shape, value, np.uint8)).save(tmp_path / "b.png")
    item = SegmentationItem("a", tmp_path / "a.png", tmp_path / "b.png")
    items = data.Items([item], NAMES, data.training_pipeline(_view()), 0)
    with pytest.raises(UserError, match=sentence):
        items[(0, 0)]


def test_test_views(data):
    settings = TestSettings(scales=(0.5, 1.0), flip=True)
    items = data.Items(data.made, NAMES, data.test_pipeline(settings), test_mode=True)
    packed = items[0]
    height, width = (int(n) for n in packed["data_samples"][0].ori_shape)
    shapes = [tuple(view.shape[1:]) for view in packed["inputs"]]
    half = (int(height * 0.5 + 0.5), int(width * 0.5 + 0.5))
    assert shapes == [half, half, (height, width), (height, width)]
    assert torch.equal(packed["inputs"][3], packed["inputs"][2].flip(2))
    assert all("gt_sem_seg" not in sample for sample in packed["data_samples"])


def _hsv(rgb: np.ndarray) -> np.ndarray:
    """OpenCV's 8-bit HSV, computed with the standard library."""
    import colorsys

    flat = [colorsys.rgb_to_hsv(*(pixel / 255)) for pixel in rgb.reshape(-1, 3)]
    return np.array(flat).reshape(rgb.shape) * (180, 255, 255)


def test_hsv_shift(data):
    """Every pixel is shifted by the same numbers of -10..10; hue turns, the others are clipped."""
    # strong colours, in which hue and saturation survive 8 bits
    image = np.array([[[200, 40, 60], [60, 200, 40], [40, 60, 200], [250, 20, 30]]], np.uint8)
    before, seen = _hsv(image), []
    for seed in range(200):
        np.random.seed(seed)  # noqa: NPY002
        given = {"img": image[..., ::-1].copy()}
        after = _hsv(data.HsvShift(10).transform(given)["img"][..., ::-1])
        moved = after - before
        moved[..., 0] = (moved[..., 0] + 90) % 180 - 90
        free = moved[0, :3]  # the last pixel's saturation and value reach 255
        assert np.ptp(free, axis=0).max() < 2.6
        assert (after[0, 3, 1:] <= 255).all()
        seen.append(free.mean(axis=0))
    low, high = np.min(seen, axis=0), np.max(seen, axis=0)
    np.testing.assert_allclose(low, -10, atol=1.5)
    np.testing.assert_allclose(high, 10, atol=1.5)


def test_hsv_shift_includes_both_ends(data):
    """Of a grey image, only the value is changed."""
    seen = set()
    for seed in range(40):
        np.random.seed(seed)  # noqa: NPY002
        grey = np.full((1, 1, 3), 100, np.uint8)
        seen.add(int(data.HsvShift(1).transform({"img": grey})["img"].max()) - 100)
    assert seen == {-1, 0, 1}


def test_cubic_resizing_is_opencv_s(data):
    import cv2

    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    given = {"img": image, "gt_seg_map": image[..., 0], "seg_fields": ["gt_seg_map"]}
    resized = data.ScaleJitter(1.5, 1.5, None, "cubic").transform(given)
    expected = cv2.resize(image, (45, 30), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(resized["img"], expected)
    nearest = cv2.resize(image[..., 0], (45, 30), interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(resized["gt_seg_map"], nearest)


def test_a_small_image_at_a_random_place(data):
    """Beside it there is the mean colour, which normalisation turns into exactly 0, and nothing to learn from."""
    from mmseg.models.data_preprocessor import SegDataPreProcessor

    mean, std = ([255 * v for v in values] for values in (IMAGENET_MEAN, IMAGENET_STD))
    normalise = SegDataPreProcessor(mean=mean, std=std, bgr_to_rgb=True, size=(8, 8))
    image, label = np.full((5, 12, 3), 200, np.uint8), np.ones((5, 12), np.uint8)
    tops = set()
    for seed in range(30):
        np.random.seed(seed)  # noqa: NPY002
        placed = data.RandomPlace(8).transform({"img": image, "gt_seg_map": label})
        assert placed["img"].shape == (8, 12, 3) and placed["gt_seg_map"].shape == (8, 12)
        inside = placed["gt_seg_map"] == 1
        top = int(np.flatnonzero(inside.all(axis=1))[0])
        assert inside[top : top + 5].all() and inside.sum() == label.size
        assert (placed["gt_seg_map"][~inside] == 255).all()
        assert (placed["img"][inside] == 200).all()
        pixels = torch.from_numpy(placed["img"].transpose(2, 0, 1).copy())[:, :, :8]
        (seen,) = normalise({"inputs": [pixels]})["inputs"]
        assert torch.equal((seen != 0).all(dim=0), torch.from_numpy(inside[:, :8]))
        tops.add(top)
    assert tops == {0, 1, 2, 3}
    large = {"img": np.zeros((9, 9, 3), np.uint8), "gt_seg_map": np.zeros((9, 9), np.uint8)}
    assert data.RandomPlace(8).transform(large)["img"].dtype == np.uint8


def test_photometric_choices(data):
    def steps(photometric):
        return [type(s).__name__ for s in data.training_pipeline(_view(photometric=photometric))]

    assert "HsvShift" in steps("hsv10")
    assert "PhotoMetricDistortion" in steps(True)
    assert not {"HsvShift", "PhotoMetricDistortion"} & set(steps(False))


def test_resizing_in_steps(data):
    label = np.zeros((40, 80), np.uint8)
    seen = set()
    for seed in range(100):
        np.random.seed(seed)  # noqa: NPY002
        given = {"img": np.zeros((40, 80, 3), np.uint8), "gt_seg_map": label}
        given["seg_fields"] = ["gt_seg_map"]
        resized = data.ScaleJitter(0.5, 1.5, 0.25).transform(given)
        assert resized["img"].shape[:2] == resized["gt_seg_map"].shape
        seen.add(resized["img"].shape[:2])
    assert seen == {(20, 40), (30, 60), (40, 80), (50, 100), (60, 120)}
