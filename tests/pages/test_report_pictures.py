from __future__ import annotations

import numpy as np
import pytest

from wsssbench.files.images import voc_palette
from wsssbench.pages.pictures import (
    HEAT_LEVELS,
    contours,
    heat_colours,
    heat_overlay,
    label_overlay,
    shrink,
    shrink_heat,
    shrink_label,
)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def luma(colours):
    return colours.astype(float) @ [0.299, 0.587, 0.114]


def painted(overlay):
    """(h, w, 4) uint8."""
    return overlay.colours[overlay.indices]


def test_heat_gets_lighter_evenly():
    lightness = luma(heat_colours(np.linspace(0, 1, 101)))
    steps = np.diff(lightness)
    assert (steps > -1.5).all()  # rounding only
    assert lightness[-1] - lightness[0] > 150


def test_heat_is_close_to_the_map_it_was_fitted_to():
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib")
    heat = np.linspace(0, 1, 256)
    expected = matplotlib.colormaps["plasma"](heat)[:, :3]
    assert np.abs(heat_colours(heat) / 255 - expected).max() < 0.025


def test_a_cam_covers_its_photo_the_more_the_hotter_it_is(rng):
    heat = np.sort(rng.random(400)).reshape(1, -1)
    before = heat.copy()
    picture = painted(heat_overlay(heat))[0]
    assert (heat == before).all()
    expected = 255 * 0.75 * np.sqrt(heat[0])
    assert np.abs(picture[:, 3] - expected).max() < 255 * 0.75 / (HEAT_LEVELS - 1) / 2 + 1
    assert np.abs(picture[:, :3].astype(int) - heat_colours(heat[0])).max() <= 10
    cold, hot = painted(heat_overlay(np.array([[0.0, 1.0]])))[0]
    assert cold[3] == 0 and hot[3] == 191  # three quarters


def test_heat_out_of_range_is_clipped():
    over = painted(heat_overlay(np.array([[7.0, -2.0]])))
    assert (over == painted(heat_overlay(np.array([[1.0, 0.0]])))).all()


def test_classes_have_their_colour_and_the_background_none():
    palette = voc_palette()
    for value in (1, 8, 20, 254):
        label = np.zeros((10, 12), np.uint8)
        label[3:8, 3:8] = value
        picture = painted(label_overlay(label, palette))
        inside = (label == value) & ~contours(label)
        assert (picture[inside] == (*palette[value], 153)).all()
        assert (picture[(label == 0) & ~contours(label)][:, 3] == 0).all()
        assert (picture[contours(label)] == 255).all()


def test_ignored_is_hatched_white(rng):
    label = np.zeros((40, 56), np.uint8)
    label[:, 28:] = 255
    picture = painted(label_overlay(label, voc_palette()))
    assert (picture[:, :28, 3] == 0).all()
    assert (picture[:, 28:, :3] == 255).all()  # no class colour, whatever the palette says
    assert len(np.unique(picture[:, 28:, 3])) == 2 and picture[:, 28:, 3].min() > 100
    assert (
        len(label_overlay(rng.choice([0, 3, 255], (9, 9)).astype(np.uint8), voc_palette()).colours)
        == 5
    )


def test_contours_lie_between_classes_only(rng):
    label = rng.choice([0, 1, 2, 255], (12, 15)).astype(np.uint8)
    found = contours(label)
    for y in range(12):
        for x in range(15):
            neighbours = [label[y, x + 1]] if x < 14 else []
            neighbours += [label[y + 1, x]] if y < 11 else []
            expected = any(n != label[y, x] and n != 255 and label[y, x] != 255 for n in neighbours)
            assert found[y, x] == expected


@pytest.mark.parametrize(
    ("size", "expected"), [((500, 375), (320, 240)), ((100, 640), (50, 320)), ((320, 8), (320, 8))]
)
def test_shrinking_keeps_the_proportions_and_never_enlarges(size, expected):
    assert shrink(np.zeros((*size, 3), np.uint8), 320).shape == (*expected, 3)
    assert shrink_label(np.zeros(size, np.uint8), 320).shape == expected
    assert shrink_heat(np.zeros(size), 320).shape == expected


def test_shrinking_a_label_map_makes_no_new_labels(rng):
    label = rng.choice([0, 3, 200, 255], (101, 67)).astype(np.uint8)
    small = shrink_label(label, 40)
    assert set(np.unique(small)) <= {0, 3, 200, 255}
    halves = np.zeros((100, 50), np.uint8)
    halves[50:] = 7
    assert (shrink_label(halves, 20)[:10] == 0).all() and (shrink_label(halves, 20)[10:] == 7).all()


def test_shrinking_heat_keeps_its_mean(rng):
    heat = rng.random((96, 64)).astype(np.float32)
    small = shrink_heat(heat, 24)
    assert (
        small.mean() == pytest.approx(heat.mean(), abs=0.01)
        and 0 <= small.min() <= small.max() <= 1
    )
