"""Runs whose threshold owes the scored split's masks nothing, and runs without any masks."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import call, refused
from mini_devkit import CLASSES_IN_MASKS, experiment_on, make_devkit, scores_of, write_config

from wsssbench.files.images import read_label, write_label


@dataclass(frozen=True)
class Bench:
    """A devkit of four images, AffinityNet-style CAMs of all of them, and an experiment that starts from these."""

    folder: Path
    root: Path
    config: Path

    def run(self, *options: object) -> Any:
        return call(*self.arguments(*options))

    def arguments(self, *options: object) -> list[object]:
        until = () if "--until" in options else ("--until", "cam")
        return ["run", self.config, *until, "--device", "cpu",
                "--work-dir", self.folder / "work", *options]  # fmt: skip

    def metrics(self) -> dict[str, Any]:
        (run,) = (self.folder / "work" / "runs" / "tiny").iterdir()
        found: dict[str, Any] = json.loads((run / "metrics.json").read_text())
        return found

    def evaluated(self, split: str, *options: object) -> dict[str, Any]:
        """`wsssbench evaluate` on the CAM files."""
        return scores_of(self.root, self.folder / "psa", "psa", split, options)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = make_devkit(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "psa").mkdir()
    for id, classes in CLASSES_IN_MASKS.items():
        mask = read_label(root / "SegmentationClass" / f"{id}.png")
        maps = {
            k - 1: ((mask == k) * 0.3 + rng.random(mask.shape) * 0.7).astype("f4") for k in classes
        }
        np.save(tmp_path / "psa" / f"{id}.npy", maps, allow_pickle=True)  # type: ignore[arg-type]
    config = experiment_on(root)
    config["import_cams"] = {"directory": str(tmp_path / "psa"), "format": "psa"}
    return Bench(tmp_path, root, write_config(tmp_path, config))


HELD_OUT = ("--set", "splits.heldout=val", "--set", "evaluate.selection=heldout")


def test_the_threshold_of_a_held_out_split(bench: Bench) -> None:
    outcome = bench.run(*HELD_OUT)
    assert outcome.code == 0, outcome
    (rung,) = bench.metrics()["rungs"]
    best = bench.evaluated("val")["threshold"]
    assert rung["chosen"]["threshold"] == best
    assert rung["chosen"]["miou"] == bench.evaluated("train", "--threshold", best)["miou"]
    assert rung["oracle"]["miou"] == bench.evaluated("train")["miou"]
    assert (rung["card"]["threshold_choice"], rung["card"]["held out"]) == (
        "heldout",
        "val (1 images)",
    )
    assert "held-out split val" in outcome.out
    # val has a person only
    assert "'val' (1 images) has no image of 'aeroplane', 'car', 'cat' and 1 more" in outcome.out


def test_otsu_needs_no_mask_of_the_scored_split_to_choose(bench: Bench) -> None:
    assert bench.run("--set", "evaluate.selection=otsu").code == 0
    (rung,) = bench.metrics()["rungs"]
    chosen = rung["chosen"]["threshold"]
    assert rung["card"]["threshold_choice"] == "otsu"
    for mask in (bench.root / "SegmentationClass").iterdir():  # another truth, the same choice
        shutil.copy(mask, mask.with_suffix(".png.kept"))
        write_label(mask, np.zeros_like(read_label(mask)))
    shutil.rmtree(bench.folder / "work")
    for state in ("computed", "reused"):  # a warning stands beside its number, whoever computed it
        outcome = bench.run("--set", "evaluate.selection=otsu")
        assert outcome.code == 0 and f"evaluate.cam: {state}" in outcome.out, outcome
        assert "warning: evaluate.cam: the masks hold background (0) only" in outcome.out
    assert bench.metrics()["rungs"][0]["chosen"]["threshold"] == chosen


def test_images_that_are_scored_cannot_be_held_out(bench: Bench) -> None:
    lists = bench.folder / "mixed.txt"
    lists.write_text("2007_000001\n2008_000001\n")
    arguments = bench.arguments("--set", f"data.lists={{'mixed': '{lists}'}}", "--set",
                                "splits.heldout=mixed", *HELD_OUT[2:])  # fmt: skip
    assert "shares 1 images with the scored split" in refused(*arguments)


def test_without_masks_everything_is_made_and_nothing_scored(bench: Bench) -> None:
    outcome = bench.run("--set", "data.masks_of={'train': '', 'val': ''}", "--until", "label")
    assert outcome.code == 0 and "'train' has no masks: it is not scored" in outcome.out
    assert bench.metrics()["rungs"] == []
    (run,) = (bench.folder / "work" / "runs" / "tiny").iterdir()
    report = (run / "report.html").read_text()
    # It has pictures all the same.
    assert "nothing was scored" in report and "pseudo-label" in report


def test_an_experiment_whose_only_number_would_vanish_is_refused(bench: Bench) -> None:
    given = bench.arguments("--set", "data.masks_of={'train': '', 'val': ''}", "--dry-run")
    arguments = [one for one in given if one not in ("--until", "cam")]
    assert "nothing would be scored: no masks of 'train'" in refused(*arguments)
