"""AffinityNet's crops at any pixel, against the rule of the released code written naively."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pixels import denormalise
from test_affinity_walk import (
    MAKER,
    SIZES,
    TINY,
    context,
    registered_backbone,  # noqa: F401 - a fixture
)
from two_colours import write_items

from wsssbench.files.artefacts import read_cam, read_scores
from wsssbench.files.images import read_image, read_label
from wsssbench.ops.affinity import affinity_labels, block_mean
from wsssbench.ops.cam import upsample
from wsssbench.ops.crf import dense_crf
from wsssbench.refinements.affinity_pixels import PixelCrops, make_scores
from wsssbench.refinements.affinity_training import LabelMaker, make_labels
from wsssbench.refinements.affinity_walk import AffinityWalk


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pixels")
    items = write_items(directory, SIZES)
    return items, make_scores(items, MAKER, directory / "scores", context(directory))


def naive(image, low, high, classes, top, left, crop, stride):
    """Pixels and labels of the crop whose top left corner is at (top, left) of the image; outside all is 0."""
    pixels = np.zeros((crop, crop, 3), np.uint8)
    cells = np.full((crop // stride, crop // stride), 255)
    sums = np.zeros((2, len(low), crop // stride, crop // stride))
    for y in range(crop):
        for x in range(crop):
            if 0 <= top + y < image.shape[0] and 0 <= left + x < image.shape[1]:
                pixels[y, x] = image[top + y, left + x]
                sums[:, :, y // stride, x // stride] += (
                    low[:, top + y, left + x],
                    high[:, top + y, left + x],
                )
    means = sums / stride**2
    for cell in np.ndindex(*cells.shape):
        much, little = (mean[(slice(None), *cell)] for mean in means)
        if much.argmax() > 0:
            cells[cell] = classes[much.argmax() - 1]
        if little.argmax() == 0:
            cells[cell] = 0
        if max(much.max(), little.max()) < 1e-5:
            cells[cell] = 255
    return pixels, cells


@pytest.mark.parametrize("crop", [32, 80])
def test_crops_are_the_released_code_s(made, crop: int) -> None:
    items, scores = made
    data = PixelCrops([i.image for i in items], scores, crop=crop, stride=4, flip=False, seed=3)
    corners = set()
    for position in range(10):
        index = position % len(SIZES)
        draw = data[index, position]
        image = read_image(items[index].image)
        low, high = (read_scores(path) for path in scores[index])
        seen = denormalise(draw["images"].numpy())
        # where the draw begins, found by trying: the crop fits at one place only
        space = [n - crop for n in image.shape[:2]]
        places = [
            (top, left)
            for top in range(min(0, space[0]), max(0, space[0]) + 1)
            for left in range(min(0, space[1]), max(0, space[1]) + 1)
            if _fits(seen, image, top, left)
        ]
        assert len(places) == 1
        corners.add(places[0])
        arguments = (low.planes, high.planes, low.classes, *places[0], crop, 4)
        pixels, cells = naive(image, *arguments)
        np.testing.assert_allclose(seen, pixels, atol=1e-3)  # black outside of the image
        np.testing.assert_array_equal(draw["labels"].numpy(), cells)
    assert any(top % 4 or left % 4 for top, left in corners)


def _fits(seen, image, top, left) -> bool:
    y, x = max(0, -top), max(0, -left)
    part = image[max(0, top) :, max(0, left) :][: len(seen) - y, : len(seen) - x]
    window = seen[y : y + len(part), x : x + part.shape[1]]
    return np.abs(window - part).max() < 0.5


def test_the_walk_trains_on_them_and_leaves_no_scores(tmp_path: Path) -> None:
    items = write_items(tmp_path, SIZES)
    where = context(tmp_path / "fit")
    AffinityWalk(**{**TINY, "crops": "pixels"}).fit(items, 2, where)
    assert (where.directory / "weights.pth").is_file()
    assert not (where.directory / "scores").exists()


def test_labels_with_constant_backgrounds(tmp_path: Path) -> None:
    items = write_items(tmp_path, SIZES[:1])
    maker = LabelMaker(MAKER.alpha, MAKER.crf, 4, (0.3, 0.05))
    (file,) = make_labels(items, maker, tmp_path / "labels", context(tmp_path))
    image, cam = read_image(items[0].image), read_cam(items[0].given)
    maps = upsample(cam.maps, cam.size)
    scores = [
        dense_crf(image, np.concatenate([np.full((1, *cam.size), value), maps]), MAKER.crf)
        for value in (0.3, 0.05)
    ]
    expected = affinity_labels(*(block_mean(one, 4) for one in scores), cam.classes)
    np.testing.assert_array_equal(read_label(file), expected)
    with pytest.raises(ValueError, match=r"alpha=\(2, 9\) has no effect, since backgrounds"):
        AffinityWalk(**{**TINY, "alpha": (2, 9), "backgrounds": (0.3, 0.05)})
