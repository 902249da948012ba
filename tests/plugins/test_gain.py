"""GAIN against the formula by loops, and against the masks of two re-implementations (no code was released)."""

from __future__ import annotations

import math
from dataclasses import replace

import naive_aeft as naive
import numpy as np
import pytest
import torch
from golden import golden
from tiny_classifier import K, batch, recorder
from torch.nn import functional as F
from wsssbench_baselines.erasings.gain import GAIN, erase
from wsssbench_baselines.gap import GAP

SEEDS = pytest.mark.parametrize("seed", [0, 1])


@SEEDS
def test_the_mask_of_one_re_implementation(seed: int) -> None:
    """Its minimum and maximum are constants; at the image's size nothing is enlarged."""
    given, wanted, parameters = golden(f"gain-third-party-2-mask-{seed}")
    attention = torch.from_numpy(given["attention"]).requires_grad_()
    low, high = attention.detach().min(), attention.detach().max()
    image = torch.from_numpy(given["image"])[None]
    masked = erase(image, ((attention - low) / (high - low))[None, None], **parameters)
    masked.square().sum().backward()
    np.testing.assert_allclose(masked[0].detach(), wanted["masked_image"], atol=1e-6)
    np.testing.assert_allclose(attention.grad, wanted["grad_attention"], rtol=1e-5, atol=1e-5)


@SEEDS
def test_the_erased_images_of_another_re_implementation(seed: int) -> None:
    """Its attention, with extremes of the whole batch and aligned corners, erased by us: its loss and gradients."""
    given, wanted, parameters = golden(f"gain-third-party-1-{seed}")
    image, label = (torch.from_numpy(given[name]) for name in ("image", "label"))
    names = ("conv_weight", "conv_bias", "head_weight", "head_bias")
    conv, conv_bias, head, head_bias = parts = [
        torch.from_numpy(given[name]).requires_grad_() for name in names
    ]

    def features(x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, conv, conv_bias, stride=2, padding=1).relu()

    def logits(x: torch.Tensor) -> torch.Tensor:
        return F.linear(features(x).mean((2, 3)), head, head_bias)

    own = torch.einsum("nchw,nc->nhw", features(image), head.detach()[label]).relu()[:, None]
    own = F.interpolate(own, image.shape[2:], mode="bilinear", align_corners=True)
    attention = (own - own.min()) / (own.max() - own.min())
    erased = logits(erase(image, attention, parameters["omega"], parameters["sigma"]))
    loss = parameters["weight_classification"] * F.cross_entropy(logits(image), label)
    loss = loss + parameters["weight_mining"] * erased.softmax(1).amax(1).mean()
    loss.backward()
    np.testing.assert_allclose(erased.detach(), wanted["logits_masked"], atol=1e-9)
    assert loss.item() == pytest.approx(wanted["loss"].item(), abs=1e-9)
    for name, part in zip(names, parts, strict=True):
        np.testing.assert_allclose(part.grad, wanted[f"grad_{name}"], atol=1e-9)


@pytest.mark.parametrize("parameters", [{}, {"weight": 0.3, "omega": 40.0, "sigma": 0.2}], ids=str)
def test_the_loss_by_loops(parameters: dict[str, float]) -> None:
    classifier, given = recorder(GAP(K)), batch()
    given = replace(given, labels=given.labels.clone())
    given.labels[2] = 0  # without a class
    output = classifier(given.images)
    erasing = GAIN(K, (6,), **parameters)
    means = []
    for image, f, y in zip(given.images, output.maps.detach().numpy(), given.labels, strict=True):
        probabilities = []
        for c in np.flatnonzero(y):
            a = naive.resize(naive.relu(f[c]) / naive.relu(f[c]).max(), image.shape[1:])
            t = 1 / (1 + np.exp(-erasing.omega * (a - erasing.sigma)))
            z = classifier(image[None] - torch.from_numpy(t) * image[None]).logits[0, c].item()
            probabilities.append(1 / (1 + math.exp(-z)))
        means.append(np.mean(probabilities) if probabilities else 0)
    loss = erasing.losses(classifier, given, output).terms["mining"]
    assert loss.item() == pytest.approx(erasing.weight * np.mean(means), rel=1e-9)


def test_the_limits_of_the_mask() -> None:
    """A steep one is a threshold; sigma far above the attention leaves the image, far below erases it."""
    images, attention = batch().images, torch.rand(4, 1, 24, 20, dtype=torch.float64)
    hard = images * (attention < 0.5)
    torch.testing.assert_close(erase(images, attention, 1e6, 0.5), hard, rtol=0, atol=1e-6)
    torch.testing.assert_close(erase(images, 0 * attention, 1e3, 1.0), images)
    assert not erase(images, 1 + 0 * attention, 1e3, 0.0).any()


def test_the_scale_of_the_maps_does_not_matter_to_the_mask() -> None:
    classifier, given = recorder(GAP(K)), batch()
    output = classifier(given.images)
    for scale in (1.0, 1e-3, 1e3):
        GAIN(K, (6,)).losses(classifier, given, replace(output, maps=scale * output.maps))
    first, *others = classifier.seen[1:]
    for other in others:
        torch.testing.assert_close(other, first)
    assert len(first) == int(given.labels.sum())  # one image per present class


def test_the_gradient_passes_the_mask_of_present_classes_alone() -> None:
    classifier, given = recorder(GAP(K)), batch()
    output = classifier(given.images)
    maps = output.maps.detach().requires_grad_()
    GAIN(K, (6,)).losses(classifier, given, replace(output, maps=maps)).terms["mining"].backward()
    reached = maps.grad.abs().sum((2, 3)) > 0
    assert torch.equal(reached, given.labels > 0)
    assert all(p.grad.isfinite().all() and p.grad.any() for p in classifier.parameters())


def test_nothing_to_erase_is_no_loss_and_no_pass() -> None:
    classifier, given = recorder(GAP(K)), batch()
    output = classifier(given.images)
    assert not GAIN(K, (6,), weight=0.0).losses(classifier, given, output).terms
    empty = replace(given, labels=torch.zeros_like(given.labels))
    assert GAIN(K, (6,)).losses(classifier, empty, output).terms["mining"] == 0
    assert len(classifier.seen) == 1
