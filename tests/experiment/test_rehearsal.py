"""What cannot work is told before the first stage, by a run and by its plan; the rehearsal leaves no trace."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_process import call, refused
from torch import nn

from wsssbench import api
from wsssbench.errors import UserError
from wsssbench.experiment import rehearsal
from wsssbench.experiment.config import config_text
from wsssbench.experiment.plan import Plan
from wsssbench.plugins import load
from wsssbench.progress import Silent
from wsssbench.segmenters.deeplab import DeepLab
from wsssbench.stages.classify import Classify
from wsssbench.training.rehearsal import on_tiny_images, reason

BACKBONE = {"type": "Thin"}
ONE_STEP = {"batch_size": 2, "iterations": 1, "lr": 0.01}


@pytest.fixture
def config(tiny: dict[str, Any]) -> dict[str, Any]:
    """Every trained part, small."""
    tiny["classifier"] |= {"backbone": BACKBONE, "transform": {"crop": 32}, "schedule": ONE_STEP}
    walk = {"backbone": BACKBONE, "channels": (4, 4), "crop": 32, "schedule": ONE_STEP}
    tiny["refine"]["rw"] |= walk
    tiny["segmenter"] = {"type": "DeepLab", "head": "v3plus", "backbone": BACKBONE, "channels": 8,
                         "crop": 32, "schedule": ONE_STEP}  # fmt: skip
    return tiny


@pytest.fixture(autouse=True)
def prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small backbone, and nothing that was rehearsed before."""
    registry = load().registries.backbone
    monkeypatch.setattr(registry, "components", dict(registry.components))
    registry.add("Thin", "thin_backbone:Thin", summary="for tests")
    monkeypatch.setattr(rehearsal, "_passed", set())


class Told(Silent):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def plan(config: dict[str, Any], work: Path, *overrides: str, **options: Any) -> Plan:
    settings = api.make_settings(work, "cpu", 1, options.pop("progress", Silent()), **options)
    return api.plan(api.read(config, overrides), settings)


