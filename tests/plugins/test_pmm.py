"""Pseudo-mask generation and pretended under-fitting of PMM, against the formulas and the released code's outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from method_rows import CONFIGS, row_config
from wsssbench_baselines.labellings.ppmg import PPMG, proportional, smooth
from wsssbench_baselines.losses.pretended_underfitting import PretendedUnderfitting

from wsssbench.errors import UserError
from wsssbench.experiment.config import read_config, resolve
from wsssbench.experiment.plan import Settings, make_plan
from wsssbench.interfaces import Cam, SegmentationBatch, photo_of
from wsssbench.progress import Silent

GOLDEN = Path(__file__).parents[1] / "golden"
ROW = "PPMG + pretended under-fitting, cyclic"
RULES = {"clamp": "clamp", "pow": "power", "ignore": "ignore"}


def golden(name: str) -> tuple[Any, dict[str, Any]]:
    case = np.load(GOLDEN / f"{name}.npz")
    return case, json.loads(str(case["parameters"]))


@pytest.mark.parametrize("seed", [0, 1])
def test_smoothing_is_the_released_one(seed: int) -> None:
    case, given = golden(f"pmm-cov-{seed}")
    smoothed = smooth(case["in.maps"], given["scale"], given["threshold"])
    np.testing.assert_allclose(smoothed, case["out.smoothed"], atol=1e-6)


def test_smoothing_by_the_formula() -> None:
    maps = np.random.default_rng(0).random((3, 5, 6), np.float32)
    maps[2] = 0.01  # nothing above the floor
    smoothed = smooth(maps, 0.4, 0.2)
    for k in range(3):
        values = [v for v in maps[k].ravel() if v > 0.2]
        mean = sum(values) / max(len(values), 1)
        deviation = (sum((v - mean) ** 2 for v in values) / max(len(values), 1)) ** 0.5
        exponent = 1 - 0.4 * deviation / mean if values else 1
        for y, x in np.ndindex(5, 6):
            expected = maps[k, y, x] ** exponent if maps[k, y, x] >= 0.2 else 0
            assert smoothed[k, y, x] == pytest.approx(expected, abs=1e-6)
    np.testing.assert_array_equal(smooth(maps, 0.0, 0.0), maps)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_rule_of_overlaps_is_the_released_one(seed: int) -> None:
    case, _ = golden(f"pmm-rule-{seed}")
    foreground = case["in.crf_foreground"] > 0.5
    label = proportional(case["in.maps"], foreground, (case["in.classes"] + 1).astype(np.uint8))
    np.testing.assert_array_equal(label, case["out.label"])


def test_of_two_equal_activations_the_smaller_object_wins() -> None:
    maps = np.full((2, 4, 4), 0.8, np.float32)
    foreground = np.zeros((2, 4, 4), bool)
    foreground[0] = True
    foreground[1, :2, :2] = True
    foreground[:, 3] = False
    label = proportional(maps, foreground, np.array([2, 5], np.uint8))
    expected = np.full((4, 4), 2)
    expected[:2, :2], expected[3] = 5, 0
    np.testing.assert_array_equal(label, expected)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_whole_is_the_released_one(seed: int) -> None:
    case, given = golden(f"pmm-ppmg-{seed}")
    maps, photo = case["in.maps"], photo_of(case["in.photo"])
    method = PPMG((), smoothing=given["scale"], floor=given["threshold"], alpha=given["alpha"])
    cam = Cam((case["in.classes"] + 1).astype(np.uint8), maps, maps.shape[1:])
    label = method.label(photo, cam)
    assert (label == case["out.label"]).mean() > 0.995  # a posterior of 0.5 is on either side


def test_without_a_class_all_is_background() -> None:
    nothing = Cam(np.zeros(0, np.uint8), np.zeros((0, 3, 4), np.float32), (6, 8))
    label = PPMG(()).label(photo_of(np.zeros((6, 8, 3), np.uint8)), nothing)
    assert label.shape == (6, 8) and label.dtype == np.uint8 and not label.any()


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", ["clamp", "pow", "ignore", "idle"])
def test_loss_and_gradient_are_the_released_ones(case: str, seed: int) -> None:
    released, given = golden(f"pmm-puf-{case}-{seed}")
    logits = torch.from_numpy(released["in.logits"]).requires_grad_()
    labels = torch.from_numpy(released["in.labels"])
    loss = PretendedUnderfitting(below=given["beta"], limit=given["k"], rule=RULES[given["kind"]])(
        logits, SegmentationBatch(labels, torch.zeros(len(labels), 3, 1, 1), ())
    )
    loss.backward()
    assert loss.item() == pytest.approx(float(released["out.loss"]), abs=1e-6)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.from_numpy(released["out.grad_logits"]))


@pytest.mark.parametrize("rule", ["clamp", "ignore", "power"])
@pytest.mark.parametrize("below", [0.0, 100.0])
def test_the_loss_by_the_formula(rule: str, below: float) -> None:
    logits = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    labels = torch.randint(0, 3, (1, 4, 5))
    labels[0, 0] = 255
    total = 0.0
    for y, x in np.ndindex(4, 5):
        label = int(labels[0, y, x])
        one = 0.0 if label == 255 else -float(logits[0, :, y, x].log_softmax(0)[label])
        if below:
            one = {"clamp": min(one, 0.7), "ignore": one if one <= 0.7 else 0.0}.get(
                rule, (one + 1e-9) ** 0.7
            )
        total += one / 20
    loss = PretendedUnderfitting(below=below, limit=0.7, rule=rule)(
        logits, SegmentationBatch(labels, torch.zeros(1, 3, 4, 5), ("a",))
    )
    assert loss.item() == pytest.approx(total)


def planned(work: Path, *overrides: str) -> dict[str, str]:
    """The stages of the config -> their hashes."""
    config = resolve(row_config(ROW, overrides=overrides, matrix="refinements"))
    steps = make_plan(config, Settings(work, "cpu", 1, Silent())).steps
    return {step.node.name: step.entry.key.hash for step in steps}


def test_the_first_network_shares_its_cams_and_vanishes_with_the_cycle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsssbench.experiment.plan.rehearse", lambda *_: {})  # takes seconds
    whole = planned(tmp_path)
    assert {"once.label", "once.segment", "once.predict.train", "label", "segment"} <= set(whole)
    assert whole["once.cam"] == whole["cam"] and whole["once.segment"] != whole["segment"]
    single = planned(tmp_path, "label=PPMG(input=cam)", "segmenter.loss=PretendedUnderfitting")
    assert not [name for name in single if name.startswith("once")]
    for name in ("label", "segment"):
        assert single[name] == whole[f"once.{name}"]
    with pytest.raises(UserError, match=r"stage label .* reads what once.predict made from masks"):
        planned(tmp_path, "label.labels=once.predict")


def test_pmm_on_voc_has_the_published_values() -> None:
    config = resolve(read_config(CONFIGS / "methods" / "pmm_voc.py"))
    once, rough = config["before"]["once"], config["before"]["rough"]
    (crops,) = config["classifier"]["augment"]
    assert (crops["masks"], rough["refine"]["crf"]["alpha"]) == ("rough.crf", 24)
    assert rough["classifier"]["augment"] == [] and config["cam"]["type"] == "MultiCropCAM"
    for windows in (crops, config["cam"]):
        assert (windows["crop"], windows["stride"]) == (448, 300)
        assert windows["scales"] == tuple(0.75 + 0.25 * i for i in range(10))
    assert (once["label"]["type"], once["label"]["alpha"]) == ("PPMG", 11)
    loss = once["segmenter"]["loss"]
    assert (loss["type"], loss["below"], loss["limit"]) == ("PretendedUnderfitting", 0.5, 0.5)
    assert config["segmenter"]["loss"] is None and config["segmenter"]["head"] == "psp"
    assert config["label"]["labels"] == "once.predict.train" and not config["label"]["present_only"]
    schedules = [config["classifier"]["schedule"], rough["classifier"]["schedule"]]
    assert [(s["batch_size"], s["epochs"]) for s in schedules] == [(16, 20), (24, 8)]
    assert config["classifier"]["schedule"]["lr"] == 0.02
