from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from wsssbench.ops.affinity import (
    affinity_labels,
    affinity_loss,
    block_mean,
    pair_affinities,
    pair_offsets,
    pair_targets,
)


@pytest.mark.parametrize("radius", [2, 3, 5])
def test_offsets_hold_every_unordered_pair_once(radius: int) -> None:
    span = range(-radius, radius + 1)
    near = {(y, x) for y in span for x in span if 0 < x * x + y * y < radius * radius}
    offsets = pair_offsets(radius)
    both = offsets + [(-dy, -dx) for dy, dx in offsets]
    assert len(both) == len(set(both))
    assert set(both) == near
    assert all(dy >= 0 for dy, _ in offsets)


def test_psa_has_34_offsets() -> None:
    offsets = pair_offsets(5)
    assert len(offsets) == 34
    assert [dx for dy, dx in offsets if dy == 0] == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="radius"):
        pair_offsets(1)


@pytest.mark.parametrize("size", [(16, 24), (13, 9), (3, 5)])
def test_block_mean_pads_with_zeros(size: tuple[int, int]) -> None:
    scores = np.random.default_rng(0).random((2, *size)).astype(np.float32)
    result = block_mean(scores, 8)
    rows, columns = math.ceil(size[0] / 8), math.ceil(size[1] / 8)
    assert result.shape == (2, rows, columns)
    for y in range(rows):
        for x in range(columns):
            block = scores[:, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8]
            np.testing.assert_allclose(result[:, y, x], block.sum(axis=(1, 2)) / 64, rtol=1e-5)


def test_affinity_labels_rule() -> None:
    # columns: sure class, ignored, sure background, both rules fire, no score
    low = np.array([[0.1, 0.6, 0.9, 0.1, 0], [0.2, 0.3, 0.0, 0.3, 0], [0.7, 0.2, 0.1, 0.6, 0]])
    high = np.array([[0.0, 0.1, 0.8, 0.9, 0], [0.2, 0.8, 0.1, 0.0, 0], [0.7, 0.1, 0.1, 0.1, 0]])
    labels = affinity_labels(low[:, None], high[:, None], np.array([3, 15], np.uint8))
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[15, 255, 0, 0, 255]]


def test_affinity_labels_against_the_rule_per_pixel() -> None:
    rng = np.random.default_rng(3)
    classes = np.array([2, 7, 9], np.uint8)
    low, high = rng.random((4, 6, 7)), rng.random((4, 6, 7))
    low[:, 0], high[:, 0] = 1e-6, 1e-6
    high[:, 1] = 1e-6
    labels = affinity_labels(low, high, classes)
    for y in range(6):
        for x in range(7):
            a, b = low[:, y, x], high[:, y, x]
            if max(a.max(), b.max()) < 1e-5:
                expected = 255
            elif b.argmax() == 0:
                expected = 0
            else:
                expected = classes[a.argmax() - 1] if a.argmax() else 255
            assert labels[y, x] == expected


def test_a_place_is_ignored_only_if_no_score_of_either_crf_reaches_1e_5() -> None:
    # columns: below in both; reached by the high one only, by the low one only; in both just above
    low = np.array([[4e-6, 1e-6, 1e-6, 1e-6], [9e-6, 2e-6, 1.1e-5, 5e-4]])
    high = np.array([[9e-6, 1.1e-5, 2e-6, 1e-6], [4e-6, 1e-6, 3e-6, 5e-4]])
    labels = affinity_labels(low[:, None], high[:, None], np.array([4], np.uint8))
    assert labels.tolist() == [[255, 0, 4, 4]]


def test_half_precision_features_are_compared_in_float32() -> None:
    torch.manual_seed(5)
    offsets = pair_offsets(3)
    for dtype in (torch.bfloat16, torch.float16):
        features = (torch.rand(1, 448, 4, 4) + 40).to(dtype)  # small differences of large values
        affinities = pair_affinities(features, offsets)
        assert affinities.dtype == torch.float32
        assert torch.equal(affinities, pair_affinities(features.float(), offsets))


def test_image_without_classes_is_background() -> None:
    ones = np.ones((1, 2, 2), np.float32)
    assert (affinity_labels(ones, ones, np.zeros(0, np.uint8)) == 0).all()


def naive_pairs(h: int, w: int, radius: int) -> list[tuple[int, int, int, int, int]]:
    return [
        (p, y, x, y + dy, x + dx)
        for p, (dy, dx) in enumerate(pair_offsets(radius))
        for y in range(h)
        for x in range(w)
        if y + dy < h and 0 <= x + dx < w
    ]


