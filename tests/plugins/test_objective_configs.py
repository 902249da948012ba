"""The published schedules of objectives, and a whole run of each at the small scale."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from in_process import call
from method_rows import row_file

from wsssbench.experiment.config import read_config, resolve

CONFIGS = Path(__file__).parents[2] / "configs"


def schedule(name: str, *path: str) -> dict[str, Any]:
    found: Any = resolve(read_config(CONFIGS / f"{name}.py"))
    for key in path:
        found = found[key]
    return {key: found[key] for key in ("batch_size", "epochs", "lr", "momentum", "new_layers_lr")}


def test_the_published_schedules() -> None:
    """Of the released code: train_SEAM.py, train_cpn.py, train_recam.py and train_classification_with_puzzle.py."""
    seam = {"batch_size": 8, "epochs": 8, "lr": 0.01, "momentum": 5e-4, "new_layers_lr": 10}
    assert schedule("methods/seam_voc", "classifier", "schedule") == seam
    assert schedule("methods/cpn_voc", "classifier", "schedule") == {**seam, "batch_size": 4}
    irn = {"batch_size": 16, "epochs": 5, "lr": 0.1, "momentum": 1e-4, "new_layers_lr": 10}
    fine = {**irn, "epochs": 4, "lr": 5e-5}
    assert schedule("methods/recam_voc", "classifier", "schedule") == fine
    puzzle = {**irn, "batch_size": 32, "epochs": 15}
    assert schedule("methods/puzzle_voc", "classifier", "schedule") == puzzle
    chain = resolve(read_config(CONFIGS / "methods/recam_voc.py"))["before"]["plain"]
    assert {**fine, **chain["classifier"]["schedule"]} == irn


def test_the_schedule_of_icd() -> None:
    """run_icd.py; its loss is a sum over the classes."""
    pytest.importorskip("skimage", reason='scikit-image: pip install "wsssbench[baselines]"')
    wanted = {"batch_size": 32, "epochs": 20, "lr": 1e-3, "momentum": 0.9, "new_layers_lr": 10}
    assert schedule("methods/icd_voc", "classifier", "schedule") == wanted
    classifier = resolve(read_config(CONFIGS / "methods/icd_voc.py"))["classifier"]
    (objective,) = classifier["objectives"]
    assert objective["classification_weight"] == 20
    assert objective["warmup"] * classifier["schedule"]["epochs"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("row", ["SEAM", "ReCAM", "Puzzle-CAM", "CPN", "ICD"])
def test_a_whole_run(row: str, tmp_path: Path) -> None:
    arguments = ("run", row_file(row, tmp_path), "--smoke", "--work-dir", tmp_path)
    outcome = call(*arguments)
    assert outcome.code == 0, outcome
    for rung in ("CAM", "pseudo-label", "DeepLab val"):
        assert re.search(rf"^ {re.escape(rung)} ", outcome.out, re.MULTILINE), outcome.out
    again = call(*arguments)
    assert ": computed" not in again.out + again.err and ": reused" in again.out + again.err
