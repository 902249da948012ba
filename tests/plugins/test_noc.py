"""NOC against its released code's outputs (two steps of P-NOC), and what each of its losses may reach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_noc
import torch
from golden import golden
from tiny_classifier import K, batch, recorder
from torch import Tensor, nn
from torch.nn import functional as F
from warm_processes import run_ranks
from wsssbench_baselines.erasings import noc
from wsssbench_baselines.erasings.noc import NOC, chosen_activation, hard_masked, soft_masked
from wsssbench_baselines.gap import GAP

from wsssbench.interfaces import Backbone, Batch, Classifier
from wsssbench.models.classifier import build_classifier
from wsssbench.stages.handles import ClassifierFile
from wsssbench.training.optimizer import build_optimizer
from wsssbench.training.schedule import Schedule

SEEDS = pytest.mark.parametrize("seed", [0, 1])
PARTS = {
    "conv_weight": "backbone.conv.weight",
    "conv_bias": "backbone.conv.bias",
    "head_weight": "head.weight",
}


class Convolution(Backbone):
    strides = (2,)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = (channels,)
        self.conv = nn.Conv2d(3, channels, 3, stride=2, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.conv(images).relu(),)


def network(arrays: dict[str, np.ndarray], prefix: str, suffix: str) -> Classifier:
    weights = {
        name: torch.from_numpy(arrays[f"{prefix}_{part}{suffix}"]) for part, name in PARTS.items()
    }
    weights["head.weight"] = weights["head.weight"].reshape(*weights["head.weight"].shape[:2], 1, 1)
    channels = len(weights["backbone.conv.bias"])
    made = Classifier(Convolution(channels), GAP(4), 4).double()
    made.load_state_dict(weights)
    return made


def judge_of(classifier: Classifier) -> SimpleNamespace:
    return SimpleNamespace(build=lambda trained: classifier)


@SEEDS
def test_the_released_masks(seed: int) -> None:
    given, wanted, parameters = golden(f"p-noc-masks-{seed}")
    maps, images, chosen = (
        torch.from_numpy(given[name]) for name in ("maps", "image", "chosen_class")
    )
    activation = chosen_activation(maps, chosen, images)
    hard = hard_masked(images, activation, parameters["hard_threshold"])
    np.testing.assert_allclose(soft_masked(images, activation), wanted["soft_masked"], atol=1e-12)
    np.testing.assert_array_equal(hard, wanted["hard_masked"])
    nothing = chosen_activation(maps, torch.full_like(chosen, -1), images)
    assert torch.equal(hard_masked(images, nothing, 0.0), images)


def puzzle(classifier: Classifier, images: Tensor, labels: Tensor, maps: Tensor) -> list[Tensor]:
    """Puzzle-CAM's two losses, which belong to P-NOC: of the merged maps of four tiles."""
    rows = [
        torch.cat([classifier(t).maps for t in row.chunk(2, 3)], 3) for row in images.chunk(2, 2)
    ]
    merged = torch.cat(rows, 2)
    apart = ((merged - maps).abs() * labels[:, :, None, None]).mean()
    return [F.binary_cross_entropy_with_logits(merged.mean((2, 3)), labels), apart]


