"""Stages of somebody else's package: planned, cached, resumed, scored and shown."""

from __future__ import annotations

import json
import pprint
import re
import signal
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from plugin_environments import environment_with
from tiny_experiment import TINY
from warm_processes import WarmProcess

from wsssbench import api
from wsssbench.api import Run, open_run
from wsssbench.errors import UserError
from wsssbench.experiment.config import resolve
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.experiment.plan import Plan, Settings, make_plan
from wsssbench.plugins import GROUP, loaded_with
from wsssbench.progress import Silent

PACKAGE = Path(__file__).parent / "stages_package"
CONFIG = {
    **{key: value for key, value in TINY.items() if key not in ("refine", "label")},
    "name": "custom",
    "stages": {
        "means": {"type": "MeanActivation", "cams": "cam"},
        "above": {"type": "AboveMean", "cams": "cam", "means": "means"},
    },
}
NODES = ["data", "classify", "cam", "evaluate.cam", "means", "above", "evaluate.above"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of processes in which the package is installed, by its entry point."""
    return environment_with([PACKAGE], tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "custom.py"
    path.write_text("".join(f"{key} = {pprint.pformat(v)}\n" for key, v in CONFIG.items()))
    return path


def wsssbench(environment: dict[str, str], output: Path, *arguments: object) -> tuple[int, str]:
    """The exit code and the output of the command in a process that has the package."""
    environment = {**environment, "COLUMNS": "200"}
    process = WarmProcess("wsssbench", *arguments, output=output, environment=environment)
    return process.wait(), process.output


def test_a_run_of_an_installed_package(
    environment: dict[str, str], config: Path, tmp_path: Path
) -> None:
    """Planned, killed in the middle, resumed, scored, in the report, and reused."""
    output = tmp_path / "output.txt"
    options = (output, "run", config, "--work-dir", tmp_path, "--workers", 1, "--device", "cpu")
    _, planned = wsssbench(environment, *options, "--dry-run")
    assert re.findall(r"^ ?([\w.]+) .* computed ", planned, re.M) == NODES
    code, killed = wsssbench({**environment, "KILL_AFTER": "2"}, *options)
    assert code == -signal.SIGKILL, killed
    code, done = wsssbench(environment, *options)
    assert code == 0, done
    assert "[5/7] means: reused" in done
    assert "[6/7] above: resumed (was interrupted)" in done
    (run,) = (tmp_path / "runs" / "custom").iterdir()
    stages = json.loads((run / "run.json").read_text())["stages"]
    assert list(stages) == NODES
    assert stages["above"]["result"] == {"made": 4}  # of six; two were there
    assert "above mean" in done  # in the ladder
    page = (run / "report.html").read_text()
    assert page.count("above mean") >= 2  # a row of the ladder, and pictures
    _, again = wsssbench(environment, *options)
    assert again.count(": reused") == len(NODES), again


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package is loaded in this process."""
    monkeypatch.syspath_prepend(str(PACKAGE))
    with loaded_with((EntryPoint("stages", "stages_package", GROUP),)):
        yield


def plan_of(work: Path, *overrides: str, progress: Any = None, **changes: Any) -> Plan:
    settings = Settings(work, "cpu", 1, progress or Silent(), **changes)
    return make_plan(resolve(apply_overrides(CONFIG, overrides)), settings)


def hashes(plan: Plan) -> dict[str, str]:
    return {step.node.name: step.entry.key.hash for step in plan.steps}


def test_the_hash_goes_by_role_and_parameters(package: None, tmp_path: Path) -> None:
    first = hashes(plan_of(tmp_path))
    stages = {
        "other": {"type": "MeanActivation", "cams": "cam"},
        "mine": {"type": "AboveMean", "cams": "cam", "means": "other"},
    }
    renamed = hashes(
        plan_of(tmp_path, f"stages={stages!r}", "stages.means=none", "stages.above=none")
    )
    assert (renamed["other"], renamed["mine"]) == (first["means"], first["above"])
    changed = hashes(plan_of(tmp_path, "stages.means.factor=2.0"))
    assert {name for name in first if first[name] != changed[name]} == {
        *("means", "above", "evaluate.above")
    }


class Heard(Silent):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def test_what_nobody_reads_is_told_and_made_on_request(package: None, tmp_path: Path) -> None:
    heard = Heard()
    plan = plan_of(tmp_path, "stages.above=none", progress=heard)
    assert list(hashes(plan)) == ["data", "classify", "cam", "evaluate.cam"]
    assert heard.warnings == [
        "stage 'means' is read by no other stage, so it is not made; --until means makes it"
    ]
    asked = plan_of(tmp_path, "stages.above=none", progress=heard, until="means")
    assert list(hashes(asked)) == ["data", "classify", "cam", "evaluate.cam", "means"]
    assert len(heard.warnings) == 1


def test_the_seed_reaches_only_what_declares_it(package: None, tmp_path: Path) -> None:
    def seeds(*overrides: str) -> dict[str, Any]:
        plan = plan_of(tmp_path, "+stages.draw=Draw()", *overrides, until="draw")
        return {step.node.name: step.node.config.get("seed") for step in plan.steps}

    assert seeds("seed=5") == {"data": 0, "draw": 5}
    other = plan_of(tmp_path, "seed=5")
    assert "seed" not in other["means"].node.config


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["stages.means.cams=classify"], ["cams of MeanActivation in means='classify'",
                                          "has to be the name of a stage that makes CAMs",
                                          "classify makes a classifier"]),
        (["stages.means.cams=evaluate.cam"], ["evaluate.cam"]),
        (["stages.means.cams=camm"], ["cams of MeanActivation in means",
                                      "unknown stage 'camm': did you mean cam"]),
        (["stages.above.means=above"], ["stage above reads itself: above -> above"]),
        (["stages.above.means=3"], ["means of AboveMean in above: unknown stage '3': known: above, "]),
        (["+stages.cam=MeanActivation(cams=cam)"], ["two stages are called 'cam': give stages.cam another name"]),
        (["+stages.x=AboveMean(cams=[[cam]],means=means)"], ["has to be the name of a stage"]),
        (["+refine.x=DenseCRF(input=means,preset=psa)"], ["refine.x.input='means' has to make CAMs or scores",
                                                          "but makes mean activations"]),
        (["+refine.x=DenseCRF(input=above,preset=psa)"], ["but makes label maps"]),
        (["+stages.v=OfVal()", "+refine.x=DenseCRF(input=v,preset=psa)"],
         ["refine.x needs the splits train, but v, which it reads, is made for val"]),
        (["+stages.x={}"], ["stages.x is {}, but has to be dict(type='Name', ...)"]),
        (["+stages.x=MeanActivatio(cams=cam)"], ["did you mean MeanActivation"]),
    ],
)  # fmt: skip
def test_references_that_cannot_be_meant(
    package: None, tmp_path: Path, overrides: list[str], words: list[str]
) -> None:
    with pytest.raises(UserError) as error:
        plan_of(tmp_path, *overrides)
    for word in words:
        assert word in str(error.value)
    assert not (tmp_path / "cache").exists()


