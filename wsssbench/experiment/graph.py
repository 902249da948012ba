"""An experiment as a graph of stages: which stage reads what, in the order in which they can run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wsssbench.errors import UserError, unknown
from wsssbench.experiment.references import Reference, components, references, replaced
from wsssbench.interfaces import Dataset
from wsssbench.registry import called
from wsssbench.stages.classify import Classify
from wsssbench.stages.custom import Custom
from wsssbench.stages.evaluate import Evaluate
from wsssbench.stages.generate import NODE as DATA
from wsssbench.stages.generate import Generate
from wsssbench.stages.import_cams import ImportCams
from wsssbench.stages.import_labels import ImportLabels
from wsssbench.stages.infer_cams import InferCams
from wsssbench.stages.label import Label
from wsssbench.stages.refine import Fit, Refine
from wsssbench.stages.segment import Predict, Segment
from wsssbench.stages.select_threshold import SelectThreshold
from wsssbench.stages.stage import Node, SplitUse, StageKind

# In this order their sections are resolved and their nodes are wanted; a kind of stage is added by one word here.
STAGES: tuple[StageKind, ...] = tuple(
    kind()
    for kind in (
        *(Generate, Classify, InferCams, ImportCams, SelectThreshold, Custom),
        *(Fit, Refine, Label, ImportLabels, Segment, Predict, Evaluate),
    )
)


_UNUSED = SplitUse("is not used", labels=False)


def stage_kind(name: str) -> StageKind | None:
    """Return the kind of stage whose results are in the cache folder `name`; None if there is none (any more)."""
    return next((kind for kind in STAGES if kind.name == name), None)


def split_uses(config: Mapping[str, Any]) -> dict[str, list[SplitUse]]:
    """Return the uses of each split that a resolved config names."""
    by_key: dict[str, SplitUse] = {}
    for kind in STAGES:
        by_key.update(kind.split_uses(config))
    uses: dict[str, list[SplitUse]] = {}
    for key, split in config["splits"].items():
        if split:
            uses.setdefault(split, []).append(by_key.get(key, _UNUSED))
    return uses


class Graph:
    """The stages of an experiment; see `wsssbench.stages.stage.Nodes`.

    Args:
        config: resolved.
        dataset: of the config.
        memory: a folder that remembers the contents of files from one process to the next.
    """

    def __init__(
        self, config: Mapping[str, Any], dataset: Dataset, memory: Path | None = None
    ) -> None:
        self.config = config
        self.dataset = dataset
        self.memory = memory
        self._nodes: dict[str, Node] = {}  # each behind what it reads
        self._making: list[str] = []
        self._owners: dict[str, StageKind] = {}
        for kind in STAGES:
            for name in (*kind.names(self), *kind.lazy_names(self)):
                if name in self._owners:
                    raise UserError(
                        f"two stages are called '{name}': give {Custom.section}.{name} another name"
                    )
                self._owners[name] = kind

    def build(self) -> list[Node]:
        """Return every stage of the experiment, each behind what it reads."""
        for kind in STAGES:
            for name in kind.names(self):
                node = self.need(name)
                for following in STAGES:
                    follower = following.follower(node, self)
                    if follower:
                        self._owners[follower] = following
                        self.need(follower)
        return self.nodes()

    def need(self, name: str, by: str = "") -> Node:
        """Return the node called `name` (or so for short, see `full_name`), built if need be.

        Args:
            by: who asks, for the sentence if there is none.

        Raises:
            UserError: there is no such stage, or it reads itself.
        """
        full = self.full_name(name)
        if full in self._nodes:
            return self._nodes[full]
        if full in self._making:
            circle = " -> ".join([*self._making[self._making.index(full) :], full])
            raise UserError(f"stage {full} reads itself: {circle}")
        if full not in self._owners:
            raise UserError(f"{by or 'the experiment'}: {unknown('stage', name, self._owners)}")
        self._making.append(full)
        node = self._complete(self._owners[full].node(full, self))
        self._making.pop()
        self._nodes[full] = node
        return node

    def nodes(self) -> list[Node]:
        """Return the nodes that are built so far, each behind what it reads."""
        return list(self._nodes.values())

    def names(self) -> list[str]:
        """Return every stage that the experiment could have."""
        return list(self._owners)

    def knows(self, name: str) -> bool:
        """Tell whether there is a stage called `name`, also for short."""
        return self.full_name(name) in self._owners

    def is_unused(self, name: str) -> bool:
        """Tell whether `name` is a stage that the config gives and no other stage reads."""
        return name in self.config[Custom.section] and name not in self._nodes

    def full_name(self, name: str) -> str:
        """Return `name`, or the node that may also be called so: ``refine.rw`` for ``rw``."""
        longer = [f"{kind.prefix}{name}" for kind in STAGES if kind.prefix]
        return next((full for full in (name, *longer) if full in self._owners), name)

    def split(self, name: str) -> str:
        return str(self.config["splits"][name])

    def _complete(self, node: Node) -> Node:
        """Return `node` with what it reads besides: the generated data set, and what its components refer to."""
        inputs = dict(node.inputs)
        if self.dataset.generated and node.name != DATA:
            inputs = {DATA: self.need(DATA).name, **inputs}
        for reference in references(node.config):
            inputs[reference.path] = self._target(node, reference).name
        config = dict(node.config)
        if node.kind.random or any(getattr(cls, "random", False) for cls in components(config)):
            config["seed"] = self.config["seed"]
        return replace(node, config=config, inputs=inputs)

    def _target(self, node: Node, reference: Reference) -> Node:
        where = f"{reference.path.rpartition('.')[2]} of {reference.component} in {node.name}"
        target = self.need(reference.target, by=where)
        if target.makes is None or not issubclass(target.makes, reference.artefacts):
            made = (
                "leaves nothing to read" if target.makes is None else f"makes {target.makes.called}"
            )
            raise UserError(
                f"{where}='{reference.target}' has to be the name of a stage that makes {called(reference.artefacts)}, "
                f"but {target.name} {made}"
            )
        return target


def hashed(node: Node) -> Any:
    """Return the part of a node's config that is hashed: references as what they have to make."""
    return replaced(node.config, lambda reference: f"<{called(reference.artefacts)}>")


def ancestors(nodes: Iterable[Node], last: str) -> list[Node]:
    """Return the node called `last`, what it needs, and what follows any of those with what that needs."""
    by_name = {node.name: node for node in nodes}
    wanted = set(_needed(by_name, [last]))
    following = [
        node.name
        for node in by_name.values()
        if node.kind.follows
        and any(name in wanted and by_name[name].makes for name in node.inputs.values())
    ]
    wanted |= set(_needed(by_name, following))
    return [node for node in by_name.values() if node.name in wanted]


def _needed(nodes: Mapping[str, Node], names: Iterable[str]) -> Iterator[str]:
    """Yield `names` and everything above them."""
    waiting, seen = list(names), set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name
            waiting.extend(nodes[name].inputs.values())


def unscored_splits(nodes: Iterable[Node], dataset: Dataset) -> list[str]:
    """Return the splits that cannot be scored: they have no masks."""
    if dataset.generated:
        return []
    return sorted({n.scored for n in nodes if n.scored and not dataset.has_masks(n.scored)})
