"""``--smoke`` and ``--limit``: of any config, applied last, marked, and apart from real runs."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from shipped import CONFIGS, EXPERIMENTS

from wsssbench.errors import UserError
from wsssbench.experiment.config import read_config, resolve
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.experiment.plan import Plan, Settings, make_plan
from wsssbench.experiment.trial import tried
from wsssbench.plugins import load
from wsssbench.progress import Silent
from wsssbench.training.schedule import Schedule

NAMES = [path.relative_to(CONFIGS).with_suffix("").as_posix() for path in EXPERIMENTS]


def smoked(config: dict[str, Any], *overrides: str, said: list[str] | None = None) -> Any:
    changed = apply_overrides(config, overrides)
    warn = (lambda text: None) if said is None else said.append
    return resolve(tried(changed, config, True, None, overrides, warn))


def schedules(config: Any) -> list[dict[str, Any]]:
    """Every training schedule of a resolved config; an earlier chain has only what differs, and `test_chains`."""
    found = []
    if isinstance(config, dict):
        found = [config["schedule"]] if isinstance(config.get("schedule"), dict) else []
        for key, value in config.items():
            found += schedules(value) if key != "before" else []
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_config_has_tiny_trainings_under_smoke(name: str) -> None:
    resolved = smoked(read_config(CONFIGS / f"{name}.py"))
    assert resolved["name"].endswith("-smoke") and not resolved["reference"]
    trainings = schedules(resolved)
    assert 1 <= len(trainings) <= 3
    for training in trainings:
        assert Schedule(**training).length(8) <= 5 and training["batch_size"] <= 8
    assert len(resolved["cam"]["scales"]) == 1
    if resolved["segmenter"]:  # what fits no network of random weights has a value under smoke, too
        load().registries.segmenter.build(resolved["segmenter"], ("background", "thing"))


def test_a_config_without_a_section_smoke(tiny: dict[str, Any]) -> None:
    assert "smoke" not in tiny
    resolved = smoked(tiny)
    assert (resolved["trial"], resolved["name"]) == ({"images": 8, "smoke": True}, "tiny-smoke")
    assert resolved["data"]["train_images"] == 6  # fewer than eight stay
    again = resolve(resolved)
    assert again == resolved, "the config of a run's folder is that of the same run"
    assert smoked(resolved)["name"] == "tiny-smoke"


def test_phases_of_a_schedule_stay() -> None:
    training = smoked(read_config(CONFIGS / "aeft_voc_released.py"))["classifier"]["schedule"]
    sizes = Schedule(**training).batch_sizes(8)
    assert (sizes.first_batch, sizes.batch) == (4, 4) and 0 < sizes.first < sizes.iterations


def test_smoke_is_applied_last_and_says_what_it_replaces(tiny: dict[str, Any]) -> None:
    said: list[str] = []
    resolved = smoked(tiny, "classifier.schedule.epochs=7", "cam.flip=False", said=said)
    assert resolved["classifier"]["schedule"]["iterations"] == 2 and not resolved["cam"]["flip"]
    assert said == ["--smoke replaces classifier.schedule.epochs=7.0 by None"]


def test_of_a_component_that_was_given_smoke_says_which_keys_it_replaces(
    tiny: dict[str, Any],
) -> None:
    said: list[str] = []
    smoked(tiny, "cam=MultiScaleCAM(scales=(0.5, 1.0), flip=False)", said=said)
    assert said == ["--smoke replaces cam.scales=(0.5, 1.0) by (0.5,)"]


def test_the_configs_own_smoke_has_the_last_word(tiny: dict[str, Any]) -> None:
    own = {"data.train_images": 2, "classifier.schedule.epochs": 0.5, "cam.scales": (0.75,)}
    resolved = smoked({**tiny, "smoke": own})
    assert resolved["data"]["train_images"] == 2 and resolved["cam"]["scales"] == (0.75,)
    training = resolved["classifier"]["schedule"]
    assert (training["epochs"], training["iterations"]) == (0.5, None)


def test_smoke_of_what_an_override_has_replaced_is_left_out(tiny: dict[str, Any]) -> None:
    config = {**tiny, "smoke": {"classifier.pooling.bins": (4,), "refine.rw.steps": 2}}
    said: list[str] = []
    resolved = smoked(
        config, "classifier.pooling=GAP", "refine.rw=none", "label.input=crf", said=said
    )
    assert resolved["classifier"]["pooling"] == {"type": "GAP"} and "rw" not in resolved["refine"]
    assert said == []
    config["smoke"] = {"classifier.poling.bins": (4,)}
    smoked(config, said=said)
    assert said == ["smoke: the config has no classifier.poling.bins, so that is left out"]


def test_smoke_that_one_chain_has_a_place_for_is_not_left_out(tiny: dict[str, Any]) -> None:
    said: list[str] = []
    other = {"classifier": {"pooling": {"type": "GAP"}}}
    config = {**tiny, "before": {"other": other}, "smoke": {"classifier.pooling.bins": (4,)}}
    resolved = smoked(config, said=said)
    assert resolved["classifier"]["pooling"]["bins"] == (4,) and said == []


def test_a_limit_takes_the_first_images_and_nothing_else(tiny: dict[str, Any]) -> None:
    limited = resolve(tried(tiny, tiny, False, 2))
    assert limited["name"] == "tiny-limit2"
    assert (limited["data"]["train_images"], limited["data"]["val_images"]) == (2, 2)
    whole = copy.deepcopy(resolve(tiny))
    for key in ("name", "data"):
        whole.pop(key), limited.pop(key)
    assert limited.pop("trial") == {"images": 2, "smoke": False}
    assert limited == whole
    with pytest.raises(UserError, match="--limit 0"):
        tried(tiny, tiny, False, 0)


@pytest.fixture(autouse=True)
def _no_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes seconds and has tests of its own."""
    monkeypatch.setattr("wsssbench.experiment.plan.rehearse", lambda *_: {})


