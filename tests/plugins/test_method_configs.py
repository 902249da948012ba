"""The methods with rounds: their first round is the plain experiment, and rounds share their stages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from in_process import call
from method_rows import row_config, row_file

from wsssbench.experiment.config import read_config, resolve
from wsssbench.experiment.plan import Plan, Settings, make_plan
from wsssbench.experiment.trial import tried
from wsssbench.progress import Silent

CONFIGS = Path(__file__).parents[2] / "configs"
WITHOUT = {  # row of the matrix -> what takes the method out of it
    "AE-PSL": [
        "stages=none",
        "classifier.augment=none",
        "cam=MultiScaleCAM(scales=(1.0,))",
        "label=FromScores(input=cam)",
        "before=none",
    ],
    "CDA": ["classifier.augment=none"],
    "SC-CAM": ["classifier.objectives=none"],
}
METHODS = sorted(WITHOUT)


def plan_of(work: Path, row: str, *overrides: str) -> Plan:
    """The plan without pseudo-labels and network, whose rehearsal takes longest, unless the method makes them."""
    read: dict[str, Any] = row_config(row, overrides=overrides)
    read = {key: value for key, value in read.items() if key != "segmenter"}
    if read["label"].get("type", "FromScores") == "FromScores":
        read |= {"label": {"input": "cam"}, "refine": {}}
    config = resolve(tried(read, read, True, None))
    return make_plan(config, Settings(work, "cpu", 0, Silent()))


def hashes(plan: Plan, chain: str = "") -> dict[str, str]:
    """Hashes of the stages of a chain, by their names inside it."""
    return {s.node.local: s.entry.key.hash for s in plan.steps if s.node.chain == chain}


CAMS = ("classify", "cam", "evaluate.cam")


@pytest.mark.parametrize("method", METHODS)
def test_rounds_are_the_same_work_whatever_their_number_is(method: str, tmp_path: Path) -> None:
    plain = hashes(plan_of(tmp_path, "GAP"))
    three, two = (plan_of(tmp_path, method, f"rounds={n}") for n in (3, 2))
    for plan in (three, two):
        assert {stage: hashes(plan, "round1")[stage] for stage in CAMS} == {
            stage: plain[stage] for stage in CAMS
        }
    second = hashes(three, "round2")
    assert {stage: hashes(two)[stage] for stage in CAMS} == {stage: second[stage] for stage in CAMS}
    assert len({hashes(three)["cam"], second["cam"], plain["cam"]}) == 3
    shared = {s.entry.key.hash for s in two.steps}
    new = [s.node for s in three.steps if s.entry.key.hash not in shared]
    assert {node.chain for node in new if node.local in CAMS} == {""}


@pytest.mark.parametrize("method", METHODS)
def test_without_the_method_the_plan_is_the_plain_one(method: str, tmp_path: Path) -> None:
    plain = hashes(plan_of(tmp_path, "GAP"))
    without = plan_of(tmp_path, method, *WITHOUT[method], "rounds=1")
    assert hashes(without) == plain


def test_the_methods_on_the_page_about_rounds_resolve(tmp_path: Path) -> None:
    text = (CONFIGS.parent / "docs" / "rounds.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 5
    for number, block in enumerate(blocks):
        path = tmp_path / f"block{number}.py"
        path.write_text(f"_base_ = ['{CONFIGS}/gap_synthetic.py']\n{block}")
        config = resolve(read_config(path))
        assert config.get("before") or config["rounds"] > 1


def voc(method: str) -> dict[str, Any]:
    return resolve(read_config(CONFIGS / "methods" / f"{method}_voc.py"))


def test_sc_cam_on_voc_has_the_published_values() -> None:
    config = voc("sc_cam")
    assert config["rounds"] == 4
    assert config["stages"]["clusters"]["k"] == 10
    assert config["classifier"]["objectives"][0]["weight"] == 5
    schedule = config["classifier"]["schedule"]
    assert (schedule["lr"], schedule["batch_size"], schedule["momentum"]) == (0.01, 16, 5e-4)
    # The released code's poly schedule is one of 61 epochs.
    for number, epochs in ((2, 31), (3, 41), (4, 51)):
        changed = config["before"].get(f"round{number}", {}).get("classifier", {})
        one = {**schedule, **changed.get("schedule", {})}
        assert one["epochs"] == epochs
        assert one["epochs"] * one["batch_size"] / one["decay_batch_size"] == pytest.approx(
            61, 0.03
        )


def test_cda_on_voc_has_the_published_values() -> None:
    config = voc("cda")
    (augmentation,) = config["classifier"]["augment"]
    assert (augmentation["angle"], augmentation["largest"]) == (90, 0.7)
    assert config["stages"]["bank"]["area"] == (0.1, 0.7)
    assert config["splits"][config["stages"]["bank"]["photos"]] == "train"
    plain = config["before"]["round1"]["classifier"]["schedule"]["batch_size"]
    assert config["classifier"]["schedule"]["batch_size"] * 2 == plain == 16


def test_ae_psl_on_voc_erases_in_three_rounds() -> None:
    config = voc("ae_psl")
    assert config["rounds"] == 3
    assert config["stages"]["mined"]["add_to"] == "previous.mined"
    plain = config["before"]["round1"]["cam"]
    ours = {key: config["cam"][key] for key in plain if key != "type"}
    assert {"type": "MultiScaleCAM", **ours} == plain  # the same but for the erasing


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_smoke(method: str, tmp_path: Path) -> None:
    """Every stage of every round, on a handful of images; again, nothing is left to do."""
    arguments = ("run", row_file(method, tmp_path), "--smoke", "--work-dir", tmp_path)
    outcome = call(*arguments)
    assert outcome.code == 0, outcome
    assert "round 1: CAM" in outcome.out and "DeepLab val" in outcome.out
    assert "computed" not in call(*arguments).out
