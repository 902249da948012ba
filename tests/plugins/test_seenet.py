"""SeeNet against the formula by loops, and a re-implementation's outputs (only inference was released)."""

from __future__ import annotations

import naive_aeft as naive
import numpy as np
import pytest
import torch
from golden import golden
from tiny_classifier import K, batch, recorder
from torch import nn
from torch.nn import functional as F
from wsssbench_baselines.erasings.seenet import SeeNet, ternary
from wsssbench_baselines.gap import GAP

from wsssbench.errors import UserError
from wsssbench.interfaces import Batch, Output
from wsssbench.plugins import load


def seenet(**parameters: float | bool) -> SeeNet:
    torch.manual_seed(1)
    return SeeNet(K, (6,), width=5, **parameters).double()


class Linear(nn.Module):
    """A 1 x 1 head with the given weights, in the place of a branch."""

    def __init__(self, weight: np.ndarray) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(weight).double())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight[:, :, None, None])


@pytest.mark.parametrize("seed", [0, 1])
def test_a_re_implementation(seed: int) -> None:
    """Its masks on every channel, its three linear heads, and all its losses with their gradient."""
    given, wanted, parameters = golden(f"seenet-third-party-{seed}")
    features = torch.from_numpy(given["features"]).double().requires_grad_()
    labels = torch.from_numpy(given["labels"]).double()
    maps = Linear(given["head_a"])(features)
    output = Output((features,), maps, maps.mean((2, 3)), labels=labels)
    erasing = SeeNet(
        20,
        (20,),
        high=parameters["high"],
        low=parameters["low"],
        background=parameters["background_branch"],
        shared=False,
        width=1,
    )
    erasing.rest, erasing.no_object = Linear(given["head_b"]), Linear(given["head_c"])
    attention = erasing.attention(output, labels > 0)
    assert (ternary(attention, erasing.high, erasing.low)[:, 0].numpy() == wanted["ternary"]).all()
    terms = erasing.losses(None, Batch(torch.zeros(3, 3, 1, 1), labels), output).terms
    loss = sum(terms.values()) + F.binary_cross_entropy_with_logits(output.logits, labels)
    loss.backward()
    assert terms["object"].item() == pytest.approx(wanted["loss_b"].item(), abs=1e-7)
    assert terms["background"].item() == pytest.approx(wanted["loss_c"].item(), abs=1e-7)
    assert loss.item() == pytest.approx(wanted["loss"].item(), abs=1e-7)
    seen = given["features"] > 0  # at 0 a ReLU has no gradient, here and behind a network
    np.testing.assert_allclose(
        features.grad.numpy()[seen], wanted["grad_features"][seen], rtol=1e-5, atol=1e-8
    )


@pytest.mark.parametrize("shared", [True, False])
def test_the_losses_and_maps_by_loops(shared: bool) -> None:
    classifier, given = recorder(GAP(K)), batch()
    output = classifier(given.images, given.labels)
    erasing = seenet(high=0.6, low=0.2, object_weight=0.5, background_weight=2.0, shared=shared)
    heads = erasing.rest, erasing.rest if shared else erasing.no_object
    terms = erasing.losses(classifier, given, output).terms
    fused = erasing.maps(classifier, output).detach().numpy()
    seen, none = [], []
    for i, (x, f, y) in enumerate(
        zip(output.features[-1], output.maps.detach().numpy(), given.labels, strict=True)
    ):
        a = naive.relu(f)
        low, high = (g(a, axis=(1, 2), keepdims=True) for g in (np.min, np.max))
        a = (a - low) / np.where(high > low, high - low, 1)
        m = a[np.flatnonzero(y)].max(axis=0)
        t = np.ones(m.shape)
        t[m < 0.2], t[m > 0.6] = -1, 0
        x = x.detach().numpy().clip(min=0)
        masked = torch.from_numpy(np.stack([x * t, x * (m <= 0.4)]))
        b, c = (
            head(one[None])[0].detach().numpy() for head, one in zip(heads, masked, strict=True)
        )
        seen.append(b.mean(axis=(1, 2)))
        none.append(c.mean(axis=(1, 2)))
        b = naive.relu(b)
        low, high = (g(b, axis=(1, 2), keepdims=True) for g in (np.min, np.max))
        b = (b - low) / np.where(high > low, high - low, 1)
        np.testing.assert_allclose(fused[i], np.maximum(a, b), atol=1e-12)
    y = given.labels.numpy()
    expected = (
        0.5 * naive.binary_cross_entropy(np.array(seen), y),
        2 * naive.binary_cross_entropy(np.array(none), np.zeros_like(y)),
    )
    assert [terms["object"].item(), terms["background"].item()] == pytest.approx(expected, rel=1e-9)
    assert len(classifier.seen) == 1  # heads alone, no further pass


def test_no_gradient_passes_the_masks() -> None:
    classifier, given = recorder(GAP(K)), batch()
    for term in seenet().losses(classifier, given, classifier(given.images)).terms.values():
        term.backward(retain_graph=True)
    assert classifier.head.weight.grad is None
    assert classifier.backbone.conv.weight.grad.any()


def test_the_limits_of_the_ternary_mask() -> None:
    attention = torch.tensor([0.0, 0.05, 0.3, 0.7, 1.0])
    assert ternary(attention, 0.7, 0.05).tolist() == [-1, 1, 1, 1, 0]
    assert ternary(attention, 0.7, 0.0).tolist() == [1, 1, 1, 1, 0]  # as released: no sign turns
    assert ternary(attention, 1.0, 0.0).tolist() == [1] * 5


def test_without_weight_there_is_no_branch_of_the_background() -> None:
    classifier, given = recorder(GAP(K)), batch()
    erasing = seenet(background_weight=0.0, shared=False)
    assert erasing.no_object is None
    assert set(erasing.losses(classifier, given, classifier(given.images)).terms) == {"object"}


def test_thresholds_in_the_wrong_order_are_one_sentence() -> None:
    wrong = {"type": "SeeNet", "low": 0.8, "high": 0.5}
    with pytest.raises(UserError, match=r"SeeNet.*: low=0\.8 is above high=0\.5"):
        load().registries.erasing.build(wrong, K, (6,))
