from __future__ import annotations

import numpy as np
import pytest

from wsssbench.data.images import voc_palette
from wsssbench.report.pictures import (
    contours,
    heat_colours,
    overlay_cam,
    overlay_label,
    shrink,
    side_by_side,
)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def image(rng):
    return rng.integers(0, 256, (40, 56, 3), dtype=np.uint8)


def luma(picture):
    return picture.astype(float) @ [0.299, 0.587, 0.114]


def test_heat_gets_lighter_evenly():
    lightness = luma(heat_colours(np.linspace(0, 1, 101)))
    steps = np.diff(lightness)
    assert (steps > -1.5).all()  # rounding only
    assert lightness[-1] - lightness[0] > 150


def test_heat_is_close_to_the_map_it_was_fitted_to():
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    heat = np.linspace(0, 1, 256)
    expected = matplotlib.colormaps["plasma"](heat)[:, :3]
    assert np.abs(heat_colours(heat) / 255 - expected).max() < 0.025


def test_a_cam_over_its_photo(image, rng):
    heat = rng.random(image.shape[:2]).astype(np.float32)
    before = image.copy()
    picture = overlay_cam(image, heat)
    assert picture.shape == image.shape and picture.dtype == np.uint8
    assert (image == before).all()


def test_no_heat_leaves_the_photo_with_less_colour(image):
    picture = overlay_cam(image, np.zeros(image.shape[:2]))
    assert np.abs(luma(picture) - luma(image)).max() <= 1
    spread = lambda p: np.ptp(p.astype(int), axis=2)  # noqa: E731
    assert (spread(picture) <= spread(image)).all()


def test_more_heat_is_nearer_to_its_colour(image):
    hot = heat_colours(np.array(1.0)).astype(float)
    distances = [
        np.abs(overlay_cam(image, np.ones(image.shape[:2]), strength=s) - hot).mean()
        for s in (0.2, 0.6, 1.0)
    ]
    assert distances[0] > distances[1] > distances[2] == pytest.approx(0, abs=1)


def test_heat_out_of_range_is_clipped(image):
    over = overlay_cam(image, np.full(image.shape[:2], 7.0))
    assert (over == overlay_cam(image, np.ones(image.shape[:2]))).all()


def test_classes_are_blended_with_their_colour(image):
    palette = voc_palette()
    for value in (1, 8, 20, 254):
        label = np.full(image.shape[:2], value, np.uint8)
        expected = np.rint(0.4 * image + 0.6 * palette[value].astype(float))
        assert np.abs(overlay_label(image, label, palette) - expected).max() <= 1


def test_background_shows_the_photo_and_unsure_is_hatched_white(image):
    label = np.zeros(image.shape[:2], np.uint8)
    label[:, 28:] = 255
    black = np.zeros_like(image)
    picture = overlay_label(black, label, voc_palette())
    assert (picture[:, :28] == 0).all()
    assert len(np.unique(picture[:, 28:])) == 2 and picture[:, 28:].min() > 100
    assert (picture[..., 0] == picture[..., 2]).all()  # no class colour, whatever the palette says


def test_contours_lie_between_classes_only(rng):
    label = rng.choice([0, 1, 2, 255], (12, 15)).astype(np.uint8)
    found = contours(label)
    for y in range(12):
        for x in range(15):
            neighbours = [label[y, x + 1]] if x < 14 else []
            neighbours += [label[y + 1, x]] if y < 11 else []
            expected = any(n != label[y, x] and n != 255 and label[y, x] != 255 for n in neighbours)
            assert found[y, x] == expected


def test_contours_are_white(image):
    label = np.zeros(image.shape[:2], np.uint8)
    label[10:20, 10:30] = 3
    assert (overlay_label(image, label, voc_palette())[contours(label)] == 255).all()
    assert contours(label).any()


@pytest.mark.parametrize("overlay", [overlay_cam, lambda i, p: overlay_label(i, p, voc_palette())])
def test_shapes_that_do_not_fit_are_refused(image, overlay):
    with pytest.raises(ValueError, match=r"\(40, 56\)"):
        overlay(image, np.zeros((56, 40), np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        overlay(image.astype(float), np.zeros((40, 56), np.uint8))


def test_a_palette_of_another_shape_is_refused(image):
    with pytest.raises(ValueError, match="palette"):
        overlay_label(image, np.zeros((40, 56), np.uint8), np.zeros((21, 3), np.uint8))


def test_side_by_side_keeps_every_pixel(rng):
    one, two = (rng.integers(0, 200, (*s, 3), dtype=np.uint8) for s in ((10, 6), (4, 9)))
    sheet = side_by_side([one, two], gap=2, colour=(255, 250, 245))
    assert sheet.shape == (10, 6 + 2 + 9, 3) and sheet.dtype == np.uint8
    assert (sheet[:, :6] == one).all() and (sheet[3:7, 8:] == two).all()
    sheet[:, :6] = sheet[3:7, 8:] = (255, 250, 245)
    assert (sheet == (255, 250, 245)).all()
    with pytest.raises(ValueError, match="at least one"):
        side_by_side([])


@pytest.mark.parametrize(
    ("size", "expected"), [((500, 375), (320, 240)), ((100, 640), (50, 320)), ((320, 8), (320, 8))]
)
def test_shrink_keeps_the_proportions_and_never_enlarges(size, expected):
    assert shrink(np.zeros((*size, 3), np.uint8), 320).shape == (*expected, 3)