def test_a_run_and_its_dry_run_refuse_before_any_work(
    config: dict[str, Any], tmp_path: Path
) -> None:
    file, work = tmp_path / "config.py", tmp_path / "work"
    file.write_text(config_text(config))
    asked = (
        "run",
        file,
        "--work-dir",
        work,
        "--device",
        "cpu",
        "--set",
        "segmenter.schedule.batch_size=1",
    )
    for more in ((), ("--dry-run",)):
        assert "head 'v3plus' normalises one value per image" in refused(*asked, *more)
    assert not (work / "cache").exists()


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("refine.rw.crop=16", r"crop=16 has 4 x 4 cells at stride=4, .* radius=5: choose .* 20"),
        ("refine.rw.channels=(1,2,3)", r"^fit\.rw: AffinityWalk fails .* levels=3"),
        ("refine.rw.schedule.amp=True", r"AffinityWalk: schedule\.amp=True needs a GPU"),
        ("segmenter.schedule.amp=True", r"segmenter\.schedule\.amp=True needs a GPU"),
        ("segmenter.crop=16", r"segmenter\.crop=16: .* single cell: choose at least 32"),
        ("classifier.transform.crop=9", r"classifier\.transform\.crop=9: .* single cell"),
        ("segmenter.backbone.frozen=True", r"segmenter\.backbone .* cannot be frozen"),
        ("splits.test=nix", r"unknown split 'nix'"),
    ],
)
def test_mistakes_of_later_stages(
    config: dict[str, Any], tmp_path: Path, override: str, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        plan(config, tmp_path, override)


def test_bfloat16_works_on_a_cpu_and_is_in_the_hash_and_on_the_card(
    config: dict[str, Any], tmp_path: Path
) -> None:
    key = "mixed precision"
    plain = plan(config, tmp_path)
    assert not any(key in plain.card(name) for name in ("cam", "refine.rw", "predict"))
    for override, node, entry in (
        ("classifier.schedule.amp=bfloat16", "cam", "classifier bfloat16"),
        ("cam.amp=bfloat16", "cam", "CAM bfloat16"),
        ("refine.rw.schedule.amp=bfloat16", "refine.rw", "AffinityNet bfloat16"),
        ("segmenter.schedule.amp=bfloat16", "predict", "segmenter bfloat16"),
    ):
        mixed = plan(config, tmp_path, override)
        assert mixed.card(node)[key] == (entry,)
        assert mixed[node].entry.key.hash != plain[node].entry.key.hash


def test_the_batch_counts_that_each_process_has(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="needs at least 2 images per process"):
        plan(config, tmp_path)


def test_weights_of_another_head_are_refused(config: dict[str, Any], tmp_path: Path) -> None:
    other = tmp_path / "weights.pth"
    torch.save({"decode_head.conv_seg.weight": torch.zeros(3, 8, 1, 1)}, other)
    init = f"+segmenter.init=dict(weights='{other}', trained_on='here', part='network')"
    with pytest.raises(UserError, match=r"weight file .* does not fit"):
        plan(config, tmp_path, init)


def test_missing_weights_are_listed_by_a_plan_and_stop_a_run(
    config: dict[str, Any], tmp_path: Path
) -> None:
    config["refine"]["rw"]["backbone"] = {**BACKBONE, "weights": "walk.pth"}
    config["segmenter"]["backbone"] = {**BACKBONE, "weights": "segmenter.pth"}
    file, work = tmp_path / "config.py", tmp_path / "work"
    file.write_text(config_text(config))
    asked = ("run", file, "--work-dir", work, "--device", "cpu")
    outcome = call(*asked, "--dry-run")
    assert outcome.code == 0
    for line in ("walk.pth, for fit.rw, refine.rw", "segmenter.pth, for segment"):
        assert f"missing weight file: {line}" in " ".join(outcome.out.split())
    assert "weight files walk.pth, segmenter.pth do not exist" in refused(*asked)
    assert not (work / "cache").exists()
    # What else is wrong is found without the weights.
    config["segmenter"]["crop"] = 16
    with pytest.raises(UserError, match="single cell"):
        plan(config, work)


def test_it_leaves_no_trace(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state() -> list[Any]:
        return [
            random.getstate(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            torch.get_rng_state().tolist(),
        ]

    def weights(name: str) -> bytes:
        run = api.run(config, until="classify", work_dir=tmp_path / name, device="cpu", workers=1)
        (file,) = (tmp_path / name / "cache").glob("classify/*/weights.pth")
        assert run.directory.is_dir()
        return file.read_bytes()

    before = state()
    plan(config, tmp_path)
    assert state() == before
    with_it = weights("with")
    # What is in the cache is not rehearsed again.
    monkeypatch.setattr(rehearsal, "_passed", set())
    with monkeypatch.context() as patched:
        patched.setattr(Classify, "rehearse", lambda *_: pytest.fail("rehearsed"))
        plan(config, tmp_path / "with", until="classify")
        patched.setattr("wsssbench.experiment.plan.rehearse", lambda *_: {})
        assert weights("without") == with_it


def test_once_for_all_seeds(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(DeepLab, "rehearse", lambda *_: calls.append(1))
    plan(config, tmp_path)
    plan({**config, "seed": 1}, tmp_path)
    assert calls == [1]
    plan(config, tmp_path, "segmenter.channels=16")
    assert calls == [1, 1]


def test_a_bin_larger_than_the_map_is_told(config: dict[str, Any], tmp_path: Path) -> None:
    told = Told()
    plan(config, tmp_path, "classifier.pooling.bins=(2,4)", progress=told)
    assert any("bin 4 is larger than the 2 x 2 map" in text for text in told.warnings)


def test_what_fails_when_it_is_tiny_is_tried_at_the_size_of_the_crop() -> None:
    seen: list[int] = []

    def needs(least: int) -> Any:
        def attempt(side: int) -> None:
            seen.append(side)
            if side < least:
                raise RuntimeError(f"{side} is too small")

        return attempt

    on_tiny_images(needs(30), 321, 8)
    on_tiny_images(needs(300), 321, 8)
    assert seen == [33, 33, 321]
    with pytest.raises(RuntimeError, match="321 is too small"):
        on_tiny_images(needs(1000), 321, 8)


def test_a_lone_value_of_a_batch_normalisation_is_a_plain_sentence() -> None:
    with pytest.raises(ValueError, match="1 value") as caught:
        nn.BatchNorm2d(3)(torch.zeros(1, 3, 1, 1))
    assert "choose a batch_size of at least 2" in reason(caught.value)
