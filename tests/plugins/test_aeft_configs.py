"""The VOC configs of AEFT: the paper's values, the released code's, and what sets the two apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_released import RELEASED

from wsssbench.config import read_config, resolve
from wsssbench.overrides import apply_overrides, apply_smoke

CONFIGS = Path(__file__).parents[2] / "configs"


def config(name: str, smoke: bool = False) -> dict[str, Any]:
    read = read_config(CONFIGS / f"{name}.py")
    return resolve(apply_smoke(read) if smoke else read)


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for key in value for k, v in leaves(value[key], f"{path}.{key}").items()}
    if isinstance(value, list):
        return {k: v for i, v in enumerate(value) for k, v in leaves(v, f"{path}.{i}").items()}
    return {path[1:]: value}


def test_the_papers_values():
    paper = config("aeft_voc")
    assert paper["splits"]["train"] == "train_aug"
    assert (paper["splits"]["evaluate"], paper["splits"]["val"]) == ("train", "val")
    classifier = paper["classifier"]
    assert classifier["backbone"]["type"] == "ResNet38d"
    assert classifier["pooling"] == {
        "type": "GPP",
        "bins": (2, 4, 8, 16),
        "aggregation": "coarse_to_fine",
    }
    schedule, erasing = classifier["schedule"], classifier["erasing"][0]
    assert (schedule["batch_size"], schedule["lr"], schedule["power"]) == (32, 0.01, 0.9)
    assert (erasing["attract"], erasing["repel"], erasing["margin"]) == (0.15, 0.15, 0.5)
    assert classifier["hidden"] == 0
    assert classifier["supervised_images"] is None
    assert paper["segmenter"]["head"] == "largefov"


def test_every_training_of_the_paper_config_can_be_shared_by_four_ranks():
    for name in ("aeft_voc", "aeft_voc_released"):
        batches = {
            path: value
            for path, value in leaves(config(name)).items()
            if path.endswith(("schedule.batch_size", "first_batch_size", "supervised_images"))
        }
        assert len(batches) >= 5
        assert all(value is None or value % 4 == 0 for value in batches.values()), batches


def test_the_released_config_has_every_switch_and_changes_nothing_else():
    paper, released = leaves(config("aeft_voc")), leaves(config("aeft_voc_released"))
    changed = {path for path in released if released[path] != paper[path]}
    erasing = "classifier.erasing.0."
    switches = {path.removeprefix(erasing) for path in changed if path.startswith(erasing)}
    assert switches == (RELEASED.keys() - {"repel"}) | {"start"}
    for name in switches - {"start"}:
        assert released[erasing + name] == RELEASED[name]
    assert changed - {erasing + name for name in switches} == {
        "name",
        "seed",
        "cam.relu",
        "classifier.hidden",
        "classifier.supervised_images",
        "classifier.backbone.dropout",
        "classifier.schedule.first_epochs",
        "classifier.schedule.first_batch_size",
        "classifier.schedule.decay_batch_size",
    }
    assert released[erasing + "start"] * released["classifier.schedule.epochs"] == 18


def test_one_row_of_the_released_code_can_be_undone_from_the_command_line():
    read = read_config(CONFIGS / "aeft_voc_released.py")
    undone = resolve(apply_overrides(read, ["classifier.erasing.0.repel_rows=all"]))
    expected = leaves(config("aeft_voc_released")) | {"classifier.erasing.0.repel_rows": "all"}
    assert leaves(undone) == expected


@pytest.mark.parametrize("name", ["aeft_voc", "aeft_voc_released"])
def test_smoke_needs_no_weights_and_only_lists_that_are_there(name):
    small = leaves(config(name, smoke=True))
    weights = {path: v for path, v in small.items() if path.endswith("backbone.weights")}
    assert len(weights) == 3
    assert set(weights.values()) == {None}
    lists = [v for path, v in small.items() if path.startswith("data.lists.")]
    assert len(lists) == 3
    assert all((CONFIGS.parent / file).is_file() for file in lists)
