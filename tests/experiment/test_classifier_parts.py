"""Objectives, augmentations, guides and ``classifier.init`` in an experiment."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_experiment import TINY

from wsssbench.errors import MissingWeightsError, UserError
from wsssbench.experiment.config import resolve
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.experiment.plan import Plan, Settings, make_plan
from wsssbench.experiment.run import execute
from wsssbench.interfaces import Classifier
from wsssbench.models.classifier import build_classifier, take_over
from wsssbench.plugins import GROUP, loaded_with
from wsssbench.progress import Silent
from wsssbench.stages.handles import ClassifierFile
from wsssbench.sweep.matrix import parse_grid

PLAIN = {key: value for key, value in TINY.items() if key not in ("refine", "label")}
OWN = {"objectives": [{"type": "Halves", "plane": "view"}], "augment": [{"type": "Mirrored"}]}
EMPTY: dict[str, Any] = {"init": None, "objectives": [], "augment": [], "erasing": []}


@pytest.fixture(autouse=True)
def package() -> Iterator[None]:
    points = (
        EntryPoint("parts", "classifier_parts", GROUP),
        EntryPoint("rounds", "methods_with_rounds", GROUP),
    )
    with loaded_with(points):
        yield


class Heard(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    warn = say


def with_before(name: str = "plain", **classifier: Any) -> dict[str, Any]:
    """The plain experiment as an earlier chain of one whose classifier has more."""
    before = {name: {"classifier": EMPTY}}
    return {**PLAIN, "classifier": {**PLAIN["classifier"], **classifier}, "before": before}


STARTED = with_before(init="plain.classify")


def plan_of(work: Path, config: Any, *overrides: str, heard: Any = None, **options: Any) -> Plan:
    settings = Settings(work, "cpu", 1, heard or Silent(), **options)
    return make_plan(resolve(apply_overrides(config, overrides)), settings)


def run(work: Path, plan: Plan) -> dict[str, str]:
    return dict(execute(plan, Settings(work, "cpu", 1, Silent())))


def weights(plan: Plan, name: str = "classify") -> dict[str, torch.Tensor]:
    return torch.load(plan[name].entry.directory / "weights.pth", weights_only=True)


def hashes(plan: Plan) -> dict[str, str]:
    return {step.node.name: step.entry.key.hash for step in plan.steps}


def test_a_run_with_all_of_it(tmp_path: Path) -> None:
    heard = Heard()
    plan = plan_of(tmp_path, with_before(init="plain.classify", **OWN), heard=heard)
    told = "classify: objectives.0 of the classifier start from random values"
    assert [text for text in heard.said if text.startswith(told)]
    run(tmp_path, plan)
    own, plain = weights(plan), weights(plan, "plain.classify")
    assert own.keys() - plain.keys() == {
        f"classifier.objectives.0.head.{name}" for name in ("weight", "bias")
    }
    card = plan.card("cam")
    assert (card["classification weight"], card["starts from"]) == (0.5, "plain.classify")
    assert card["initial weights"]["backbone"]["weights"] == "imagenet"
    scalars = (plan["classify"].entry.directory / "scalars.jsonl").read_text()
    assert '"halves"' in scalars


def test_emptied_it_is_the_plain_plan(tmp_path: Path) -> None:
    plain = hashes(plan_of(tmp_path, PLAIN))
    whole = with_before(init="plain.classify", **OWN)
    assert hashes(plan_of(tmp_path, whole))["classify"] != plain["classify"]
    none = [f"classifier.{slot}=none" for slot in ("objectives", "augment", "init")]
    assert hashes(plan_of(tmp_path, whole, *none)) == plain
    assert parse_grid("objectives=none,Halves").key == "classifier.objectives"
    assert parse_grid("augment=none,Mirrored").key == "classifier.augment"


def test_a_start_counts_by_what_it_is_not_by_its_name(tmp_path: Path) -> None:
    one = plan_of(tmp_path, STARTED)
    other = plan_of(tmp_path, with_before("first", init="first.classify"))
    assert hashes(one)["classify"] == hashes(other)["classify"] != hashes(one)["plain.classify"]
    longer = plan_of(tmp_path, STARTED, "before.plain.classifier.schedule.epochs=2")
    assert hashes(one)["classify"] != hashes(longer)["classify"]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("classifier.init=plain.cam", "the name of a stage that makes a classifier, but plain.cam makes CAMs"),
        ("classifier.init=classify", "stage classify reads itself"),
        ("classifier.init=pain.classify", "unknown stage 'pain.classify': did you mean plain.classify"),
        ("before.plain.classifier.hidden=8", "classifier.init: that classifier is another network: "),
    ],
)  # fmt: skip
def test_what_cannot_be_a_start_is_one_sentence(
    tmp_path: Path, override: str, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        plan_of(tmp_path, STARTED, override)


def test_the_start_needs_no_file_of_initial_weights(tmp_path: Path) -> None:
    """Those of its own backbone would only be overwritten."""
    config = copy.deepcopy(STARTED)
    config["classifier"]["backbone"]["weights"] = "gone.pth"
    config["before"]["plain"]["classifier"] = {
        **EMPTY,
        "backbone": {"type": "EfficientNetLite0", "weights": None, "output_stride": 16},
    }
    assert plan_of(tmp_path, config).missing == {}


def test_taken_over_is_all_but_objectives_of_another_type() -> None:
    def build(*objectives: dict[str, Any], seed: int) -> Any:
        torch.manual_seed(seed)
        config = {**{key: PLAIN["classifier"][key] for key in ("backbone", "pooling")}}
        return build_classifier({**config, "objectives": objectives}, 3, pretrained=False)

    halves = {"type": "Halves"}
    network = {"type": "WithNetwork", "backbone": {"type": "EfficientNetLite0", "weights": None}}
    start, same, other = (
        build(halves, seed=0),
        build(halves, halves, seed=1),
        build(network, seed=2),
    )
    assert take_over(same, start, "here") == ["objectives.1"]
    state = same.state_dict()
    assert all(torch.equal(state[name], value) for name, value in start.state_dict().items())
    assert take_over(other, start, "here") == ["objectives.0"]
    assert torch.equal(other.head.weight, start.head.weight)


@pytest.mark.slow
def test_regions_of_the_round_before_reach_the_crops(tmp_path: Path) -> None:
    """And in the first round, which has none before it, nothing is erased; planes need no rehearsal."""
    config = {
        **PLAIN,
        "stages": {"mined": {"type": "Mine", "cams": "cam", "add_to": "previous.mined"}},
        "rounds": 2,
        "before": {"round1": {"classifier": {"objectives": []}}},
        "classifier": {
            **PLAIN["classifier"],
            "objectives": [
                {"type": "Halves", "plane": "region"},
                {"type": "Recalling", "cams": "previous.cam"},
            ],
            "augment": [{"type": "BlankRegions", "regions": "previous.mined"}],
        },
    }
    plan = plan_of(tmp_path, config, until="classify")
    assert plan["round1.classify"].node.config["augment"] == []
    assert dict(plan["classify"].node.inputs)["augment.0.regions"] == "round1.mined"
    run(tmp_path, plan)
    # with the regions there, the rehearsal has real ids, but still tiny photos
    plan_of(tmp_path, config, "classifier.objectives.0.weight=2.0", until="classify")


def test_a_guide_is_opened_for_cams_only_if_their_maps_use_it(tmp_path: Path) -> None:
    network = {key: PLAIN["classifier"][key] for key in ("backbone", "pooling")}
    guide, images = ClassifierFile(tmp_path, network, 3), torch.zeros(1, 3, 32, 32)

    def guided(name: str) -> Classifier:
        erasing = {"type": name, "guide": guide}
        return build_classifier({**network, "erasing": [erasing]}, 3, pretrained=False)

    guided("Asking").cam_maps(images)  # there is no guide in that folder
    with pytest.raises(Exception, match=r"weights\.pth"):
        guided("AskingForMaps").cam_maps(images)


@pytest.mark.slow
def test_a_run_with_a_guide_that_makes_the_maps(tmp_path: Path) -> None:
    """It is trained with gradients through the guide, tried so before, and saved without it."""
    guided = {"type": "AskingForMaps", "guide": "ordinary.classify"}
    plan = plan_of(tmp_path, with_before("ordinary", erasing=[guided]))
    run(tmp_path, plan)
    assert weights(plan).keys() == weights(plan, "ordinary.classify").keys()


def test_initial_weights_inside_an_objective_are_not_asked_for_again(tmp_path: Path) -> None:
    file = tmp_path / "start.pth"
    torch.save(torch.ones(2), file)
    backbone = {"type": "ResNet38d", "weights": str(tmp_path / "gone.pth")}
    objective = {"type": "WithNetwork", "backbone": backbone, "weights": str(file)}
    config = {
        "backbone": {"type": "EfficientNetLite0", "weights": None},
        "pooling": {"type": "GAP"},
        "objectives": [objective],
    }
    with torch.device("meta"):
        build_classifier(config, 2, pretrained=False)
        with pytest.raises(MissingWeightsError, match=r"gone\.pth"):
            build_classifier(config, 2)
