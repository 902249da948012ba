from __future__ import annotations

import numpy as np
import pytest
from page_reader import decode, rgba

from wsssbench.files.images import voc_palette
from wsssbench.pages.pictures import heat_overlay, label_overlay
from wsssbench.pages.thumbnails import encode_layer, encode_overlay, encode_photo, fit
from wsssbench.results.run import GalleryRow, Layer


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("classes", [1, 3, 20, 254])
def test_a_label_map_is_kept_without_loss(rng, classes):
    label = rng.integers(0, classes + 1, (60, 80)).astype(np.uint8)
    overlay = label_overlay(label, voc_palette())
    address = encode_layer(label, 320, voc_palette())
    assert decode(address).format == "PNG"
    assert (rgba(address) == overlay.colours[overlay.indices]).all()


def test_heat_is_kept_in_its_levels(rng):
    overlay = heat_overlay(rng.random((30, 40)))
    assert (rgba(encode_overlay(overlay)) == overlay.colours[overlay.indices]).all()


def test_photos_are_shrunk(rng):
    photo = rng.integers(0, 256, (375, 500, 3), dtype=np.uint8)
    address, width, height = encode_photo(photo, 320, 80)
    image = decode(address)
    assert image.format == "JPEG" and image.size == (width, height) == (320, 240)
    assert encode_photo(photo, 1000, 80)[1:] == (500, 375)


def test_layers_are_smaller_than_their_photo(rng):
    assert max(decode(encode_layer(rng.random((400, 300)), 320, voc_palette())).size) == 80
    label = np.zeros((400, 300), np.uint8)
    assert decode(encode_layer(label, 320, voc_palette())).size == (240, 320)


def test_the_largest_size_that_fits_is_taken(rng):
    photo = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    rows = [GalleryRow(str(i), photo, [Layer("CAM", rng.random((64, 48)))]) for i in range(6)]
    sizes = [fit(rows, budget, voc_palette())[0].width for budget in (10**7, 400_000, 100_000)]
    assert sizes[0] == 448 and sizes == sorted(sizes, reverse=True) and sizes[2] <= 200
    for budget in (400_000, 100_000):
        made = fit(rows, budget, voc_palette())
        assert len(made) == 6 and sum(one.bytes for one in made) <= budget


def test_what_fits_in_no_size_is_dropped_from_the_end(rng):
    photo = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)
    rows = [GalleryRow(str(i), photo, []) for i in range(4)]
    smallest = len(encode_photo(photo, 96, 50)[0])
    assert [t.id for t in fit(rows, int(2.5 * smallest), voc_palette())] == ["0", "1"]
    assert fit([], 1000, voc_palette()) == []
