"""Earlier chains and rounds: what is planned, what is shared, what is refused, and one run of it all."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_experiment import TINY

from wsssbench.errors import UserError
from wsssbench.experiment.config import resolve
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.experiment.plan import Plan, Settings, make_plan
from wsssbench.experiment.run import execute
from wsssbench.experiment.trial import tried
from wsssbench.interfaces import Artefact
from wsssbench.plugins import GROUP, loaded_with
from wsssbench.progress import Silent

PLAIN = {key: value for key, value in TINY.items() if key not in ("refine", "label")}
SEGMENTER = {
    "type": "DeepLab",
    "backbone": {"type": "EfficientNetLite0", "weights": None},
    "schedule": {"batch_size": 2, "iterations": 1, "lr": 0.01},
}


def with_erasing(*erasing: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return {**PLAIN, "classifier": {**PLAIN["classifier"], "erasing": list(erasing)}, **sections}


GUIDED = with_erasing(
    {"type": "Guided", "guide": "ordinary.classify"},
    before={"ordinary": {"classifier": {"erasing": []}}},
)
# As SC-CAM: each round learns the clusters of the one before.
CLUSTERED = with_erasing(
    {"type": "SubCategory", "clusters": "previous.clusters"},
    stages={"clusters": {"type": "Cluster", "classifier": "classify"}},
    rounds=3,
)
# As AE-PSL: regions add up.
MINED = {
    **PLAIN,
    "stages": {"mined": {"type": "Mine", "cams": "cam", "add_to": "previous.mined"}},
    "rounds": 2,
}
# As PMM: a segmenter's predictions teach the next one.
CYCLIC = {
    **TINY,
    "segmenter": SEGMENTER,
    "before": {"once": {"segmenter": {"schedule": {"lr": 0.02}}}},
    "stages": {"again": {"type": "Copy", "labels": "once.predict.train"}},
}


@pytest.fixture(autouse=True)
def package() -> Iterator[None]:
    with loaded_with((EntryPoint("rounds", "methods_with_rounds", GROUP),)):
        yield


class Heard(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.warnings: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def plan_of(work: Path, config: Any, *overrides: str, heard: Any = None, **changes: Any) -> Plan:
    settings = Settings(work, "cpu", 1, heard or Silent(), **changes)
    return make_plan(resolve(apply_overrides(config, overrides)), settings)


def hashes(plan: Plan) -> dict[str, str]:
    return {step.node.name: step.entry.key.hash for step in plan.steps}


def names(plan: Plan) -> list[str]:
    return [step.node.name for step in plan.steps]


PLAIN_NODES = ["data", "classify", "cam", "evaluate.cam"]


def test_a_guide_is_the_plain_classifier(tmp_path: Path) -> None:
    """It exists since it is read, and as the plain experiment trains it; the rest of its chain does not."""
    guided, plain = hashes(plan_of(tmp_path, GUIDED)), hashes(plan_of(tmp_path, PLAIN))
    assert list(guided) == ["data", "ordinary.classify", "classify", "cam", "evaluate.cam"]
    assert guided["ordinary.classify"] == plain["classify"] != guided["classify"]


def test_without_the_method_it_is_the_plain_plan(tmp_path: Path) -> None:
    heard, plain = Heard(), hashes(plan_of(tmp_path, PLAIN))
    assert hashes(plan_of(tmp_path, GUIDED, "classifier.erasing=none", heard=heard)) == plain
    assert heard.warnings == [
        "before.ordinary: no stage reads anything of it, so nothing of it is made"
    ]
    one_round = hashes(plan_of(tmp_path, CLUSTERED, "rounds=1", heard=heard))
    assert one_round == plain
    assert any("previous.clusters" in text and "rounds=2" in text for text in heard.warnings)


def test_rounds_are_the_same_work_whatever_their_number_is(tmp_path: Path) -> None:
    plain = hashes(plan_of(tmp_path, PLAIN))
    two, three = (hashes(plan_of(tmp_path, CLUSTERED, f"rounds={n}")) for n in (2, 3))
    assert [name for name in three if not name.startswith("round")] == PLAIN_NODES
    assert {name: three[f"round1.{name}"] for name in PLAIN_NODES[1:]} == {
        name: plain[name] for name in PLAIN_NODES[1:]
    }
    for name in PLAIN_NODES[1:]:
        assert two[name] == three[f"round2.{name}"]
    assert len({three[f"{round}classify"] for round in ("round1.", "round2.", "")}) == 3


def test_one_round_may_differ(tmp_path: Path) -> None:
    """An entry of `before` changes that round, also where it is the last one."""
    before = {"round2": {"classifier": {"schedule": {"epochs": 2}}}}
    config = {**CLUSTERED, "before": before}
    three = plan_of(tmp_path, config)
    epochs = {
        name: three[name].node.config["schedule"]["epochs"]
        for name in ("round1.classify", "round2.classify", "classify")
    }
    assert epochs == {"round1.classify": 1, "round2.classify": 2, "classify": 1}
    two = plan_of(tmp_path, config, "rounds=2")
    assert hashes(two)["classify"] == hashes(three)["round2.classify"]
    heard = Heard()
    plan_of(tmp_path, config, "rounds=1", heard=heard)
    assert "before.round2 has no effect, since the last round is round1" in heard.warnings


def test_optional_references_are_none_in_the_first_round(tmp_path: Path) -> None:
    heard = Heard()
    plan = plan_of(tmp_path, MINED, heard=heard)
    assert plan["round1.mined"].node.config["stage"]["add_to"] is None
    assert plan["mined"].node.inputs["stage.add_to"] == "round1.mined"
    assert "round1.evaluate.mined" in plan
    assert any(text.startswith("round1: stages.mined.add_to") for text in heard.said)


def test_chains_share_what_they_have_in_common(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, CYCLIC)
    shared = {s.node.name: s.same_as for s in plan.steps if s.same_as}
    assert shared["once.cam"] == "cam" and shared["label"] == "once.label"
    assert plan["once.segment"].entry.key.hash != plan["segment"].entry.key.hash
    assert plan["again"].node.inputs["stage.labels"] == "once.predict.train"
    assert "once.evaluate.predict.train" in plan
    assert "once.predict" not in plan  # nobody reads it


def test_names_of_other_chains(tmp_path: Path) -> None:
    """With --until and --force, also for short; the last round goes by its number, too."""
    plan = plan_of(tmp_path, CLUSTERED, until="round2.cam")
    assert "round2.cam" in plan and "classify" not in plan and "round2.evaluate.cam" in plan
    assert "round1.cam" not in plan
    assert {"round1.cam", "round1.evaluate.cam"} <= set(
        names(plan_of(tmp_path, CLUSTERED, until="cam"))
    )
    assert "round1.cam" not in plan_of(tmp_path, CLUSTERED, until="classify")
    assert "refine.rw" in plan_of(tmp_path, {**TINY, "rounds": 2}, until="round2.rw")
    first = plan_of(tmp_path, {**TINY, "rounds": 2}, until="round1.rw")
    assert "round1.refine.rw" in first
    forced = plan_of(tmp_path, CLUSTERED, force=("round1.classify",))
    assert all(
        step.forced for step in forced.steps if step.node.name != "data" and not step.same_as
    )


def test_the_images_of_a_split(tmp_path: Path) -> None:
    """Text where photos are wanted is the key of a split, whose images are part of what the stage reads."""
    config = {**PLAIN, "stages": {"few": {"type": "Others", "others": "val"}}}
    plan = plan_of(tmp_path, config, until="few")
    assert plan["few"].node.splits == ("train", "val")
    execute(plan, Settings(tmp_path, "cpu", 1, Silent()))
    result = (plan["few"].entry.manifest() or {})["result"]
    assert (result["of"], result["others"]) == (6, plan.dataset.ids("val"))
    train = plan_of(tmp_path, config, "stages.few.others=evaluate", until="few")
    assert train["few"].entry.key.hash != plan["few"].entry.key.hash
    with pytest.raises(UserError, match="others of Others in few has to be the key of a split"):
        plan_of(tmp_path, config, "stages.few.others=cam", until="few")


@pytest.mark.parametrize(
    ("config", "overrides", "words"),
    [
        (GUIDED, ["classifier.erasing.0.guide=ordinary.cam"],
         ["guide of Guided in classify='ordinary.cam'", "a classifier", "ordinary.cam makes CAMs"]),
        (GUIDED, ["classifier.erasing.0.guide=ordinry.classify"], ["did you mean ordinary.classify"]),
        (GUIDED, ["classifier.erasing.0.guide=classify"], ["stage classify reads itself: classify -> classify"]),
        (GUIDED, ["before.ordinary.classifier.erasing=Guided(guide=classify)"],
         ["classify reads itself", "ordinary has all that the experiment has: change in before.ordinary"]),
        (GUIDED, ["before.ordinary={'data': {'type': 'VOC2012'}}"], ["'data' is the same in all chains"]),
        (GUIDED, ["before.ordinary={'name': 'x'}"], ["before.ordinary.name", "the same in all chains"]),
        (GUIDED, ["before.ordinary=3"], ["before.ordinary=3 has to be dict(...)"]),
        (GUIDED, ["before={'previous': {}}"], ["a chain cannot be called 'previous'"]),
        (GUIDED, ["before={'cam': {}}"], ["a chain cannot be called 'cam', as a stage is"]),
        (GUIDED, ["before={'evaluate': {}}"], ["a chain cannot be called 'evaluate', as a stage is"]),
        *((GUIDED, [f"before={{'{name}': {{}}}}"], [f"cannot be called '{name}', since rounds are called round1"])
          for name in ("round0", "round01", "round٣")),
        (GUIDED, ["before.ordinary._delete_=True"], ["before.ordinary: _delete_ empties a section, not a chain"]),
        (GUIDED, ["before.ordinary={'classifier': {'_delete_': 'no'}}"], ["unknown parameter '_delete_'"]),
        (GUIDED, ["before.ordinary={'classifer': {}}"], ["did you mean classifier"]),
        (GUIDED, ["before.ordinary.classifer.hidden=3"], ["before.ordinary: unknown", "did you mean classifier"]),
        (GUIDED, ["before.ordinary.before.x=3"], ["before.ordinary.before: 'before' is the same in all chains"]),
        (GUIDED, ["before..classifier.hidden=3"], ["a chain cannot be called ''"]),
        (GUIDED, ["before.ordinary.stages.x=Copy(labels=label)"], ["write +before.ordinary.stages.x=... to add"]),
        (CLUSTERED, ["+stages.round3=Cluster(classifier=classify)"],
         ["stages.round3: a stage cannot be called 'round3', as a round is"]),
        (CLUSTERED, ["classifier.erasing.0.clusters=previous.clustres"],
         ["did you mean previous.clusters", "known: previous.cam, previous.classify"]),
        (CLUSTERED, ["classifier.erasing.0.clusters=previous.cam"],
         ["has to be the name of a stage that makes clusters, but round1.cam makes CAMs"]),
        *(({**GUIDED, "rounds": 2, **wrong}, ["before.round1.classifier.hidden=3"], [words])
          for wrong, words in (({"rounds": "x"}, "rounds='x' has to be"), ({"rounds": None}, "rounds=None has to be"),
                               ({"rounds": [3]}, "rounds=[3] has to be"), ({"before": "x"}, "before='x' has to be"),
                               ({"before": [1]}, "before=[1] has to be"),
                               ({"before": {"round1": [1]}}, "before.round1=[1] has to be dict(...)"))),
        *((with_erasing() | {"classifier": {**PLAIN["classifier"], "erasing": wrong}},
           ["classifier.erasing.0=RigidErasing"], ["classifier.erasing"]) for wrong in (3, "RigidErasing")),
        *((with_erasing(wrong), ["classifier.erasing=[RigidErasing(), 3]"], ["has to be a list of components"])
          for wrong in ({"threshold": 3}, {"type": [1]})),
        (GUIDED, ["before.ordinary.classifier.pooling=GAPP"], ["before.ordinary", "unknown pooling 'GAPP'"]),
        (GUIDED, ["before.once.classifier.pooling=GAP"], ["unknown chain 'once'", "ordinary"]),
        (CLUSTERED, ["rounds=0"], ["rounds=0"]),
        (CLUSTERED, ["stages.clusters.classifier=previous.classify"],
         ["stages.clusters.classifier='previous.classify' means nothing in a first round",
          "before=dict(round1=dict(...))"]),
        (CYCLIC, ["stages.again.labels=once.predict"], ["reads what once.predict made from masks"]),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(
    tmp_path: Path, config: Any, overrides: list[str], words: list[str]
) -> None:
    with pytest.raises(UserError) as error:
        plan_of(tmp_path, config, *overrides)
    for word in words:
        assert word in str(error.value)
    assert not (tmp_path / "cache").exists()


def test_an_override_of_a_chain_knows_the_last_round_and_rounds_as_a_file_may_have_them(
    tmp_path: Path,
) -> None:
    changed = plan_of(tmp_path, {**CLUSTERED, "rounds": "3"}, "before.round3.classifier.hidden=8")
    hidden = {
        n: changed[n].node.config["classifier"]["hidden"] for n in ("round2.classify", "classify")
    }
    assert hidden == {"round2.classify": 0, "classify": 8}


def test_a_stage_of_an_earlier_chain_that_is_not_made_cannot_be_forced(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--force ordinary\.cam has no effect, since nothing"):
        plan_of(tmp_path, GUIDED, force=("ordinary.cam",))
    forced = plan_of(tmp_path, GUIDED, force=("ordinary.cam",), until="ordinary.cam")
    assert forced["ordinary.cam"].forced


def test_a_class_of_artefacts_without_words_is_called_by_its_name() -> None:
    class Points(Artefact):
        pass

    class Clouds(Artefact):
        called = "clouds of points"

    assert (Points.called, Clouds.called) == ("Points", "clouds of points")


def test_a_stage_with_a_number_for_a_name_is_no_item_of_a_list(tmp_path: Path) -> None:
    numbered = {**PLAIN, "stages": {"1": {"type": "Cluster", "classifier": "previous.classify"}}}
    with pytest.raises(UserError, match=r"stages\.1\.classifier='previous\.classify' means"):
        plan_of(tmp_path, numbered, "rounds=2")


@pytest.mark.parametrize("config", [GUIDED, CLUSTERED, MINED, CYCLIC])
def test_a_resolved_config_is_a_config_of_the_same_work(tmp_path: Path, config: Any) -> None:
    resolved = resolve(config)
    assert resolve(resolved) == resolved
    plan = plan_of(tmp_path, config)
    assert hashes(plan_of(tmp_path, resolved)) == hashes(plan)
    assert hashes(plan_of(tmp_path, plan.config)) == hashes(plan)  # what the run's folder keeps


def test_overrides_reach_every_chain_but_what_it_pins(tmp_path: Path) -> None:
    changed = plan_of(tmp_path, GUIDED, "classifier.pooling=GAP", "classifier.schedule.lr=0.02")
    for name in ("ordinary.classify", "classify"):
        assert changed[name].node.config["classifier"]["pooling"] == {"type": "GAP"}
        assert changed[name].node.config["schedule"]["lr"] == 0.02
    assert changed["ordinary.classify"].node.config["classifier"]["erasing"] == []
    pinned = plan_of(
        tmp_path, GUIDED, "before.ordinary.classifier.pooling=GAP", "classifier.schedule.lr=0.02"
    )
    own, guide = (pinned[n].node.config for n in ("classify", "ordinary.classify"))
    assert (own["classifier"]["pooling"]["type"], guide["classifier"]["pooling"]["type"]) == (
        "GPP",
        "GAP",
    )
    added = apply_overrides(
        PLAIN, ["+before.wide.classifier.hidden=8", "before.wide.cam.flip=False"]
    )
    assert added["before"] == {"wide": {"classifier": {"hidden": 8}, "cam": {"flip": False}}}
    again = apply_overrides(added, ["before.wide.classifier.hidden=0"])
    assert again["before"]["wide"]["classifier"] == {"hidden": 0}


def test_a_section_of_a_chain_that_nothing_reads_is_told(tmp_path: Path) -> None:
    heard = Heard()
    plan_of(tmp_path, GUIDED, "before.ordinary.cam.flip=False", heard=heard)
    assert heard.warnings == [
        "before.ordinary.cam has no effect, since no stage reads what it would change"
    ]


def test_smoke_reaches_every_chain(tmp_path: Path) -> None:
    config = {**CLUSTERED, "before": {"round1": {"classifier": {"schedule": {"epochs": 7}}}}}
    small = plan_of(tmp_path, tried(config, config, True, None))
    for name in ("round1.classify", "round2.classify", "classify"):
        schedule = small[name].node.config["schedule"]
        assert schedule["iterations"] <= 3 and schedule["epochs"] is None
    assert (
        small["round1.classify"].node.config["schedule"]
        == small["classify"].node.config["schedule"]
    )


def test_a_run_with_a_guide(tmp_path: Path) -> None:
    """The guide stays as it was, and is not among the weights of its user."""
    plan = plan_of(tmp_path, GUIDED)
    settings = Settings(tmp_path, "cpu", 1, Silent())
    execute(plan, settings, only=("data", "ordinary.classify"))
    guide = plan["ordinary.classify"].entry.directory / "weights.pth"
    before = guide.read_bytes()
    happened = execute(plan, settings)
    assert happened["ordinary.classify"] == "reused" and happened["classify"] == "computed"
    assert guide.read_bytes() == before
    own = torch.load(plan["classify"].entry.directory / "weights.pth", weights_only=True)
    assert own.keys() == torch.load(guide, weights_only=True).keys()
    assert set(execute(plan_of(tmp_path, GUIDED), settings).values()) == {"reused"}


@pytest.mark.slow
def test_the_predictions_of_an_earlier_segmenter(tmp_path: Path) -> None:
    """Every training image has one, they are scored, and no mask was open while they were made."""
    plan = plan_of(tmp_path, CYCLIC, until="again")
    execute(plan, Settings(tmp_path, "cpu", 1, Silent()))
    ids = plan.dataset.ids("train")
    made = plan["once.predict.train"].entry.directory
    assert sorted(path.stem for path in made.glob("**/*.png")) == sorted(ids)
    assert not plan["once.predict.train"].node.masks
    copies = plan.artefact("again")
    for id in ids:
        assert (copies.read(id) == plan.artefact("once.predict.train").read(id)).all()
    scores = (plan["once.evaluate.predict.train"].entry.manifest() or {})["result"]
    assert scores["chosen"]["miou"] >= 0


def test_pictures_of_what_chains_share_are_shown_once(tmp_path: Path) -> None:
    from wsssbench.results.run_artefacts import RunArtefacts

    shown = RunArtefacts.of_plan(plan_of(tmp_path, CYCLIC)).shown()
    assert "cam" in shown and "once.cam" not in shown
    assert "once.predict.train" in shown and "predict" in shown