def plan(config: dict[str, Any], root: Path, limit: int | None, smoke: bool = False) -> Plan:
    voc = {**config, "data": {"type": "VOC2012", "root": str(root), "labels": "labels.csv"}}
    resolved = resolve(tried(voc, voc, smoke, limit))
    return make_plan(resolved, Settings(root.parent / "work", "cpu", 1, Silent()))


def test_real_and_limited_runs_share_what_is_the_same_but_no_folder(
    tiny: dict[str, Any], voc_root: Path
) -> None:
    names = ("2007_000001", "2007_000002", "2007_000003", "2008_000001")
    rows = "".join(
        f"{id},{label}\n" for id, label in zip(names, ("cat", "dog", "cat;dog", "cat"), strict=True)
    )
    (voc_root / "labels.csv").write_text(f"id,labels\n{rows}")
    plans = {limit: plan(tiny, voc_root, limit) for limit in (None, 2, 50)}
    hashes = {limit: [s.entry.key.hash for s in one.steps] for limit, one in plans.items()}
    assert hashes[None] == hashes[50], "a limit beyond the data set changes no result"
    assert not set(hashes[None]) & set(hashes[2])
    work = voc_root.parent / "work"
    assert len({one.directory(work) for one in plans.values()}) == 3
    assert plans[2].dataset.ids("train") == list(names[:2])
    assert [plans[limit].trial is None for limit in plans] == [True, False, False]


def test_smoke_chooses_images_with_masks_that_show_all_classes(
    tiny: dict[str, Any], voc_root: Path
) -> None:
    (voc_root / "labels.csv").write_text(
        "id,labels\n2007_000001,cat\n2007_000002,cat;dog\n2007_000003,bird;cow\n2008_000001,cat\n"
    )
    assert plan(tiny, voc_root, 2, smoke=True).dataset.ids("train") == [
        "2007_000002",
        "2007_000003",
    ]
    (voc_root / "SegmentationClass" / "2007_000003.png").unlink()
    assert plan(tiny, voc_root, 2, smoke=True).dataset.ids("train") == [
        "2007_000001",
        "2007_000002",
    ]
