"""ReCAM against its formulas in loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_classifier import K, TinyBackbone, batch, recorder
from wsssbench_baselines.gap import GAP
from wsssbench_baselines.objectives.recam import ReCAM

from wsssbench.errors import UserError
from wsssbench.interfaces import Batch, Classifier


def test_the_loss_in_loops() -> None:
    classifier, given = recorder(GAP(K)), batch()
    objective = ReCAM(K, (6,), weight=0.7).double()
    output = classifier(given.images)
    seen = objective.losses(classifier, given, output).terms["softmax"]

    u = objective.head.weight[:, :, 0, 0].detach().numpy()
    images = []
    for f, x, y in zip(output.maps, output.features[-1], given.labels, strict=True):
        f, x = f.detach().numpy(), x.detach().numpy()
        losses = []
        for k in np.flatnonzero(y):
            cam = np.maximum(f[k], 0) / np.maximum(f[k], 0).max()
            logits = u @ (cam * x).mean(axis=(1, 2))
            losses.append(np.log(np.exp(logits).sum()) - logits[k])
        images.append(np.mean(losses))
    assert seen.item() == pytest.approx(0.7 * np.mean(images), rel=1e-6)


def test_images_without_a_class_count_as_nothing() -> None:
    classifier, given = recorder(GAP(K)), batch()
    objective = ReCAM(K, (6,)).double()

    def loss(labels: torch.Tensor) -> float:
        output = classifier(given.images)
        return (
            objective.losses(classifier, Batch(given.images, labels), output)
            .terms["softmax"]
            .item()
        )

    halves = []
    for kept in (slice(2), slice(2, None)):
        labels = torch.zeros_like(given.labels)
        labels[kept] = given.labels[kept]
        halves.append(loss(labels))
    assert loss(given.labels) == pytest.approx(sum(halves), rel=1e-9)
    assert loss(torch.zeros_like(given.labels)) == 0


def test_the_whole_network_learns_and_absent_classes_do_not() -> None:
    classifier, given = recorder(GAP(K)), batch()
    objective = ReCAM(K, (6,)).double()
    loss = objective.losses(classifier, given, classifier(given.images)).terms["softmax"]
    loss.backward()
    learns = classifier.head.weight.grad.flatten(1).any(dim=1)
    assert learns.tolist() == (given.labels.sum(dim=0) > 0).tolist() != [True] * K
    assert classifier.backbone.conv.weight.grad.any() and objective.head.weight.grad.any()


@pytest.mark.parametrize("activation", ["product", "own", "classifier"])
def test_cams_come_from_both_heads(activation: str) -> None:
    classifier, given = recorder(GAP(K)), batch()
    objective = ReCAM(K, (6,), activation=activation).double()  # type: ignore[arg-type]
    output = classifier(given.images)
    w, u = classifier.head.weight[:, :, 0, 0], objective.head.weight[:, :, 0, 0]
    weight = {"product": w * u, "own": u, "classifier": w}[activation]
    expected = torch.einsum("kc,nchw->nkhw", weight, output.features[-1])
    torch.testing.assert_close(objective.maps(classifier, output), expected)
    if activation == "classifier":
        torch.testing.assert_close(expected, output.maps)


def test_a_hidden_layer_is_refused() -> None:
    classifier = Classifier(TinyBackbone(), GAP(K), K, hidden=5).double()
    given = batch()
    with pytest.raises(UserError, match=r"ReCAM.*set classifier\.hidden=0"):
        ReCAM(K, (6,)).losses(classifier, given, classifier(given.images))
