"""What a run made and what it read: its files in the cache, by node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wsssbench.errors import CorruptArtefactError, UserError, unknown
from wsssbench.experiment.cache import read_manifest
from wsssbench.experiment.graph import stage_kind
from wsssbench.experiment.plan import Plan
from wsssbench.experiment.references import Reference, replaced
from wsssbench.interfaces import Dataset
from wsssbench.results.run_files import read_config, read_stages, stage_directory
from wsssbench.stages.generate import build_dataset, located
from wsssbench.stages.handles import photos_of
from wsssbench.stages.stage import StageKind

LOST = "the results are not in the cache any more, run again for pictures"


@dataclass(frozen=True)
class RunArtefacts:
    """What a run read and left.

    Attributes:
        config: resolved.
        dataset: where its files are.
        directories: of the stages' results, by node; only those that are complete.
        titles: what people call the result of a node.
        kinds: what kind of stage a node is.
    """

    config: Mapping[str, Any]
    dataset: Dataset
    directories: Mapping[str, Path]
    titles: Mapping[str, str]
    kinds: Mapping[str, StageKind]

    @classmethod
    def of_plan(cls, plan: Plan) -> RunArtefacts:
        """The files of an executed plan."""
        nodes = {step.node.name: step.node for step in plan.steps}
        return cls(
            plan.config,
            plan.dataset,
            {step.node.name: step.entry.directory for step in plan.steps},
            {name: node.heading or name for name, node in nodes.items()},
            {name: node.kind for name, node in nodes.items()},
        )

    @classmethod
    def of_run(cls, run: Path) -> RunArtefacts:
        """The files of a finished run, which its folder names.

        Raises:
            UserError: not the folder of a run, its data set cannot be used any more, or its results are lost.
        """
        stages = read_stages(run)
        config = read_config(run)
        dataset = build_dataset(config)
        places = {node: stage_directory(run, stage) for node, stage in stages.items()}
        directories = {node: place for node, place in places.items() if place is not None}
        placed = located(dataset, directories) if directories else None
        if placed is None:
            raise UserError(LOST)
        # The folder in the cache is called by the kind of stage.
        kinds = {node: stage_kind(place.parent.name) for node, place in directories.items()}
        known = {node: kind for node, kind in kinds.items() if kind is not None}
        titles = {node: stages[node].title or kind.title or node for node, kind in known.items()}
        return cls(config, placed, {node: directories[node] for node in known}, titles, known)

    def picture(self, node: str, id: str, split: str) -> np.ndarray | None:
        """What lies over the photo of `id`: (h, w) float heat of its CAM, or its (H, W) uint8 label map.

        None if there is no such file, or if it is not whole.

        Args:
            split: of `id`; predictions are kept by split.
        """
        directory = self.directories.get(node)
        try:
            return None if directory is None else self.kinds[node].picture(directory, id, split)
        except CorruptArtefactError:
            return None

    def class_pictures(self, node: str, id: str) -> Mapping[int, np.ndarray]:
        """The heat of single classes over the photo of `id`, by label value; empty if there is none."""
        directory = self.directories.get(node)
        try:
            return {} if directory is None else self.kinds[node].class_pictures(directory, id)
        except CorruptArtefactError:
            return {}

    def artefact(self, node: str) -> Any:
        """The result of `node` as an object that reads it: what its kind of stage makes.

        Raises:
            UserError: the run has no such stage, or its result is not in the cache any more.
        """
        config, name = self.node_config(node), self.full_name(node)
        return self.kinds[name].handle(config, self.directories[name], self.dataset)

    def node_config(self, node: str) -> Any:
        """The config with which `node` was made, with the artefacts themselves in the place of references.

        Raises:
            UserError: as `artefact`.
        """
        name = self.full_name(node)
        if name not in self.directories:
            raise UserError(
                f"{unknown('stage', node, self.directories)} (what the cache has of this run)"
            )
        manifest = read_manifest(self.directories[name])
        made = {place.name: node for node, place in self.directories.items()}  # by hash

        def referred(reference: Reference) -> Any:
            if reference.is_photos:
                return photos_of(self.dataset, [reference.target])
            # In a manifest, stages that were read go by their role.
            return self.artefact(made.get(manifest["upstream"][reference.path], reference.path))

        return replaced(manifest["config"], referred)

    def full_name(self, node: str) -> str:
        """`node`, or the node that may also be called so: ``refine.crf`` for ``crf``."""
        longer = [f"{kind.prefix}{node}" for kind in self.kinds.values() if kind.prefix]
        return next((name for name in (node, *longer) if name in self.directories), node)

    def shown(self) -> list[str]:
        """The nodes that have pictures of their own."""
        doubled = {n for kind in self.kinds.values() for n in kind.stands_for(self.config)}
        # What two chains have in common is shown once, by the shorter name: the experiment's own.
        first = {self.directories[name]: name for name in sorted(self.kinds, key=len, reverse=True)}
        doubled |= {name for name in self.kinds if first[self.directories[name]] != name}
        return [
            node for node, kind in self.kinds.items() if kind.has_picture and node not in doubled
        ]
