"""An experiment as a graph of stages: which stage reads what, in the order in which they can run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wsssbench.errors import UserError, unknown
from wsssbench.experiment.chains import (
    OWN,
    PREVIOUS,
    ChainConfig,
    chains,
    last_round,
    round_number,
    unused_rounds,
)
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
from wsssbench.stages.infer_cams import NODE as CAM
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
    """The stages of an experiment with all its chains.

    Args:
        config: resolved.
        dataset: of the config.
        memory: a folder that remembers the contents of files from one process to the next.

    Attributes:
        config: of the last chain, as its stages see it.
        chains: by name, the last one last.
    """

    def __init__(
        self, config: Mapping[str, Any], dataset: Dataset, memory: Path | None = None
    ) -> None:
        self.unused_rounds = unused_rounds(config)
        self.made: dict[str, Node] = {}  # each behind what it reads
        self.making: list[str] = []
        plain = {place: cls for kind in STAGES for place, cls in kind.plain.items()}
        self.chains = {
            one.name: Chain(self, one, dataset, memory) for one in chains(config, plain).values()
        }
        self.own = self.chains[OWN]
        self.config = self.own.config
        self.last_round = last_round(config)
        for name in self.config[Custom.section]:
            if round_number(name) or name == PREVIOUS:
                raise UserError(
                    f"{Custom.section}.{name}: a stage cannot be called '{name}', as a round is: give it another name"
                )
        # Of the stages that are made later on, `evaluate.cam`, the kind's name is known.
        stages = {
            stage.partition(".")[0]
            for stage in (*self.own.names(), *(kind.name for kind in STAGES))
        }
        for name in self.chains:
            if name in stages:
                raise UserError(
                    f"before.{name}: a chain cannot be called '{name}', as a stage is: give it another name"
                )

    def build(self) -> list[Node]:
        """Return every stage of the experiment, each behind what it reads.

        The last chain is there as a whole, of a round before it the CAMs, and of all chains what any of these reads.
        """
        for name in self._round_cams():
            self.need(name)
        for kind in STAGES:
            for name in kind.names(self.own):
                self.own.need(name)
        return self.nodes()

    def round_cams(self, among: Iterable[Node]) -> list[str]:
        """Return the names of the CAMs of earlier rounds, if those of the last one are `among` these nodes."""
        return self._round_cams() if any(node.name == CAM for node in among) else []

    def _round_cams(self) -> list[str]:
        rounds = [c for c in self.chains.values() if c.is_round and c is not self.own]
        return [chain.qualified(CAM) for chain in rounds if chain.knows(CAM)]

    def need(self, name: str) -> Node:
        """Return the node called `name` (or so for short), built if need be; UserError if there is none."""
        return self.own.need(name)

    def nodes(self) -> list[Node]:
        """Return the nodes that are built so far, each behind what it reads."""
        return list(self.made.values())

    def names(self) -> list[str]:
        """Return every stage that the experiment could have, the last chain's first."""
        return [name for chain in reversed(self.chains.values()) for name in chain.full_names()]

    def full_name(self, name: str) -> str:
        """Return the name of the node that may also be called `name`: ``round1.refine.rw`` for ``round1.rw``.

        It is `name` itself if there is no such stage.
        """
        try:
            chain, local = self.own.meant(name)
        except UserError:
            return name
        return chain.qualified(chain.full_name(local))

    def knows(self, name: str) -> bool:
        """Tell whether there is a stage called `name`, also for short."""
        return self.full_name(name) in self.names()

    def unused(self) -> list[str]:
        """Return the stages that the config gives and no other stage reads, and the chains of which nothing is read."""
        made = {node.local for node in self.nodes()}
        used = {node.chain for node in self.nodes()}
        stages = [name for name in self.config[Custom.section] if name not in made]
        return [*stages, *(name for name in self.chains if name not in (OWN, *used))]


