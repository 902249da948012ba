"""What refinements take and give, and CAM inference gives and needs, decides which stages there are."""

from __future__ import annotations

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
from wsssbench.interfaces import Cams, ScoreMaps
from wsssbench.plugins import GROUP, loaded_with
from wsssbench.progress import Silent

BRIGHT: dict[str, Any] = {
    **{key: value for key, value in TINY.items() if key != "classifier"},
    "cam": {"type": "Bright"},
    "refine": {"crf": {**TINY["refine"]["crf"]}},
    "label": {"input": "cam", "confidence": 0.4},
}


@pytest.fixture(autouse=True)
def plugin() -> Iterator[None]:
    with loaded_with((EntryPoint("more", "no_classifier", GROUP),)):
        yield


def plan_of(config: dict[str, Any], work: Path, *overrides: str) -> Plan:
    config = resolve(apply_overrides(config, overrides))
    return make_plan(config, Settings(work, "cpu", 1, Silent()))


def names(plan: Plan) -> list[str]:
    return [step.node.name for step in plan.steps]


def test_without_a_classifier_none_is_trained(tmp_path: Path) -> None:
    plan = plan_of(BRIGHT, tmp_path)
    assert names(plan)[:4] == ["data", "cam", "evaluate.cam", "refine.crf"]
    assert (
        plan["cam"].node.makes is ScoreMaps and "threshold" not in plan["evaluate.cam"].node.config
    )
    both = plan_of({**BRIGHT, "classifier": TINY["classifier"]}, tmp_path)
    assert names(both) == names(plan)
    with pytest.raises(UserError, match=r"parameter 'classifier' .* has to be given"):
        plan_of({**BRIGHT, "cam": TINY["cam"]}, tmp_path)


def test_a_refinement_may_give_cams(tmp_path: Path) -> None:
    refine = {"root": {"type": "Rooted"}, **TINY["refine"]}
    plan = plan_of({**TINY, "refine": refine}, tmp_path, "refine.rw.input=root")
    root = plan["refine.root"].node
    assert root.makes is Cams and "thresholds" in plan["evaluate.root"].node.config
    assert plan["refine.rw"].node.inputs["given"] == "refine.root"


@pytest.mark.parametrize(
    ("config", "overrides", "words"),
    [
        (TINY, ["refine.rw.input=crf"], "refine.rw.input='crf' has to make CAMs, but makes scores, which AffinityWalk "
                                        "does not refine"),
        (TINY, ["+refine.root=Rooted(input=crf)"], "refine.root.input='crf' has to make CAMs, but makes scores"),
        (BRIGHT, ["+refine.root=Rooted(input=cam)"], "refine.root.input='cam' has to make CAMs, but makes scores"),
        (BRIGHT, ["evaluate.selection=otsu"], "evaluate.selection='otsu' selects the threshold of CAMs, but cam makes "
                                              "scores"),
        (BRIGHT, ["label.threshold=0.5"], "label.threshold=0.5 does not go with label.input='cam', which makes scores: "
                                          "set label.confidence instead"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(
    tmp_path: Path, config: dict[str, Any], overrides: list[str], words: str
) -> None:
    with pytest.raises(UserError) as error:
        plan_of(config, tmp_path, *overrides)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_scores_of_cam_inference_are_scored_by_the_largest(tmp_path: Path) -> None:
    run = api.run(BRIGHT, set=(), work_dir=tmp_path, device="cpu", workers=1)
    rows = {row["node"]: row for row in run.ladder()}
    assert {"cam", "refine.crf", "label"} <= set(rows)
    for id in run.ids("train")[:2]:
        scores = run.scores(id, "cam")
        assert scores.shape[1:] == run.image(id).shape[:2]
        image = run.image(id)
        np.testing.assert_allclose(scores[0], 1 - image.mean(axis=2) / 255, atol=1e-3)
