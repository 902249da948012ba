from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsssbench.errors import UserError
from wsssbench.files.images import (
    image_size,
    label_from_colours,
    read_image,
    read_label,
    voc_palette,
    write_label,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path: Path, rng: np.random.Generator, mode: str) -> None:
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    Image.fromarray(rng.integers(0, 256, (7, 5, 3), dtype=np.uint8)).convert(mode).save(path)
    image = read_image(path)
    assert image.shape == (7, 5, 3) and image.dtype == np.uint8
    assert image_size(path) == (7, 5)


def test_rgb_values_survive(tmp_path: Path, rng: np.random.Generator) -> None:
    given = rng.integers(0, 256, (7, 5, 3), dtype=np.uint8)
    Image.fromarray(given).save(tmp_path / "x.png")
    assert np.array_equal(read_image(tmp_path / "x.png"), given)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    given = np.array([[0, 256 * 100, 256 * 200 + 255]], dtype=np.uint16)
    Image.fromarray(given).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png")[0, :, 0].tolist() == [0, 100, 200]


def test_exif_orientation_is_ignored_as_the_mask_has_none(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees
    Image.new("RGB", (30, 20)).save(tmp_path / "x.jpg", exif=exif)
    assert read_image(tmp_path / "x.jpg").shape == (20, 30, 3)


@pytest.mark.parametrize("read", [read_image, read_label, image_size])
def test_unreadable_files_are_named(tmp_path: Path, read) -> None:
    with pytest.raises(UserError, match=r"gone\.png does not exist"):
        read(tmp_path / "gone.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(UserError, match=r"text\.png cannot be read"):
        read(tmp_path / "text.png")


def test_truncated_image_is_named(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "x.jpg"
    Image.fromarray(rng.integers(0, 256, (99, 99, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"x\.jpg cannot be read"):
        read_image(path)


def test_label_round_trip_is_an_indexed_png_with_equal_bytes(tmp_path, rng) -> None:
    label = rng.integers(0, 256, (13, 17), dtype=np.uint8)
    write_label(tmp_path / "a.png", label)
    write_label(tmp_path / "b.png", np.asfortranarray(label))
    assert np.array_equal(read_label(tmp_path / "a.png"), label)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        assert np.array_equal(np.array(image.convert("RGB")), voc_palette()[label])


@pytest.mark.parametrize("label", [np.zeros((2, 2), int), np.zeros((2, 2, 1), np.uint8)])
def test_write_label_wants_uint8_planes(tmp_path: Path, label: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        write_label(tmp_path / "x.png", label)


def test_grey_png_holds_raw_indices(tmp_path: Path, rng: np.random.Generator) -> None:
    label = rng.integers(0, 256, (4, 6), dtype=np.uint8)
    Image.fromarray(label).save(tmp_path / "x.png")
    assert np.array_equal(read_label(tmp_path / "x.png"), label)


def test_palette_is_that_of_the_voc_masks(minivoc: Path) -> None:
    with Image.open(sorted((minivoc / "SegmentationClass").glob("*.png"))[0]) as image:
        theirs = np.array(image.getpalette("RGB")).reshape(-1, 3)
    assert np.array_equal(theirs, voc_palette()[: len(theirs)]) and len(theirs) > 20


def test_palette_known_colours() -> None:
    palette = voc_palette()
    assert palette.shape == (256, 3) and len(np.unique(palette, axis=0)) == 256
    assert palette[[0, 1, 15, 20, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [192, 128, 128],
        [0, 64, 128],
        [224, 224, 192],
    ]


def test_colour_mask_gets_a_sentence_whose_recipe_works(tmp_path, rng) -> None:
    label = rng.integers(0, 256, (9, 8), dtype=np.uint8)
    path = tmp_path / "x.png"
    Image.fromarray(voc_palette()[label]).save(path)
    with pytest.raises(UserError, match="label_from_colours"):
        read_label(path)
    write_label(path, label_from_colours(read_image(path)))
    assert np.array_equal(read_label(path), label)


def test_colours_outside_the_palette_are_refused() -> None:
    with pytest.raises(UserError, match=r"1 pixels.*\(1, 2, 3\)"):
        label_from_colours(np.array([[[0, 0, 0], [1, 2, 3]]], dtype=np.uint8))


def test_jpeg_masks_are_refused(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "x.jpg")
    with pytest.raises(UserError, match="JPEG"):
        read_label(tmp_path / "x.jpg")


def test_sixteen_bit_labels_are_refused_if_they_do_not_fit(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 20]], dtype=np.uint16)).save(tmp_path / "fits.png")
    assert read_label(tmp_path / "fits.png").tolist() == [[0, 20]]
    Image.fromarray(np.array([[0, 300]], dtype=np.uint16)).save(tmp_path / "large.png")
    with pytest.raises(UserError, match=r"0\.\.255"):
        read_label(tmp_path / "large.png")
