"""ACoL against its released code's outputs and the formula by loops."""

from __future__ import annotations

from dataclasses import replace

import naive_aeft as naive
import numpy as np
import pytest
import torch
from golden import golden
from tiny_classifier import K, batch, recorder
from torch import Tensor
from torch.nn import functional as F
from wsssbench_baselines.erasings.acol import ACoL
from wsssbench_baselines.erasings.branches import min_max, present
from wsssbench_baselines.gap import GAP

from wsssbench.interfaces import Output


def acol(**parameters: float) -> ACoL:
    torch.manual_seed(1)
    return ACoL(K, (6,), width=5, **parameters).double()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_released_code(seed: int) -> None:
    """With its pooled features, its first head, and its softmax, which are not ours."""
    given, wanted, parameters = golden(f"acol-{seed}")
    given = {name: torch.from_numpy(value) for name, value in given.items()}
    features = given["features"].requires_grad_()
    pooled = F.avg_pool2d(features, 3, stride=1, padding=1)
    x = pooled
    for i, padding in ((1, 1), (2, 1), (3, 0)):
        x = x.relu() if i > 1 else x
        x = F.conv2d(x, given[f"head_a_w{i}"], given[f"head_a_b{i}"], padding=padding)
    labels = F.one_hot(given["label"], 4).double()
    erasing = ACoL(4, (6,), width=5, threshold=parameters["threshold"]).double()
    erasing.head.load_state_dict(
        {
            f"{2 * i - 2}.{name}": given[f"head_b_{short}{i}"]
            for i in (1, 2, 3)
            for name, short in (("weight", "w"), ("bias", "b"))
        }
    )
    output = Output((pooled,), x, x.mean((2, 3)), labels=labels)
    erased = erasing.erased(output, labels > 0)
    second = erasing.head(erased)
    ours = [F.cross_entropy(maps.mean((2, 3)), given["label"]) for maps in (x, second)]
    sum(ours).backward()

    def close(seen: Tensor, name: str) -> None:
        np.testing.assert_allclose(seen.detach(), wanted[name], rtol=0, atol=1e-12)

    close(erased, "erased_features")
    close(second, "map_b")
    close(sum(ours), "loss")
    close(features.grad, "grad_features")
    close(erasing.head[4].weight.grad, "grad_head_b_w3")
    close(erasing.maps(None, output), "fused")


def test_the_loss_by_loops() -> None:
    classifier, given = recorder(GAP(K)), batch()
    labels = given.labels.clone()
    labels[3] = 0  # without a class nothing is erased
    output = classifier(given.images)
    erasing = acol(weight=0.7, threshold=0.4)
    loss = erasing.losses(classifier, replace(given, labels=labels), output).terms["complement"]
    logits = []
    for x, f, y in zip(output.features[-1], output.maps.detach().numpy(), labels, strict=True):
        attention = np.zeros(f.shape[1:])
        for c in np.flatnonzero(y):
            attention = np.maximum(attention, (f[c] - f[c].min()) / (f[c].max() - f[c].min()))
        maps = erasing.head(x[None] * torch.from_numpy(attention < 0.4))
        logits.append(maps[0].detach().numpy().mean(axis=(1, 2)))
    expected = 0.7 * naive.binary_cross_entropy(np.array(logits), labels.numpy())
    assert loss.item() == pytest.approx(expected, rel=1e-9)
    assert len(classifier.seen) == 1  # heads alone, no further pass


def test_no_gradient_passes_the_mask() -> None:
    classifier, given = recorder(GAP(K)), batch()
    acol().losses(classifier, given, classifier(given.images)).terms["complement"].backward()
    assert classifier.head.weight.grad is None
    assert classifier.backbone.conv.weight.grad.any()


def test_the_mask_is_that_of_any_scale_and_offset_of_the_maps() -> None:
    classifier, given = recorder(GAP(K)), batch()
    output = classifier(given.images)
    moved = replace(output, maps=3 * output.maps - 7)
    first, second = (acol().erased(one, given.labels > 0) for one in (output, moved))
    assert torch.equal(first, second) and not torch.equal(first, output.features[-1])


def test_constant_maps_are_zero() -> None:
    assert not min_max(torch.full((2, 3, 4, 5), -2.0)).any()


def test_unknown_labels_are_the_predicted_ones() -> None:
    output = Output((), torch.zeros(1, 3, 1, 1), torch.tensor([[2.0, -1.0, 0.5]]))
    assert present(output).tolist() == [[True, False, True]]
    known = replace(output, labels=torch.tensor([[0.0, 1.0, 0.0]]))
    assert present(known).tolist() == [[False, True, False]]