@SEEDS
@pytest.mark.parametrize("step", [0, 1])
def test_two_steps_of_the_released_code(
    seed: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its losses and the classifier's gradients and new weights; the judge's gradients without the leaked part.

    The leaked part is the gradient of the classifier's loss: with it, the judge's gradient is the released one.
    """
    given, wanted, parameters = golden(f"p-noc-two-steps-{seed}")
    source, suffix = (given, "") if step == 0 else (wanted, "_after_step0")
    classifier, judge = (network(source, name, suffix) for name in ("generator", "judge"))
    erasing = NOC(4, (5,), judge=judge_of(judge), threshold=parameters["hard_threshold"])
    classifier.erasing.append(erasing)
    images, chosen = (
        torch.from_numpy(given[f"{name}_step{step}"]) for name in ("image", "chosen_class")
    )
    labels = torch.from_numpy(given["labels"]).double()
    monkeypatch.setattr(noc, "drawn_classes", lambda batch: chosen.tolist())
    progress = parameters["steps"][step] / parameters["step_max"]
    output = classifier(images)
    terms = erasing.losses(classifier, Batch(images, labels, progress), output).terms
    first, apart = puzzle(classifier, images, labels, output.maps)
    alpha, oc_alpha = (float(wanted[f"{name}_step{step}"]) for name in ("alpha", "oc_alpha"))
    own = F.binary_cross_entropy_with_logits(output.logits, labels) + first + alpha * apart
    assert (own + terms["others"]).item() == pytest.approx(wanted[f"loss_step{step}"], abs=1e-9)
    assert terms["others"].item() / oc_alpha == pytest.approx(
        wanted[f"o_loss_step{step}"], abs=1e-9
    )
    assert terms["judge"].item() == pytest.approx(wanted[f"ot_loss_step{step}"], abs=1e-9)

    lr, power = parameters["lr"], parameters["poly_power"]
    schedule = Schedule(
        batch_size=3,
        iterations=20,
        lr=lr * (1 - progress) ** power,
        bias_lr=2,
        bias_weight_decay=0,
        momentum=0,
        weight_decay=parameters["weight_decay"],
    )
    optimizer = build_optimizer(classifier, schedule, dict.fromkeys(classifier.new_layers(), 10.0))
    before = {name: value.detach().clone() for name, value in judge.named_parameters()}
    (own + terms["others"] + terms["judge"]).backward(retain_graph=True)
    soft = soft_masked(images, chosen_activation(output.maps, chosen, images).detach())
    leaked = noc.loss_of_others(judge(soft).logits, labels, chosen)
    leaks = torch.autograd.grad(oc_alpha * leaked, [judge.get_parameter(n) for n in PARTS.values()])
    optimizer.optimizer.step()
    for (part, name), leak in zip(PARTS.items(), leaks, strict=True):
        value, seen = classifier.get_parameter(name), judge.get_parameter(name)
        np.testing.assert_allclose(
            value.grad, wanted[f"grad_generator_{part}_step{step}"], atol=1e-12
        )
        np.testing.assert_allclose(
            value.detach(), wanted[f"generator_{part}_after_step{step}"], atol=1e-12
        )
        alone = torch.from_numpy(wanted[f"grad_judge_own_loss_only_{part}_step{step}"])
        torch.testing.assert_close(seen.grad, alone, rtol=0, atol=1e-12)
        np.testing.assert_allclose(
            alone + leak, wanted[f"grad_judge_{part}_step{step}"], atol=1e-12
        )
        rate = schedule.lr * parameters["lr_factors"][part]
        decay = 0 if "bias" in part else schedule.weight_decay
        moved = before[name] - rate * (alone + decay * before[name])
        torch.testing.assert_close(seen.detach(), moved, rtol=0, atol=1e-12)


def test_neither_loss_reaches_the_other_network() -> None:
    classifier, judge, given = recorder(GAP(K)), recorder(GAP(K), seed=1), batch()
    erasing = NOC(K, (6,), judge=judge_of(judge))
    given = replace(given, progress=0.5)
    terms = erasing.losses(classifier, given, classifier(given.images)).terms
    for term, learns, stays in (("others", classifier, judge), ("judge", judge, classifier)):
        classifier.zero_grad()
        judge.zero_grad()
        terms[term].backward(retain_graph=True)
        assert all(p.grad.isfinite().all() and p.grad.any() for p in learns.parameters())
        assert all(p.grad is None or not p.grad.any() for p in stays.parameters())


def test_the_judge_judges_in_evaluation_mode_and_learns_in_training_mode() -> None:
    classifier, judge, given = recorder(GAP(K)), recorder(GAP(K), seed=1), batch()
    modes: list[bool] = []
    judge.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    erasing = NOC(K, (6,), judge=judge_of(judge)).train()
    erasing.losses(classifier, given, classifier(given.images))
    assert modes == [False, True] and judge.training


def test_a_judge_that_does_not_learn_is_an_ordinary_classifier() -> None:
    classifier, judge, given = recorder(GAP(K)), recorder(GAP(K), seed=1), batch()
    erasing = NOC(K, (6,), judge=judge_of(judge), judge_slope=0.0)
    assert set(erasing.losses(classifier, given, classifier(given.images)).terms) == {"others"}
    assert not any(p.requires_grad for p in erasing.parameters())


def test_images_without_a_class_erase_nothing() -> None:
    classifier, judge, given = recorder(GAP(K)), recorder(GAP(K), seed=1), batch()
    given = replace(given, labels=torch.zeros_like(given.labels))
    terms = (
        NOC(K, (6,), judge=judge_of(judge))
        .losses(classifier, given, classifier(given.images))
        .terms
    )
    assert terms["others"] == 0 and all(torch.equal(seen, given.images) for seen in judge.seen)


def test_a_saved_classifier_needs_no_file_of_its_judge(tmp_path: Path) -> None:
    """CAM inference builds the network from its config and loads the judge with all the rest."""
    plain = {"backbone": {"type": "EfficientNetLite0", "weights": None}, "pooling": {"type": "GAP"}}
    gone = ClassifierFile(tmp_path / "gone", plain, K)
    config = {**plain, "erasing": [{"type": "NOC", "judge": gone}]}
    classifier = build_classifier(config, K, pretrained=False)
    assert any(name.startswith("erasing.0.judge.backbone") for name in classifier.state_dict())
    assert "erasing.0.judge.head" in classifier.new_layers()


@pytest.mark.slow
def test_two_ranks_learn_what_one_does(tmp_path: Path) -> None:
    """Classifier and judge, also through the maximum of the whole batch, which one of them has."""
    run_ranks(2, Path(tiny_noc.__file__), tmp_path / "two", output=tmp_path)
    one = torch.load(tiny_noc.run(tmp_path / "one"), weights_only=True)
    two = torch.load(tmp_path / "two" / "weights.pth", weights_only=True)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6, msg=name)