def test_no_image_level_stage_descends_from_what_has_seen_masks(
    package: None, tmp_path: Path
) -> None:
    segmenter = {
        "type": "DeepLab",
        "backbone": {"type": "EfficientNetLite0", "weights": None},
        "schedule": {"batch_size": 2, "iterations": 1, "lr": 0.01},
    }
    overrides = [
        f"+refine.crf={TINY['refine']['crf']!r}",
        "+label=dict(input='crf')",
        f"+segmenter={segmenter!r}",
        "+stages.again=AboveMeanOf(labels=predict)",
    ]
    with pytest.raises(UserError, match=r"stage again .* reads what predict made from masks"):
        plan_of(tmp_path, *overrides, until="again")


CRF = {**CONFIG, "refine": {"crf": {**TINY["refine"]["crf"]}}}


def test_components_of_two_kinds_may_have_one_name(package: None, tmp_path: Path) -> None:
    """The preset of the refinement stays a text, that of the stage is a stage."""
    plan = plan_of(
        tmp_path, f"+refine={CRF['refine']!r}", "+stages.x=DenseCRF(preset=cam)", until="x"
    )
    assert plan["x"].node.inputs == {"data": "data", "stage.preset": "cam"}
    plan = plan_of(tmp_path, f"+refine={CRF['refine']!r}")
    assert plan["refine.crf"].node.inputs == {"data": "data", "given": "cam"}


def run(work: Path, *overrides: str, **changes: Any) -> Run:
    return api.run(CONFIG, set=overrides, work_dir=work, device="cpu", workers=1, **changes)


def test_what_components_refer_to_is_there_whenever_they_are_built(
    package: None, tmp_path: Path
) -> None:
    """For the training, for CAMs of the trained classifier, for the card, and for an opened run."""
    made = run(
        tmp_path,
        "+stages.draw=Draw()",
        "classifier.erasing=[Guided(guide=draw)]",
        "+refine.same=Guided(guide=cam)",
    )
    assert {"cam", "refine.same"} <= {row["node"] for row in made.ladder()}
    (erasing,) = open_run(made.directory).classifier().classifier.erasing
    assert erasing.place.is_file()


def test_figures_are_plain_numbers_or_one_sentence(package: None, tmp_path: Path) -> None:
    made = run(tmp_path, "+stages.f=Figures()", until="f")
    stages = json.loads((made.directory / "run.json").read_text())["stages"]
    assert stages["f"]["result"] == {"one": 1.0, "more": [0, 1, 2]}
    for kind in ("object", "list"):
        with pytest.raises(UserError, match=r"stage 'f' returned .* has to return figures"):
            run(tmp_path, f"+stages.f=Figures(kind='{kind}')", until="f")


def test_files_that_a_stage_does_not_leave_or_find(package: None, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"stage 'v' \(OfVal\) .* no file for 3: 'val_00000.npz'"):
        run(tmp_path, "+stages.v=OfVal()", until="v")
    with pytest.raises(UserError, match=r"v reads .*, but cam makes no such file: is the image"):
        run(tmp_path, "+stages.v=OfVal(cams=cam)", until="v")
