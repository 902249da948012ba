"""OC-CSE against the formula by loops, and against what its released code computed (tests/golden/oc-cse-*.npz)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import naive_aeft as naive
import numpy as np
import pytest
import tiny_occse
import torch
from tiny_classifier import K, batch, recorder
from torch.nn import functional as F
from warm_processes import run_ranks
from wsssbench_baselines.erasings.oc_cse import (
    OCCSE,
    drawn_classes,
    erasing_mask,
    loss_of_others,
)
from wsssbench_baselines.gap import GAP

from wsssbench.interfaces import Batch

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(params=["oc-cse-0", "oc-cse-1"])
def case(request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{request.param}.npz") as file:
        return {name: file[name] for name in file.files if name != "parameters"}


def occse(guide, **parameters):
    return OCCSE(K, (6,), guide=SimpleNamespace(frozen=lambda: guide), **parameters)


def test_the_released_code(case):
    """With its draws, at the weights of three of its 15 epochs; its gradient w.r.t. the maps, too."""
    given = {name: torch.from_numpy(case[f"in.{name}"]) for name in ("image", "labels")}
    chosen = torch.from_numpy(case["in.chosen_class"])
    labels = given["labels"].double()
    convolution, bias, head = (
        torch.from_numpy(case[f"in.guide_{name}"])
        for name in ("conv_weight", "conv_bias", "head_weight")
    )

    def guide(images: torch.Tensor) -> torch.Tensor:
        features = F.conv2d(images, convolution, bias, stride=2, padding=1).relu()
        return torch.einsum("nchw,kc->nk", features, head) / features[0, 0].numel()

    for epoch in (0, 5, 14):
        maps = torch.from_numpy(case["in.maps"]).requires_grad_()
        mask = erasing_mask(maps, chosen, tuple(given["image"].shape[2:]))
        erased = given["image"] * (1 - mask)
        loss = loss_of_others(guide(erased), labels, chosen)
        # (weight + slope * progress) as a parameter of OCCSE has it
        weight = 0.3 + 0.75 * epoch / 15
        whole = F.binary_cross_entropy_with_logits(maps.mean((2, 3)), labels) + weight * loss
        whole.backward()
        np.testing.assert_allclose(mask.detach(), case["out.mask"], rtol=0, atol=1e-12)
        np.testing.assert_allclose(erased.detach(), case["out.masked_image"], atol=1e-12)
        assert weight == pytest.approx(case[f"out.weight_epoch{epoch}"])
        assert whole.item() == pytest.approx(case[f"out.loss_epoch{epoch}"].item(), abs=1e-9)
        np.testing.assert_allclose(maps.grad, case[f"out.grad_maps_epoch{epoch}"], atol=1e-12)


@pytest.mark.parametrize("progress", [0.0, 0.4])
def test_the_loss_by_loops(progress):
    classifier, plain = recorder(GAP(K)), batch()
    labels = plain.labels.clone()
    labels[2] = 0  # without a class
    given = Batch(plain.images, labels, progress)
    output = classifier(given.images)
    chosen = drawn_classes(given)
    maps = output.maps.detach().numpy()
    enlarged = [
        naive.resize(maps[i, r], given.images.shape[2:]).clip(min=0) if r >= 0 else 0
        for i, r in enumerate(chosen)
    ]
    peak = max(np.max(one) for one in enlarged)
    losses = []
    for i, r in enumerate(chosen):
        erased = given.images[i].numpy() * (1 - enlarged[i] / (peak + 1e-5))
        logits = classifier(torch.from_numpy(erased)[None]).logits.detach().numpy()[0]
        rest = [float(labels[i, k]) if k != r else 0.0 for k in range(K)]
        losses.append(naive.binary_cross_entropy(logits[None], np.array([rest])) if r >= 0 else 0)
    erasing = occse(classifier, weight=0.2, slope=0.5)
    term = erasing.losses(classifier, given, output).terms["others"]
    assert term.item() == pytest.approx((0.2 + 0.5 * progress) * np.mean(losses), abs=1e-10)
    assert chosen[2] == -1


def test_each_class_of_an_image_is_drawn_alike():
    labels = torch.tensor([[1.0, 0.0, 1.0, 1.0]]).repeat(3000, 1)
    images = torch.zeros(len(labels), 3, 1, 1)
    counts = Counter(drawn_classes(Batch(images, labels, positions=torch.arange(3000))))
    assert counts.keys() == {0, 2, 3} and min(counts.values()) > 900


def test_images_without_any_class_give_no_gradient_that_is_not_finite():
    classifier, given = recorder(GAP(K)), batch()
    given = Batch(given.images, torch.zeros_like(given.labels))
    term = occse(classifier).losses(classifier, given, classifier(given.images)).terms["others"]
    term.backward()
    assert term == 0 and classifier.head.weight.grad.isfinite().all()


@pytest.mark.slow
def test_two_ranks_learn_what_one_does(tmp_path):
    """Also through the maximum of the whole batch, which one of them has."""
    program = Path(tiny_occse.__file__)
    run_ranks(2, program, tmp_path / "two", output=tmp_path)
    one = torch.load(tiny_occse.run(tmp_path / "one"), weights_only=True)
    two = torch.load(tmp_path / "two" / "weights.pth", weights_only=True)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6, msg=name)
