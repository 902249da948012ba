"""Estimates are those of the same work, or none: keys are made up, nothing is computed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from wsssbench.experiment.cache import Entry, Key
from wsssbench.experiment.estimate import estimate
from wsssbench.experiment.plan import Plan, Step

DONE = {"device": "cpu", "images": 40, "whole": True, "peak_mib": 1.0}


def plan_of(root: Path, seed: int = 0, images: int = 40, **config: Any) -> Plan:
    """A training of a network with a schedule, and CAMs of it; `config` replaces its values."""
    schedule = {"epochs": 5, "lr": 0.1, "network": "small"} | config
    keys = [Key("train", {"classifier": schedule, "seed": seed}, {"wsssbench": "1"}, {}, "photos")]
    keys.append(Key("infer", {"scales": [1.0]}, {}, {"classifier": keys[0].hash}, "photos"))
    steps = [
        SimpleNamespace(
            node=SimpleNamespace(name=key.stage, local=key.stage, splits=("train",)),
            entry=Entry(root, key),
        )
        for key in keys
    ]
    dataset = SimpleNamespace(generated=False, ids=lambda _: [str(i) for i in range(images)])
    return cast(Plan, SimpleNamespace(steps=steps, dataset=dataset))


def make(plan: Plan, *seconds: float, **facts: Any) -> None:
    for step, takes in zip(plan.steps, seconds, strict=True):
        step.entry.open()
        step.entry.close({}, {"node": step.node.name, "seconds": takes, **DONE, **facts})


def estimates(plan: Plan, device: str = "cpu") -> list[float | None]:
    return [estimate(plan, cast(Step, step), device) for step in plan.steps]


def test_they_are_the_mean_of_the_same_work_with_other_seeds(tmp_path: Path) -> None:
    make(plan_of(tmp_path, seed=0), 270.0, 20.0)
    make(plan_of(tmp_path, seed=1), 290.0, 24.0)
    assert estimates(plan_of(tmp_path, seed=7)) == [280.0, 22.0]


@pytest.mark.parametrize(
    "config", [{"epochs": 50}, {"epochs": 0.1}, {"lr": 0.2}, {"network": "large"}, {"more": 1}]
)
def test_another_schedule_or_network_says_nothing_also_about_what_descends_from_it(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    """A smoke run of 24 seconds must not be the estimate of a training of minutes."""
    make(plan_of(tmp_path), 24.0, 2.0)
    assert estimates(plan_of(tmp_path, seed=1)) == [24.0, 2.0]
    assert estimates(plan_of(tmp_path, seed=1, **config)) == [None, None]


def test_another_device_other_numbers_of_images_and_the_rest_of_a_stage_say_nothing(
    tmp_path: Path,
) -> None:
    make(plan_of(tmp_path), 24.0, 2.0)
    again = plan_of(tmp_path, seed=1)
    assert estimates(again, "cuda") == [None, None]
    assert estimates(plan_of(tmp_path, seed=1, images=4000)) == [None, None]
    make(plan_of(tmp_path), 1.0, 0.1, whole=False)
    assert estimates(again) == [None, None]


def test_times_of_older_versions_say_nothing(tmp_path: Path) -> None:
    (first, _) = plan_of(tmp_path).steps
    first.entry.open()
    first.entry.close({}, {"node": "train", "seconds": 24.0, "peak_mib": 1.0})
    assert estimates(plan_of(tmp_path, seed=1)) == [None, None]
