"""The MS-COCO experiment: what the paper states, and otherwise what it has on VOC."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsssbench.experiment.config import read_config, resolve
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.experiment.trial import tried

CONFIGS = Path(__file__).parents[2] / "configs"
STATED = {
    *("name", "data", "splits", "reference", "smoke"),
    *("refine.rw.alpha", "segmenter.schedule.iterations"),
}


def differences(one: object, two: object, where: str = "") -> set[str]:
    """Keys with different values, the stated ones left out."""
    if where in STATED or one == two:
        return set()
    if isinstance(one, dict) and isinstance(two, dict):
        return {
            found
            for key in one.keys() | two.keys()
            for found in differences(one.get(key), two.get(key), f"{where}.{key}".lstrip("."))
        }
    return {where}


def test_it_differs_from_voc_in_what_it_says() -> None:
    coco, voc = (read_config(CONFIGS / f"aeft_{name}.py") for name in ("coco", "voc"))
    assert differences(coco, voc) == set()
    assert coco["segmenter"]["schedule"]["iterations"] == 200_000
    assert coco["reference"] == {"DeepLab val": 44.8}


def test_it_resolves_with_and_without_smoke() -> None:
    config = read_config(CONFIGS / "aeft_coco.py")
    resolved = resolve(config)
    assert resolved["data"]["type"] == "COCO2014" and resolved["data"]["masks"] == "stuff"
    assert resolved["splits"]["evaluate"] == "train"
    small = resolve(tried(config, config, True, None))
    assert small["segmenter"]["schedule"]["iterations"] < 10
    assert small["data"] == resolved["data"] and small["trial"]["images"] < 10


@pytest.mark.parametrize(("given", "masks"), [("instances", "instances"), ("none", None)])
def test_other_masks_by_override(given: str, masks: str | None) -> None:
    config = read_config(CONFIGS / "aeft_coco.py")
    changes = [f"data.masks={given}", "data.images=all", "data.prepared=elsewhere"]
    data = resolve(apply_overrides(config, changes))["data"]
    assert (data["masks"], data["images"], data["prepared"]) == (masks, "all", "elsewhere")
