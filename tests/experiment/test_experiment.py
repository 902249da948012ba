"""Which stages an experiment has: splits without masks, a test split, imported CAMs, a selected threshold."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_experiment import TINY

from wsssbench.errors import UserError
from wsssbench.experiment.config import resolve
from wsssbench.experiment.graph import Graph, unscored_splits
from wsssbench.interfaces import Dataset
from wsssbench.stages.evaluate import Evaluate
from wsssbench.stages.stage import Node

SEGMENTER = {
    "type": "DeepLab",
    "backbone": {"type": "EfficientNetLite0", "weights": None},
    "schedule": {"batch_size": 2, "iterations": 1, "lr": 0.01},
}


class Fake(Dataset):
    """A data set whose splits `masked` have masks."""

    classes = ("a", "b")

    def __init__(self, masked: set[str]) -> None:
        self.masked = masked

    def ids(self, split: str) -> list[str]:
        return [f"{split}1", f"{split}2"]

    def labels(self, split: str) -> np.ndarray:
        return np.ones((2, 2), np.float32)

    def image_path(self, id: str) -> Path:
        return Path(f"{id}.jpg")

    def mask_path(self, id: str, split: str) -> Path | None:
        return Path(f"{id}.png") if split in self.masked else None

    def mask_directories(self) -> tuple[Path, ...]:
        return ()


def nodes(masked: set[str], **sections: Any) -> dict[str, Node]:
    config = resolve({**copy.deepcopy(TINY), "segmenter": SEGMENTER, **sections})
    return {node.name: node for node in Graph(config, Fake(masked)).build()}


def evaluated(found: dict[str, Node]) -> list[str]:
    return [name for name, node in found.items() if isinstance(node.kind, Evaluate)]


def test_every_node_comes_after_what_it_reads() -> None:
    for selection in ("fixed", "otsu"):
        found = nodes({"train", "val"}, evaluate={"selection": selection})
        seen: set[str] = set()
        for name, node in found.items():
            assert set(node.inputs.values()) <= seen, name
            seen.add(name)


def test_what_has_no_masks_is_not_scored_but_made() -> None:
    everything = nodes({"train", "val"})
    assert evaluated(everything) == [
        *("evaluate.cam", "evaluate.crf", "evaluate.rw", "evaluate.label", "evaluate.predict")
    ]  # fmt: skip
    assert evaluated(nodes({"val"})) == ["evaluate.predict"]
    nothing = nodes(set())
    assert evaluated(nothing) == []
    assert set(nothing) == set(everything) - set(evaluated(everything))


def test_the_splits_that_are_left_out_are_named() -> None:
    found = nodes({"val"}).values()
    assert unscored_splits(found, Fake({"val"})) == ["train"]
    assert unscored_splits(found, Fake({"train", "val"})) == []


def test_a_test_split_is_predicted_and_scored_only_if_it_can_be() -> None:
    splits = {"test": "test"}
    without = nodes({"train", "val"}, splits=splits)
    assert without["predict.test"].config["split"] == "test"
    assert without["predict.test"].inputs == {"segmenter": "segment"}
    assert "evaluate.predict.test" not in without
    scored = nodes({"train", "val", "test"}, splits=splits)
    assert scored["evaluate.predict.test"].title == "DeepLab test"
    predicted = scored["predict.test"]
    maps = predicted.kind.handle(predicted.config, Path("predicted"), Fake({"test"}))
    assert maps.directory == Path("predicted/test")


def test_a_test_split_changes_nothing_before_it() -> None:
    plain = nodes({"train", "val"})
    more = nodes({"train", "val"}, splits={"test": "test"})
    assert all(more[name] == node for name, node in plain.items())


def test_a_heldout_split_gets_cams_and_selects_the_threshold() -> None:
    found = nodes(
        {"train", "val", "held"}, splits={"heldout": "held"}, evaluate={"selection": "heldout"}
    )
    assert "held" in found["cam"].splits and "held" not in found["refine.crf"].splits
    assert found["threshold"].masks == found["threshold"].splits == ("held",)
    assert found["evaluate.cam"].inputs["threshold"] == "threshold"
    assert "threshold" not in found["evaluate.crf"].inputs


def test_otsu_reads_no_truth() -> None:
    found = nodes({"train", "val"}, evaluate={"selection": "otsu"})
    assert not found["threshold"].masks
    assert found["threshold"].inputs == {"given": "cam"}
    assert found["evaluate.cam"].inputs == {"given": "cam", "threshold": "threshold"}


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"evaluate": {"selection": "heldout"}}, "needs splits.heldout"),
        (
            {"evaluate": {"selection": "heldout"}, "splits": {"heldout": "train"}},
            "which is also scored",
        ),
        ({"splits": {"heldout": "held"}}, "set both or none"),
        ({"splits": {"train": ""}}, "splits.train is empty"),
        ({"evaluate": {"selection": "best"}}, "selection"),
        ({"import_cams": {"directory": "d", "format": "voc"}}, "format"),
        ({"import_cams": {"format": "psa"}}, "directory"),
    ],
)
def test_combinations_that_cannot_be_meant(sections: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        resolve({**copy.deepcopy(TINY), **sections})
