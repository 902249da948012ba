"""Global average pooling and rigid adversarial erasing against their definitions."""

from __future__ import annotations

import math

import naive_aeft as naive
import numpy as np
import pytest
import torch
from tiny_classifier import K, batch, recorder
from wsssbench_baselines.gap import GAP
from wsssbench_baselines.rigid_erasing import RigidErasing

from wsssbench.errors import UserError
from wsssbench.plugins import load


def test_gap_is_the_mean_over_space_and_has_no_attention():
    maps = torch.randn(3, K, 5, 7, dtype=torch.float64)
    pooled = GAP(K)(maps)
    np.testing.assert_allclose(pooled.logits, maps.numpy().sum(axis=(2, 3)) / 35)
    assert pooled.attention is None


def test_gap_sums_half_precision_in_float32():
    maps = torch.full((1, K, 64, 64), 60000.0, dtype=torch.float16)
    assert GAP(K)(maps).logits.dtype == torch.float32
    torch.testing.assert_close(GAP(K)(maps).logits, torch.full((1, K), 60000.0), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"mask": "soft"}, {"present_only": False}, {"threshold": 0.3, "weight": 0.4}],
    ids=str,
)
def test_rigid_erasing_is_the_classification_loss_of_the_erased_image(parameters):
    classifier, given = recorder(GAP(K)), batch()
    output = classifier(given.images)
    erasing = RigidErasing(K, (6,), **parameters)

    losses = erasing.losses(classifier, given, output)

    erased = []
    for image, f, y in zip(given.images, output.maps.detach(), given.labels, strict=True):
        classes = np.flatnonzero(y) if erasing.present_only else range(K)
        fg = naive.foreground(naive.cam(f.numpy()), classes)
        erased.append(naive.masked(image.numpy(), fg, erasing.threshold, erasing.mask == "hard"))
    np.testing.assert_allclose(classifier.seen[1].detach(), erased, rtol=0, atol=1e-6)
    logits = classifier(torch.from_numpy(np.stack(erased))).logits.detach().numpy()
    expected = erasing.weight * naive.binary_cross_entropy(logits, given.labels.numpy())
    assert losses.terms["erased"].item() == pytest.approx(expected, rel=1e-5)


def test_rigid_erasing_trains_the_classifier():
    classifier, given = recorder(GAP(K)), batch()
    RigidErasing(K, (6,)).losses(classifier, given, classifier(given.images)).terms[
        "erased"
    ].backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in classifier.parameters())


def test_weight_zero_does_not_run_the_classifier_again():
    classifier, given = recorder(GAP(K)), batch()
    losses = RigidErasing(K, (6,), weight=0.0).losses(classifier, given, classifier(given.images))
    assert not losses.terms
    assert len(classifier.seen) == 1


@pytest.mark.parametrize("wrong", [{"weight": -1.0}, {"weight": math.inf}, {"threshold": 0.0}])
def test_values_out_of_range_are_one_sentence(wrong):
    (name,) = wrong
    with pytest.raises(UserError, match=f"RigidErasing.*: {name}=.* has to be"):
        load().registries.erasing.build({"type": "RigidErasing", **wrong}, K, (6,))
