"""Boundary IoU against the definition, written with erosions of one region at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from wsssbench.evaluation.boundary import (
    Boundaries,
    boundary_counts,
    boundary_scores,
    near_contour,
    width,
)
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.evaluation.class_rates import class_rates
from wsssbench.evaluation.confusion import class_counts, confusion_of_labels, metrics
from wsssbench.files.images import write_label

GOLDEN = Path(__file__).parents[1] / "golden"
SHAPES = [(1, 1), (1, 7), (2, 2), (3, 5), (5, 60), (40, 40), (61, 97), (150, 90)]


def naive(predicted, mask, num_classes):
    """By class: the region less its d-fold erosion by a 3 x 3 square, no pixel outside of the image being its own."""
    d, judged = width(mask.shape), mask != 255

    def boundary(region):
        inside = ndimage.binary_erosion(region, np.ones((3, 3)), iterations=d, border_value=0)
        return region & ~inside

    found = []
    for value in range(num_classes + 1):
        g, p = (boundary((labels == value) & judged) for labels in (mask, predicted))
        found.append(((g & p).sum(), p.sum(), g.sum()))
    return np.array(found).T


def blobs(rng, shape, values):
    """Regions of some size, with single pixels here and there."""
    small = rng.choice(values, (shape[0] // 9 + 1, shape[1] // 9 + 1))
    labels = np.kron(small, np.ones((9, 9), int))[: shape[0], : shape[1]].astype(np.uint8)
    odd = rng.random(shape) < 0.01
    return np.where(odd, rng.choice(values, shape), labels).astype(np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_counts_are_those_of_the_definition(shape):
    rng = np.random.default_rng(sum(shape))
    for _ in range(10):
        mask, predicted = (blobs(rng, shape, [0, 1, 2, 3, 255]) for _ in range(2))
        predicted = np.where(rng.random(shape) < 0.8, mask, predicted)
        found = boundary_counts(predicted, mask, 3)
        assert np.array_equal(np.stack(list(vars(found).values())), naive(predicted, mask, 3))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("ratio", [0.02, 0.1])
def test_boundaries_are_the_released_ones(seed, ratio):
    """mask_to_boundary of boundary-iou-api, of every class."""
    case = np.load(GOLDEN / f"boundary-iou-{seed}.npz")
    mask, predicted = case["in.gt"], case["in.pred"]
    d = width(mask.shape, ratio)
    found = {}
    for name, labels in (("gt", mask), ("pred", predicted)):
        wanted = case[f"out.{name}_boundary_{ratio}"].astype(bool)
        near = near_contour(labels, d)
        found[name] = np.stack([near & (labels == value) for value in range(len(wanted))])
        assert np.array_equal(found[name], wanted)
    both = (found["pred"] & found["gt"]).sum((1, 2)) / (found["pred"] | found["gt"]).sum((1, 2))
    np.testing.assert_allclose(both, np.diagonal(case[f"out.iou_pred_gt_{ratio}"]), atol=1e-12)


@pytest.mark.parametrize("d", [1, 2, 3, 5, 8])
def test_a_pixel_is_near_if_its_square_is_mixed_or_leaves_the_image(d):
    rng = np.random.default_rng(d)
    labels = blobs(rng, (40, 33), [0, 7, 255])
    padded = np.pad(labels.astype(int), d, constant_values=-1)
    expected = [
        [len(np.unique(padded[y : y + 2 * d + 1, x : x + 2 * d + 1])) > 1 for x in range(33)]
        for y in range(40)
    ]
    assert np.array_equal(near_contour(labels, d), expected)


def test_width_is_two_per_cent_of_the_diagonal_and_at_least_a_pixel():
    assert width((375, 500)) == 12 and width((128, 128)) == 4 and width((3, 3)) == 1


def test_what_is_right_wherever_it_is_judged_has_100():
    rng = np.random.default_rng(1)
    mask = blobs(rng, (60, 80), [0, 1, 2, 255])
    predicted = np.where(mask == 255, 1, mask).astype(np.uint8)
    counts = boundary_counts(predicted, mask, 2)
    one = ClassCounts(*(part[None] for part in vars(counts).values()))
    of = boundary_scores(one)
    assert of == {"miou": 100, "precision": 100, "recall": 100, "threshold": None}


def test_a_contour_that_is_off_costs_more_than_in_miou():
    mask, predicted = np.zeros((2, 200, 200), np.uint8)
    mask[50:150, 50:150], predicted[53:153, 53:153] = 1, 1
    counts = boundary_counts(predicted, mask, 1)
    boundary = boundary_scores(ClassCounts(*(part[None] for part in vars(counts).values())))
    assert boundary["miou"] < metrics(confusion_of_labels(predicted, mask, 1)).miou - 20


def test_images_are_kept_one_by_one_and_merged(tmp_path):
    rng = np.random.default_rng(2)
    masks = {f"a{i}": blobs(rng, (30, 40), [0, 1, 2]) for i in range(4)}
    for id, mask in masks.items():
        write_label(tmp_path / f"{id}.png", np.roll(mask, 2, 1))
    parts = [Boundaries(tmp_path, 2) for _ in range(2)]
    for at, (id, mask) in enumerate(masks.items()):
        parts[at % 2].add(id, mask)
    parts[0].merge(parts[1])
    counts = parts[0].image_counts(list(masks))
    for row, mask in enumerate(masks.values()):
        expected = naive(np.roll(mask, 2, 1), mask, 2)
        assert np.array_equal([part[row] for part in vars(counts).values()], expected)


def test_precision_and_recall_per_class_have_the_means_of_the_evaluation():
    rng = np.random.default_rng(3)
    mask, predicted = (rng.choice([0, 1, 2, 4, 255], (50, 50)).astype(np.uint8) for _ in range(2))
    predicted[predicted == 4] = 3  # 4 occurs and is never predicted, 3 the other way round
    confusion = confusion_of_labels(predicted, mask, 4)
    rates = class_rates(class_counts(confusion), list("bwxyz"))
    judged = mask != 255
    for name, value in (("b", 0), ("w", 1), ("x", 2)):
        right = ((mask == value) & (predicted == value)).sum()
        p, t = ((predicted == value) & judged).sum(), (mask == value).sum()
        assert rates["class_precision"][name] == pytest.approx(100 * right / p)
        assert rates["class_recall"][name] == pytest.approx(100 * right / t)
    assert rates["class_precision"]["z"] == rates["class_recall"]["z"] == 0
    assert "y" not in rates["class_precision"]
    of = metrics(confusion)
    assert np.mean(list(rates["class_precision"].values())) == pytest.approx(of.precision)
    assert np.mean(list(rates["class_recall"].values())) == pytest.approx(of.recall)
