"""The configs of objectives: what they share with the plain experiments, and a run of each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from in_process import call

from wsssbench.experiment.config import read_config, resolve
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.experiment.plan import Settings, make_plan
from wsssbench.progress import Silent

CONFIGS = Path(__file__).parents[2] / "configs"


def hashes(tmp_path: Path, name: str, *overrides: str) -> dict[str, str]:
    config = resolve(apply_overrides(read_config(CONFIGS / f"{name}.py"), overrides))
    plan = make_plan(config, Settings(tmp_path, "cpu", 1, Silent()))
    return {step.node.name: step.entry.key.hash for step in plan.steps}


def test_recam_starts_from_the_plain_classifier(tmp_path: Path) -> None:
    """The plain part of the experiment is in the cache already, if the plain experiment is."""
    plain = hashes(tmp_path, "gap_context")
    recam = hashes(tmp_path, "methods/recam_synthetic")
    assert recam["plain.classify"] == plain["classify"] != recam["classify"]
    none = hashes(
        tmp_path, "methods/recam_synthetic", "classifier.init=none", "classifier.objectives=none",
        "classifier.schedule.epochs=20", "classifier.schedule.lr=0.05",
        "classifier.schedule.new_layers_lr=1.0", "classifier.schedule.warmup_iterations=20",
    )  # fmt: skip
    assert none == plain


@pytest.mark.parametrize(
    ("name", "plain"), [("seam", "gap_context"), ("puzzle", "gap_part"), ("cpn", "gap_context")]
)
def test_without_the_objective_it_is_the_plain_experiment(
    name: str, plain: str, tmp_path: Path
) -> None:
    off = ("classifier.objectives=none", "cam.normalisation=max")
    assert hashes(tmp_path, f"methods/{name}_synthetic", *off) == hashes(tmp_path, plain)


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


def test_icd_reads_what_the_plain_classifier_reads(tmp_path: Path) -> None:
    """Without the objective, the same classifier; CAMs and labels are of other kinds, which the plain ones replace."""
    plain = hashes(tmp_path, "gap_part", "refine=none", "label.input=cam")
    off = (
        "classifier.objectives=none",
        "cam=MultiScaleCAM(scales=(1.0,))",
        "label=FromScores(input=cam)",
    )
    assert hashes(tmp_path, "methods/icd_synthetic", *off) == plain


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
@pytest.mark.parametrize(
    "name",
    ["seam_synthetic", "recam_synthetic", "puzzle_synthetic", "cpn_synthetic", "icd_synthetic"],
)
def test_a_whole_run(name: str, tmp_path: Path) -> None:
    arguments = ("run", f"configs/methods/{name}.py", "--smoke", "--work-dir", tmp_path)
    outcome = call(*arguments)
    assert outcome.code == 0, outcome
    for rung in ("CAM", "pseudo-label", "DeepLab val"):
        assert re.search(rf"^ {re.escape(rung)} ", outcome.out, re.MULTILINE), outcome.out
    again = call(*arguments)
    assert ": computed" not in again.out + again.err and ": reused" in again.out + again.err
