"""The VOC configs of AEFT: the paper's values, the released code's, and what sets the two apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wsssbench.experiment.config import read_config, resolve
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.experiment.trial import tried

CONFIGS = Path(__file__).parents[2] / "configs"


def config(name: str, smoke: bool = False) -> dict[str, Any]:
    read = read_config(CONFIGS / f"{name}.py")
    return resolve(tried(read, read, smoke, None))


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
    assert classifier["backbone"]["dropout"] == (0.2, 0.2)  # the released code's
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


# What the paper leaves open: its authors' code (train.py, train_aff.py, infer.py, README), read as facts.
OPEN = {
    "classifier.transform.resize_long": (256, 512),
    "classifier.transform.crop": 320,
    "classifier.transform.flip": True,
    "classifier.transform.jitter": (0.4, 0.4, 0.4, 0.1),
    "classifier.transform.jitter_probability": 0.8,
    "classifier.schedule.optimizer": "SGD",
    "classifier.schedule.epochs": 40,
    "classifier.schedule.momentum": 5e-4,  # the weight decay, in the place of SGD's momentum
    "classifier.schedule.weight_decay": 5e-4,
    "classifier.schedule.new_layers_lr": 1.0,
    "classifier.backbone.frozen_stages": 2,  # conv1a, b2*
    "classifier.backbone.frozen_norm": True,
    "classifier.erasing.0.t_high": 0.6,
    "classifier.erasing.0.t_low": 0.2,
    "classifier.dropout": 0.0,
    "cam.scales": (0.5, 1.0, 1.5, 2.0),
    "cam.flip": True,
    "refine.crf.preset": "psa",
    "refine.crf.alpha": 9.0,
    "refine.rw.input": "cam",
    "refine.rw.alpha": (2.0, 21.0),
    "refine.rw.background_alpha": 19.0,
    "refine.rw.crf_preset": "psa",
    "refine.rw.stride": 8,
    "refine.rw.radius": 5,
    "refine.rw.beta": 8.0,
    "refine.rw.steps": 2**6,
    "refine.rw.channels": (64, 128, 256),
    "refine.rw.crop": 448,
    "refine.rw.backbone.frozen_stages": 2,
    "refine.rw.backbone.frozen_norm": True,
    "refine.rw.backbone.dropout": (0.3, 0.5),
    "refine.rw.schedule.batch_size": 8,
    "refine.rw.schedule.epochs": 8,
    "refine.rw.schedule.lr": 0.01,
    "refine.rw.schedule.power": 0.9,
    "refine.rw.schedule.momentum": 5e-4,
    "refine.rw.schedule.weight_decay": 5e-4,
    "refine.rw.schedule.new_layers_lr": 10.0,
    "refine.rw_crf.input": "rw",
    "refine.rw_crf.preset": "psa_rw",
    "label.input": "rw_crf",
    "segmenter.crop": 448,
    "segmenter.schedule.iterations": 20000,
}


@pytest.mark.parametrize("name", ["aeft_voc", "aeft_voc_released", "aeft_coco"])
def test_values_the_paper_leaves_open_are_its_codes(name):
    resolved = leaves(config(name))
    changed = {"refine.rw.alpha": (1.0, 24.0), "segmenter.schedule.iterations": 200000}
    expected = {**OPEN, **(changed if name == "aeft_coco" else {})}
    assert {path: resolved[path] for path in expected} == expected


def test_every_training_of_the_paper_config_can_be_shared_by_four_ranks():
    for name in ("aeft_voc", "aeft_voc_released"):
        batches = {
            path: value
            for path, value in leaves(config(name)).items()
            if path.endswith(("schedule.batch_size", "first_batch_size", "supervised_images"))
        }
        assert len(batches) >= 5
        assert all(value is None or value % 4 == 0 for value in batches.values()), batches


def test_the_released_config_changes_what_it_lists_and_nothing_else():
    paper, released = leaves(config("aeft_voc")), leaves(config("aeft_voc_released"))
    changed = {
        path: value for path, value in released.items() if paper.get(path, "absent") != value
    }
    assert not paper.keys() - released.keys()
    assert changed.pop("classifier.erasing.0.start") * released["classifier.schedule.epochs"] == 18
    assert changed == {
        "name": "aeft_voc_released",
        "seed": 5137,
        "cam.relu": "image",
        "refine.rw.crops": "pixels",
        "segmenter.head": "dilated",
        "segmenter.norm_momentum": 0.1,
        "segmenter.last_layer": "normal",
        "segmenter.align_corners": False,
        "classifier.hidden": 256,
        "classifier.supervised_images": 8,
        "classifier.schedule.first_epochs": 18,
        "classifier.schedule.first_batch_size": 8,
        "classifier.schedule.decay_batch_size": 8,
        "classifier.erasing.0.type": "AEFTReleased",
        "classifier.erasing.0.paper": (),
        "classifier.erasing.0.attract": 0.2,
        "classifier.erasing.0.present_only": True,
    }


def test_one_row_of_the_released_code_can_be_undone_from_the_command_line():
    read = read_config(CONFIGS / "aeft_voc_released.py")
    undone = resolve(apply_overrides(read, ["classifier.erasing.0.paper=['repel_rows']"]))
    expected = leaves(config("aeft_voc_released"))
    assert leaves(undone) == expected | {"classifier.erasing.0.paper": ("repel_rows",)}


@pytest.mark.parametrize("name", ["aeft_voc", "aeft_voc_released"])
def test_smoke_needs_no_weights(name):
    small = leaves(config(name, smoke=True))
    weights = {path: v for path, v in small.items() if path.endswith("backbone.weights")}
    assert len(weights) == 3
    assert set(weights.values()) == {None}