class Chain:
    """The stages of one chain of a graph; see `wsssbench.stages.stage.Nodes`."""

    def __init__(
        self, graph: Graph, chain: ChainConfig, dataset: Dataset, memory: Path | None
    ) -> None:
        self.graph = graph
        self.name = chain.name
        self.config = chain.config
        self.previous = chain.previous
        self.left_out = chain.left_out
        self.is_round = chain.is_round
        self.dataset = dataset
        self.memory = memory
        self._owners: dict[str, StageKind] = {}
        for kind in STAGES:
            for name in (*kind.names(self), *kind.lazy_names(self)):
                if name in self._owners:
                    raise UserError(
                        f"two stages are called '{name}': give {Custom.section}.{name} another name"
                    )
                self._owners[name] = kind

    def names(self) -> list[str]:
        """Return every stage that the chain could have, by its name inside the chain."""
        return list(self._owners)

    def full_names(self) -> list[str]:
        """Return every stage that the chain could have."""
        return [self.qualified(name) for name in self._owners]

    def qualified(self, name: str) -> str:
        """Return the name in the experiment of the stage `name` of this chain."""
        shared = name == DATA and self.name != OWN
        return name if self.name == OWN or shared else f"{self.name}.{name}"

    def knows(self, name: str) -> bool:
        """Tell whether this chain has a stage called `name`, also for short."""
        return self.full_name(name) in self._owners

    def full_name(self, name: str) -> str:
        """Return `name`, or the node that may also be called so: ``refine.rw`` for ``rw``."""
        longer = [f"{kind.prefix}{name}" for kind in STAGES if kind.prefix]
        return next((full for full in (name, *longer) if full in self._owners), name)

    def split(self, name: str) -> str:
        return str(self.config["splits"][name])

    def meant(self, name: str, by: str = "") -> tuple[Chain, str]:
        """Return the chain that `name` begins with, and the rest; this chain if it begins with none.

        Raises:
            UserError: ``previous.X`` in a first round; the sentence names `by`.
        """
        head, dot, rest = name.partition(".")
        if dot and head == PREVIOUS:
            if self.previous is None:
                raise UserError(f"{by or name}: '{name}' means nothing in a first round")
            return self.graph.chains[self.previous], rest
        if dot and head == self.graph.last_round:
            return self.graph.own, rest
        if dot and head in self.graph.chains:
            return self.graph.chains[head], rest
        return (self.graph.own if name == DATA else self), name

    def need(self, name: str, by: str = "") -> Node:
        """Return the node called `name`, of this chain or ``chain.name`` of another one, built if need be.

        Args:
            by: who asks, for the sentence if there is none.

        Raises:
            UserError: there is no such stage, or it reads itself.
        """
        chain, local = self.meant(name, by)
        if chain is not self:
            return chain._need(local, name, by)
        return self._need(local, name, by)

    def _need(self, name: str, asked: str, by: str) -> Node:
        graph, local = self.graph, self.full_name(name)
        full = self.qualified(local)
        if full in graph.made:
            return graph.made[full]
        if full in graph.making:
            circle = " -> ".join([*graph.making[graph.making.index(full) :], full])
            has = (
                f"; {self.name} has all that the experiment has: change in before.{self.name} what it is not to read"
                if self.name != OWN
                else ""
            )
            raise UserError(f"stage {full} reads itself: {circle}{has}")
        if local not in self._owners:
            head = asked.removesuffix(name) if asked.endswith(f".{name}") else ""
            known = dict.fromkeys([*self._owners, *self.full_names(), *graph.names()])
            if head:  # of the chain that was asked, as it was asked
                known = dict.fromkeys(f"{head}{stage}" for stage in self._owners)
            raise UserError(f"{by or 'the experiment'}: {unknown('stage', asked, known)}")
        graph.making.append(full)
        node = replace(self._owners[local].node(local, self), name=full, chain=self.name)
        node = self._complete(node)
        graph.making.pop()
        graph.made[full] = node
        for kind in STAGES:
            follower = kind.follower(node, self)
            if follower:
                self._owners[follower] = kind
                self.need(follower)
        return node

    def _complete(self, node: Node) -> Node:
        """Return `node` with what it reads besides: the generated data set, and what its components refer to."""
        inputs = dict(node.inputs)
        if self.dataset.generated and node.name != DATA:
            inputs = {DATA: self.need(DATA).name, **inputs}
        photos: dict[str, str] = {}  # path of a parameter -> the split that it reads
        for reference in references(node.config):
            if reference.is_photos:
                photos[reference.path] = self._split_of(node, reference)
            else:
                inputs[reference.path] = self._target(node, reference).name
        config = dict(replaced(node.config, lambda one: photos.get(one.path, one.target)))
        if node.kind.random or any(getattr(cls, "random", False) for cls in components(config)):
            config["seed"] = self.config["seed"]
        splits = tuple(dict.fromkeys([*node.splits, *photos.values()]))
        return replace(node, config=config, inputs=inputs, splits=splits)

    def _split_of(self, node: Node, reference: Reference) -> str:
        splits = {key: split for key, split in self.config["splits"].items() if split}
        if reference.target not in splits:
            where = f"{reference.path.rpartition('.')[2]} of {reference.component} in {node.name}"
            raise UserError(
                f"{where} has to be the key of a split: {unknown('split', reference.target, splits)}"
            )
        return splits[reference.target]

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
    """Return the part of a node's config that is hashed: references as what they have to make, splits by name."""
    return replaced(
        node.config, lambda one: one.target if one.is_photos else f"<{called(one.artefacts)}>"
    )


def ancestors(nodes: Iterable[Node], last: Iterable[str]) -> list[Node]:
    """Return the nodes called `last`, what they need, and what follows any of those with what that needs."""
    by_name = {node.name: node for node in nodes}
    wanted = set(_needed(by_name, last))
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
