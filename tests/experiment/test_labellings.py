"""Labellings as `label` and under `stages`: what is planned, hashed, refused, and made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_experiment import TINY

from wsssbench import api
from wsssbench.errors import UserError
from wsssbench.experiment.config import resolve
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.experiment.plan import Plan, Settings, make_plan
from wsssbench.plugins import GROUP, loaded_with
from wsssbench.progress import Silent

CONFIG: dict[str, Any] = {**TINY, "refine": {}, "label": {"input": "cam", "threshold": 0.4}}
CONFIG["refine"] = {"crf": TINY["refine"]["crf"]}


@pytest.fixture(autouse=True)
def plugin() -> Iterator[None]:
    with loaded_with((EntryPoint("more", "more_labellings", GROUP),)):
        yield


def label_of(*overrides: str) -> Any:
    return resolve(apply_overrides(CONFIG, overrides))["label"]


def plan_of(work: Path, *overrides: str) -> Plan:
    config = resolve(apply_overrides(CONFIG, overrides))
    return make_plan(config, Settings(work, "cpu", 1, Silent()))


def label_hash(work: Path, *overrides: str, node: str = "label") -> str:
    return plan_of(work, *overrides)[node].entry.key.hash


def test_the_section_in_every_form_that_it_may_have() -> None:
    plain = {"type": "FromScores", "input": "cam", "confidence": 0.0, "threshold": 0.4}
    assert label_of() == plain
    assert label_of("label=FromScores") == plain  # the type that is there keeps its parameters
    assert label_of("label.threshold=otsu") == {**plain, "threshold": "otsu"}
    assert label_of("label=dict(confidence=0.3, input=crf, threshold=none)") == {
        **plain, "input": "crf", "confidence": 0.3, "threshold": None
    }  # fmt: skip
    other = {"type": "Regions", "input": "cam", "threshold": 0.5, "add_to": None}
    assert label_of("label=Regions(input=cam)") == other
    assert label_of("label=Regions(input=cam)", "label.threshold=0.2")["threshold"] == 0.2
    assert label_of("label=Regions(input=cam)", "label.add_to=a")["add_to"] == "a"
    assert label_of("label=FirstClass") == {"type": "FirstClass", "input": None}
    stages = resolve(
        apply_overrides(CONFIG, ["+stages.a=Regions(input=cam)", "stages.a.threshold=0.3"])
    )
    assert stages["stages"]["a"]["threshold"] == 0.3


def test_a_level_counts_for_what_it_is_the_level_of(tmp_path: Path) -> None:
    """The threshold of the scores, and the confidence of the CAMs, change no hash."""
    first = label_hash(tmp_path)
    assert label_hash(tmp_path, "evaluate.threshold=0.4") == first
    assert label_hash(tmp_path, "evaluate.threshold=0.4", "label.threshold=none") == first
    assert label_hash(tmp_path, "label.threshold=none") != first
    scores = "label=dict(input=crf, threshold=none)"
    assert label_hash(tmp_path, scores) == label_hash(tmp_path, scores, "evaluate.threshold=0.1")
    component = plan_of(tmp_path, "label.threshold=otsu")["label"]
    assert component.node.inputs["threshold"] == "threshold.otsu"
    assert component.node.config["labelling"] == {"type": "FromScores"}


def test_the_same_work_under_stages_is_the_same_entry(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "+stages.mine=FromScores(input=cam, threshold=0.4)")
    assert plan["mine"].entry.key.hash == plan["label"].entry.key.hash
    assert {"evaluate.mine", "evaluate.label"} <= {step.node.name for step in plan.steps}


def test_it_may_read_the_stages_of_another_round(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "rounds=2", "label=Regions(input=previous.cam, add_to=round1.label)",
                   "+before.round1.label=Regions(input=cam)")  # fmt: skip
    inputs = plan["label"].node.inputs
    assert (inputs["given"], inputs["labelling.add_to"]) == ("round1.cam", "round1.label")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["+stages.a=FirstClass", "label.input=a"],
         ["label.input='a' has to make CAMs or scores, but makes label maps"]),
        (["label=Regions(input=crf)"], ["label.input='crf' has to make CAMs, but makes scores"]),
        (["+stages.a=Regions(input=crf)"], ["stages.a.input='crf' has to make CAMs, but makes scores"]),
        (["label=FromScores()"], ["label (labelling FromScores): parameter 'input' has to be given",
                                  "a stage that makes CAMs or scores"]),
        (["label=FirstClass(input=cam)"], ["label.input='cam' has no effect", "leave it out"]),
        (["label=Regions(input=cam, add_to=cam)"], ["add_to of Regions in label='cam'", "makes label maps",
                                                    "cam makes CAMs"]),
        (["+stages.a=Regions(input=cam, add_to=a)"], ["stage a reads itself: a -> a"]),
        (["label.confidence=0.1"], ["label.confidence=0.1 does not go with label.input='cam', which makes CAMs: "
                                    "set label.threshold instead"]),
        (["label=Region(input=cam)"], ["unknown labelling 'Region': did you mean Regions"]),
        (["+stages.a=Region(input=cam)"], ["stages.a: unknown stage or labelling 'Region': did you mean Regions"]),
        (["+stages.a=Regions(input=camm)"], ["stages.a.input: unknown stage 'camm': did you mean cam"]),
        (["label.thresold=0.1"], ["unknown key 'thresold': did you mean threshold"]),
        (["label=Regions(input=cam, threshold=3.0)"], ["label (labelling Regions): threshold=3.0"]),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(tmp_path: Path, overrides: list[str], words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        plan_of(tmp_path, *overrides)
    for word in words:
        assert word in str(error.value)


def run(work: Path, *overrides: str) -> Any:
    overrides = ("refine=none", *overrides)
    return api.run(CONFIG, set=overrides, work_dir=work, device="cpu", workers=1, until="label")


def test_labellings_are_made_scored_and_on_the_card(tmp_path: Path) -> None:
    """A label map under `stages`, another labelling that reads it, and one that is wrong."""
    made = run(
        tmp_path,
        "+stages.sure=Regions(input=cam, threshold=0.7)",
        "label=Regions(input=cam, threshold=0.5, add_to=sure)",
    )
    rungs = json.loads((made.directory / "metrics.json").read_text())["rungs"]
    cards = {one["node"]: one["card"] for one in rungs}
    assert cards["label"]["labelling"] == "Regions(threshold=0.5)"
    assert "labelling" not in cards["cam"]
    for id in made.ids("train")[:3]:
        sure, label = made.label(id, node="sure"), made.label(id)
        assert (label[sure > 0] == sure[sure > 0]).all()
        assert np.count_nonzero(label) > np.count_nonzero(sure) > 0
    with pytest.raises(UserError, match=r"labelling Ninth on image '\w+': .* has the value 9"):
        run(tmp_path, "label=Ninth")