@pytest.mark.parametrize("size", [(6, 7), (3, 2), (1, 9)])
def test_affinities_and_targets_against_loops(size: tuple[int, int]) -> None:
    offsets = pair_offsets(5)
    torch.manual_seed(0)
    features = torch.randn(2, 4, *size)
    labels = torch.from_numpy(
        np.random.default_rng(1).choice([0, 0, 1, 2, 255], (2, *size)).astype(np.uint8)
    )
    affinities = pair_affinities(features, offsets)
    targets = pair_targets(labels, offsets)
    expected = torch.zeros(2, len(offsets), *size)
    kinds = torch.zeros(3, 2, len(offsets), *size, dtype=torch.bool)
    for n in range(2):
        for p, y, x, v, u in naive_pairs(*size, 5):
            expected[n, p, y, x] = math.exp(
                -float((features[n, :, y, x] - features[n, :, v, u]).abs().mean())
            )
            i, j = int(labels[n, y, x]), int(labels[n, v, u])
            if 255 not in (i, j):
                kinds[2 if i != j else int(i != 0), n, p, y, x] = True
    torch.testing.assert_close(affinities, expected)
    for kind, target in zip(kinds, targets, strict=True):
        assert torch.equal(kind, target)


def test_affinity_gradient() -> None:
    torch.manual_seed(1)
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    offsets = pair_offsets(3)
    assert torch.autograd.gradcheck(lambda f: pair_affinities(f, offsets), features)


def test_loss_against_the_formula() -> None:
    torch.manual_seed(2)
    affinities = torch.rand(2, 34, 5, 6)
    kind = torch.randint(0, 4, affinities.shape)
    masks = (kind == 0, kind == 1, kind == 2)
    background, same, different = affinity_loss(affinities, *masks)
    a = affinities.double().numpy()
    chosen = [a[mask.numpy()] for mask in masks]
    assert background.item() == pytest.approx(-np.log(chosen[0] + 1e-5).mean() / 4, rel=1e-4)
    assert same.item() == pytest.approx(-np.log(chosen[1] + 1e-5).mean() / 4, rel=1e-4)
    assert different.item() == pytest.approx(-np.log(1 + 1e-5 - chosen[2]).mean() / 2, rel=1e-4)


def test_loss_of_features_and_labels_pair_by_pair() -> None:
    """From features and label map to the loss with nothing but loops."""
    torch.manual_seed(4)
    features = torch.randn(2, 5, 7, 6, dtype=torch.float64)
    labels = torch.from_numpy(
        np.random.default_rng(4).choice([0, 0, 1, 2, 255], (2, 7, 6)).astype(np.uint8)
    )
    costs: dict[str, list[float]] = {"background": [], "same": [], "different": []}
    for n in range(2):
        for _, y, x, v, u in naive_pairs(7, 6, 5):
            i, j = int(labels[n, y, x]), int(labels[n, v, u])
            if 255 in (i, j):
                continue
            distance = sum(
                abs(float(features[n, c, y, x] - features[n, c, v, u])) for c in range(5)
            )
            a = math.exp(-distance / 5)
            if i != j:
                costs["different"].append(-math.log(1 + 1e-5 - a))
            else:
                costs["same" if i else "background"].append(-math.log(a + 1e-5))
    means = {kind: sum(values) / len(values) for kind, values in costs.items()}
    expected = means["background"] / 4 + means["same"] / 4 + means["different"] / 2
    offsets = pair_offsets(5)
    terms = affinity_loss(pair_affinities(features, offsets), *pair_targets(labels, offsets))
    assert float(sum(terms)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("label", [0, 3, 255])
def test_loss_is_finite_when_terms_have_no_pairs(label: int) -> None:
    # Equal: affinity 1, log(1 - a) at its worst.
    features = torch.zeros(1, 4, 5, 5, requires_grad=True)
    labels = torch.full((1, 5, 5), label, dtype=torch.uint8)
    offsets = pair_offsets(5)
    terms = affinity_loss(pair_affinities(features, offsets), *pair_targets(labels, offsets))
    assert all(torch.isfinite(term) for term in terms)
    sum(terms).backward()
    assert torch.isfinite(features.grad).all()
    assert terms[2] == 0


def test_descent_separates_two_regions() -> None:
    labels = torch.zeros(1, 6, 6, dtype=torch.uint8)
    labels[..., 3:] = 5
    offsets = pair_offsets(3)
    targets = pair_targets(labels, offsets)
    torch.manual_seed(0)
    features = torch.randn(1, 8, 6, 6, requires_grad=True)
    optimiser = torch.optim.Adam([features], lr=0.1)
    for _ in range(100):
        optimiser.zero_grad()
        sum(affinity_loss(pair_affinities(features, offsets), *targets)).backward()
        optimiser.step()
    affinities = pair_affinities(features.detach(), offsets)
    assert affinities[targets[0] | targets[1]].mean() > 0.7
    assert affinities[targets[2]].mean() < 0.4
