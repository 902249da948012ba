"""generate: write a generated data set to disk; every other stage of the experiment reads it.

Config: the data set's component.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from wsssbench.datasets.subset import Subset, Trial
from wsssbench.interfaces import Dataset
from wsssbench.parallel import ranks
from wsssbench.plugins import load
from wsssbench.registry import Registries
from wsssbench.stages.stage import Node, Nodes, StageKind, StageWork

NODE = "data"
_FOLDER = "dataset"  # of the files, in the stage's directory


class Generate(StageKind):
    """Makes the data set of an experiment if it is generated; describes it in any case."""

    name = "generate"
    section = "data"
    required = True
    slots = {"data": "dataset"}
    writes_masks = True
    taints = False

    def resolve(self, given: Any, config: Mapping[str, Any], registries: Registries) -> Any:
        section = registries.dataset.resolve(given, self.section)
        if trial := config.get("trial"):
            for size in cast(type[Dataset], registries.dataset.get(section["type"])).sizes:
                section[size] = min(section[size], trial["images"])
        return section

    def names(self, nodes: Nodes) -> Iterable[str]:
        return (NODE,) if nodes.dataset.generated else ()

    def node(self, name: str, nodes: Nodes) -> Node:
        return Node(name=name, kind=self, config=nodes.config[self.section])

    def run(self, work: StageWork) -> dict[str, Any]:
        """Write the data set next to its place and move it there whole. One rank does it."""
        target = work.directory / _FOLDER
        if ranks.is_main() and not target.is_dir():
            partial = work.directory / "partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            dataset = load().registries.dataset.build(work.config, where=self.section)
            dataset.generate(partial, work.context.progress)
            partial.rename(target)
        return {}


def data_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section of a config that describes its data set."""
    section: dict[str, Any] = config[Generate.section]
    return section


def build_dataset(config: Mapping[str, Any]) -> Dataset:
    """Build the data set of a resolved config, of a trial only its images; a generated one has no files yet."""
    dataset: Dataset = load().registries.dataset.build(data_of(config), where=Generate.section)
    trial = config.get("trial")
    if trial is None or (dataset.generated and dataset.sizes):  # which has been made small itself
        return dataset
    return Subset(dataset, Trial(**trial))


def located(dataset: Dataset, directories: Mapping[str, Path]) -> Dataset | None:
    """Return `dataset` with its files, given the directories of a run's results by node.

    None if it is generated and not there.
    """
    if not dataset.generated:
        return dataset
    directory = directories.get(NODE)
    return None if directory is None else dataset.at(directory / _FOLDER)
