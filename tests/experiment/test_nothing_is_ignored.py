"""Nothing that a config gives has no effect: another legal value changes a stage, a listed output, or is refused."""

from __future__ import annotations

import copy
import typing
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from wsssbench.datasets.voc.dataset import VOC_CLASSES
from wsssbench.errors import UserError
from wsssbench.experiment.cache import canonical
from wsssbench.experiment.config import SECTIONS, read_config, resolve
from wsssbench.experiment.graph import Graph, hashed
from wsssbench.experiment.overrides import _parameters
from wsssbench.interfaces import Dataset
from wsssbench.plugins import load
from wsssbench.registry import trials

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = {
    "aeft_synthetic.py": {},
    "aeft_voc.py": {"splits.test": "test"},
    "gap_synthetic.py": {
        "refine": {},
        "label": {"type": "PPMG", "input": "cam"},
        "segmenter.loss": {"type": "PretendedUnderfitting"},
    },
}
# Which files of a data set a config names counts by their contents; see test_fingerprint.
CONTENTS = "data"
# Names of other things, where a text of no meaning is refused: key -> another legal value.
NAMES = {
    "preset": "irn", "crf_preset": "irn", "crf": "irn", "input": "cam", "name": "resnet18",
    "trained_on": "COCO",
}  # fmt: skip


class Anything(Dataset):
    """A data set that has every split, and is nowhere."""

    classes = VOC_CLASSES

    def has_masks(self, split: str) -> bool:
        return True

    def ids(self, split: str) -> list[str]:
        return []

    def labels(self, split: str) -> Any:
        raise NotImplementedError

    def image_path(self, id: str) -> Path:
        raise NotImplementedError

    def mask_path(self, id: str, split: str) -> Path:
        raise NotImplementedError

    def mask_directories(self) -> tuple[Path, ...]:
        return ()


def outcome(config: Mapping[str, Any]) -> str:
    """All that a run of the resolved `config` computes and lists, as one text."""
    generated = config["data"]["type"] == "SyntheticScenes"
    dataset = load().registries.dataset.build(config["data"]) if generated else Anything()
    nodes = {}
    for node in Graph(config, dataset).build():
        nodes[node.name] = [
            node.kind.name, hashed(node), dict(node.inputs), node.splits, node.masks, node.title, node.scored
        ]  # fmt: skip
    titles = {entry[-2] for entry in nodes.values()}
    shown = {title: value for title, value in config["reference"].items() if title in titles}
    return canonical([config["name"], nodes, shown])


def others(key: str, annotation: Any, value: Any) -> Iterator[Any]:
    """Other values that `annotation` allows."""
    plain = typing.get_args(annotation) or (annotation,)
    if typing.get_origin(annotation) is typing.Literal:
        yield from plain
        return
    for choice in plain:
        if typing.get_origin(choice) is typing.Literal:
            yield from typing.get_args(choice)
    if bool in plain:
        yield from (True, False)
    if str in plain:
        yield NAMES.get(key, "other")
    for trial, legal in trials(annotation, value):
        if legal:
            yield trial
    if isinstance(value, (tuple, list)) and value:
        yield type(value)(value[:-1])


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every parameter in a resolved config with its place, down to those of nested components and sections."""
    if isinstance(node, (list, tuple)):
        for i, item in enumerate(node):
            yield from leaves(item, f"{path}.{i}")
    elif isinstance(node, Mapping):
        parameters = _parameters(node, path)
        for key, value in node.items():
            place = f"{path}.{key}".lstrip(".")
            if isinstance(value, Mapping) or key in SECTIONS or key == "erasing":
                yield from leaves(value, place)
            elif key in parameters:
                legal = others(key, parameters[key].annotation, value)
                for other in islice((other for other in legal if other != value), 2):
                    yield place, other


def put(config: Mapping[str, Any], place: str, value: Any) -> dict[str, Any]:
    changed: Any = copy.deepcopy(dict(config))
    node = changed
    *parents, last = place.split(".")
    for part in parents:
        node = node[int(part) if isinstance(node, list) else part]
    node[last] = value
    return changed


@pytest.mark.parametrize("name", SHIPPED)
def test_another_value_changes_something_or_is_refused(name: str) -> None:
    config = read_config(CONFIGS / name)
    for place, value in SHIPPED[name].items():
        config = put(config, place, value)
    config = resolve(config)
    before = outcome(config)
    assert outcome(copy.deepcopy(config)) == before
    tried = refused = 0
    idle = []
    for place, value in leaves(config):
        if place.startswith(f"{CONTENTS}.") and config["data"]["type"] != "SyntheticScenes":
            continue
        tried += 1
        try:
            after = outcome(resolve(put(config, place, value)))
        except UserError:
            refused += 1
            continue
        if after == before:
            idle.append(f"{place}={value!r}")
    assert not idle
    assert tried > 150 and refused < tried / 3, (tried, refused)
