from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from pixels import denormalise
from torchvision import transforms as T

from wsssbench.models.preprocess import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    normalise,
    resize_image,
)
from wsssbench.training.transforms import TrainTransform


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def plain(**changes) -> TrainTransform:
    return TrainTransform(
        **{"resize_long": None, "crop": 50, "flip": False, "jitter_probability": 0.0, **changes}
    )


def test_normalise_is_torchvisions(image: np.ndarray) -> None:
    reference = T.Compose([T.ToTensor(), T.Normalize(IMAGENET_MEAN, IMAGENET_STD)])(image).numpy()
    ours = normalise(image)
    assert ours.dtype == np.float32 and ours.flags["C_CONTIGUOUS"]
    assert np.allclose(ours, reference, atol=1e-5)
    assert np.array_equal(denormalise(ours), image)


def test_resize_is_pillows_bicubic_by_height_and_width(image: np.ndarray) -> None:
    reference = np.array(Image.fromarray(image).resize((31, 22), Image.Resampling.BICUBIC))
    assert np.array_equal(resize_image(image, (22, 31)), reference)
    assert resize_image(image, (40, 60)) is image


def test_crop_and_zero_padding_at_random_places(image: np.ndarray) -> None:
    """40 x 60 into 50 x 50: rows are padded, columns are cut, wherever the generator says."""
    normalised, places = normalise(image), set()
    for seed in range(300):
        out = plain()(image, np.random.default_rng(seed))
        assert out.shape == (3, 50, 50) and out.dtype == np.float32
        rows = np.flatnonzero(out.any(axis=(0, 2)))
        top = int(rows[0])
        assert len(rows) == 40 and not out[:, :top].any() and not out[:, top + 40 :].any()
        lefts = [
            x
            for x in range(11)
            if np.array_equal(out[:, top : top + 40], normalised[:, :, x : x + 50])
        ]
        assert len(lefts) == 1
        places.add((top, lefts[0]))
    assert {top for top, _ in places} == {left for _, left in places} == set(range(11))


def test_random_length_of_the_longer_side() -> None:
    white = np.full((40, 60, 3), 255, np.uint8)
    sizes = set()
    for seed in range(100):
        out = plain(resize_long=(30, 33), crop=60)(white, np.random.default_rng(seed))
        sizes.add((int(out.any(axis=(0, 2)).sum()), int(out.any(axis=(0, 1)).sum())))
    assert sizes == {(round(40 * n / 60), n) for n in (30, 31, 32, 33)}


def test_half_of_the_images_are_mirrored(image: np.ndarray) -> None:
    square = image[:, :40]
    mirrored = 0
    for seed in range(200):
        out = plain(crop=40, flip=True)(square, np.random.default_rng(seed))
        is_mirrored = np.array_equal(out, normalise(square[:, ::-1]))
        assert is_mirrored or np.array_equal(out, normalise(square))
        mirrored += is_mirrored
    assert 70 < mirrored < 130


def test_jitter_of_brightness_is_pillows(image: np.ndarray) -> None:
    transform = plain(crop=40, jitter=(0.4, 0, 0, 0), jitter_probability=1.0)
    square, factors = image[:, :40], []
    for seed in range(50):
        out = denormalise(transform(square, np.random.default_rng(seed)))
        dark = square < 150  # whatever the factor up to 1.4, these do not clip
        factor = (out[dark].astype(float).sum() + 0.5 * dark.sum()) / square[dark].sum()
        reference = np.array(ImageEnhance.Brightness(Image.fromarray(square)).enhance(factor))
        assert np.abs(out.astype(int) - reference)[dark].max() <= 2
        factors.append(factor)
    assert 0.59 < min(factors) < 0.7 and 1.3 < max(factors) < 1.41


def test_jitter_leaves_grey_images_grey_unless_hue_or_saturation_could_matter() -> None:
    grey = np.full((10, 10, 3), 100, np.uint8)
    transform = plain(crop=10, jitter=(0, 0, 0.4, 0.1), jitter_probability=1.0)
    for seed in range(10):
        assert np.array_equal(denormalise(transform(grey, np.random.default_rng(seed))), grey)


def test_jitter_changes_its_share_of_the_images(image: np.ndarray) -> None:
    square = image[:, :40]
    transform = plain(crop=40, jitter_probability=0.8)
    changed = [
        not np.array_equal(transform(square, np.random.default_rng(seed)), normalise(square))
        for seed in range(200)
    ]
    assert 140 < sum(changed) < 180


def test_equal_seeds_give_equal_views_and_the_input_is_untouched(image: np.ndarray) -> None:
    transform = TrainTransform(resize_long=(30, 80), crop=48)
    before = image.copy()
    one = transform(image, np.random.default_rng((3, 7)))
    two = pickle.loads(pickle.dumps(transform))(image, np.random.default_rng((3, 7)))
    other = transform(image, np.random.default_rng((3, 8)))
    assert np.array_equal(one, two) and not np.array_equal(one, other)
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop": 0},
        {"resize_long": (5, 4)},
        {"resize_long": (0, 4)},
        {"jitter": (-0.1, 0, 0, 0)},
        {"jitter": (0, 0, 0, 0.6)},
        {"jitter_probability": 1.5},
    ],
)
def test_parameters_out_of_range(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        plain(**wrong)


def test_real_photo(minivoc: Path) -> None:
    from wsssbench.files.images import read_image

    photo = read_image(sorted((minivoc / "JPEGImages").glob("*.jpg"))[0])
    out = TrainTransform(resize_long=(256, 512), crop=320)(photo, np.random.default_rng(0))
    assert out.shape == (3, 320, 320) and np.isfinite(out).all() and 0.2 < out.std() < 3
