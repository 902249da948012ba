"""The configs of AdvCAM and RIB: published values, and a run of each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import call
from method_rows import row_file

from wsssbench import open_run
from wsssbench.experiment.config import read_config, resolve
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.ops.cam import upsample
from wsssbench.results.new_photos import PhotoClassifier

CONFIGS = Path(__file__).parents[2] / "configs"
METHODS = ["AdvCAM", "RIB"]


def config(name: str, *overrides: str) -> Any:
    return resolve(apply_overrides(read_config(CONFIGS / f"{name}.py"), overrides))


def test_advcam_on_voc_has_the_published_values() -> None:
    """Of run_sample.py and obtain_CAM_masking.py of the released code."""
    given = config("methods/advcam_voc")
    cam = given["cam"]
    assert (cam["steps"], cam["stepsize"], cam["restraint"]) == (27, 0.08, 7)
    assert (cam["threshold"], sorted(cam["scales"])) == (0.5, [0.5, 1, 1.5, 2])
    irn, seeds = given["refine"]["irn"], given["stages"]["seeds"]
    assert (seeds["foreground"], seeds["background"]) == (0.35, 0.15)
    assert (irn["background"], irn["beta"], irn["exponent"]) == (0.25, 10, 1.5)
    assert given["classifier"]["backbone"]["frozen_stages"] == 1


def test_rib_on_voc_has_the_published_values() -> None:
    """Of run_sample.py and obtain_RIB_CAM.py of the released code."""
    given = config("methods/rib_voc")
    cam, plain = given["cam"], config("methods/irn_voc")
    assert given["classifier"] == plain["classifier"]
    assert (cam["steps"], cam["others"], cam["lr"], cam["new_layers_lr"]) == (10, 20, 8e-6, 10)
    assert (cam["threshold"], cam["stop"], cam["spread_level"], cam["spread"]) == (
        0.4,
        600,
        0.3,
        0.7,
    )
    assert (cam["photos"], cam["resize_long"], cam["crop"]) == ("train", (320, 640), 512)
    irn, seeds = given["refine"]["irn"], given["stages"]["seeds"]
    assert (seeds["foreground"], seeds["background"]) == (0.35, 0.17)
    assert (irn["background"], irn["exponent"]) == (0.27, 1.3)


def test_a_dry_run_tells_how_long_it_takes(tmp_path: Path) -> None:
    arguments = (
        "run",
        "configs/gap_part.py",
        "--until",
        "cam",
        "--dry-run",
        "--work-dir",
        tmp_path,
    )
    told = "cam: AdvCAM sees the pixels of an image with one class 398 times"
    assert told in " ".join(call(*arguments, "--set", "cam=AdvCAM").out.split())
    assert "sees the pixels" not in call(*arguments).out


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_smoke_run_and_new_photos(method: str, tmp_path: Path) -> None:
    row = row_file(method, tmp_path)
    arguments = ("run", row, "--smoke", "--until", "cam", "--work-dir", tmp_path / "work")
    outcome = call(*arguments)
    assert outcome.code == 0, outcome
    assert re.search(r"^ CAM ", outcome.out, re.MULTILINE), outcome.out
    again = call(*arguments)
    assert ": computed" not in again.out + again.err and ": reused" in again.out + again.err
    run = open_run(next((tmp_path / "work" / "runs").glob("*/*")))
    photos = PhotoClassifier(run, "cpu")
    id = run.ids("train")[0]
    made = run.cam(id)
    labels = made.any(axis=(1, 2)).astype(np.float32)
    seen = photos(run.image(id), labels, 0.5).cam
    assert seen.classes.tolist() == (np.flatnonzero(labels) + 1).tolist() != []
    if not photos.method.random:  # else the id counts, too
        np.testing.assert_allclose(upsample(seen.maps, seen.size), made[labels > 0], atol=0.1)
