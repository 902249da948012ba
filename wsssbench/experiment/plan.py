"""The plan of a run: every stage with its place in the cache, and why it is computed or reused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from wsssbench.datasets.subset import Trial
from wsssbench.errors import UserError, unknown
from wsssbench.experiment.cache import Entry, Key
from wsssbench.experiment.checks import (
    Once,
    check_components,
    check_data,
    check_images,
    check_masks,
    check_splits,
    check_taint,
    tell_idle_entries,
    tell_unscored,
    tell_unused,
    tell_unused_reference,
)
from wsssbench.experiment.fingerprint import data_fingerprint, with_checksums
from wsssbench.experiment.graph import Graph, ancestors, hashed
from wsssbench.experiment.provenance import code_version
from wsssbench.experiment.references import Reference, components, replaced
from wsssbench.experiment.rehearsal import rehearse
from wsssbench.experiment.weight_files import Missing
from wsssbench.interfaces import Dataset
from wsssbench.parallel.plugin_errors import plugin_errors
from wsssbench.progress import Progress
from wsssbench.stages.generate import build_dataset, data_of, located
from wsssbench.stages.handles import photos_of
from wsssbench.stages.stage import Node

FORCED = "forced"  # the reason of a stage that is computed again on request
MEMORY = "contents"  # the folder that remembers what is in data sets, beside the cache
State = Literal["reused", "resumed", "computed"]


@dataclass(frozen=True)
class Settings:
    """The way to run, on which no result depends: none of it is in a content hash."""

    work_dir: Path
    device: str
    workers: int
    progress: Progress
    force: tuple[str, ...] = ()
    until: str | None = None


@dataclass(frozen=True)
class Step:
    """A node of the plan with its place in the cache, what will happen to it and why.

    `same_as` names an earlier node of the plan that is the same work, e.g. in another chain.
    """

    node: Node
    entry: Entry
    state: State
    reason: str
    same_as: str = ""

    @property
    def forced(self) -> bool:
        """Is it computed again on request, or because something above it is?"""
        return self.reason.partition(":")[0] == FORCED


@dataclass(frozen=True)
class Plan:
    """All that a run will do."""

    config: Mapping[str, Any]
    dataset: Dataset
    steps: tuple[Step, ...]
    missing: Missing = field(default_factory=dict)  # weight files

    def __getitem__(self, name: str) -> Step:
        return next(step for step in self.steps if step.node.name == name)

    def __contains__(self, name: str) -> bool:
        return any(step.node.name == name for step in self.steps)

    @property
    def trial(self) -> Trial | None:
        """The images of a run that is only a trial, None for a real one."""
        return Trial(**self.config["trial"]) if self.config.get("trial") else None

    @property
    def run_id(self) -> str:
        """Names the run by what it computes, so that the same command again is the same run."""
        digest = hashlib.sha256("".join(s.entry.key.hash for s in self.steps).encode()).hexdigest()
        return f"{digest[:8]}-seed{self.config['seed']}"

    def directory(self, work_dir: Path) -> Path:
        """Return the folder for the results of this run."""
        return work_dir / "runs" / str(self.config["name"]) / self.run_id

    def contents(self, node: Node) -> dict[str, str | None]:
        """Return the content ids, by role, of what `node` reads in the cache now; None for what is not complete."""
        return {role: self[name].entry.content() for role, name in node.inputs.items()}

    def artefact(self, name: str) -> Any:
        """Return the result of the node called `name` as those receive it who read it."""
        step = self[name]
        config = self.with_artefacts(step.node).config
        return step.node.kind.handle(config, step.entry.directory, self.dataset)

    def with_artefacts(self, node: Node) -> Node:
        """`node` with the artefacts themselves in the place of the references of its config."""

        def read(one: Reference) -> Any:
            if one.is_photos:
                return photos_of(self.dataset, [one.target])
            return self.artefact(node.inputs[one.path])

        return replace(node, config=replaced(node.config, read))

    def trained_for(self, name: str) -> list[Node]:
        """Return the nodes of other chains that train a network and that the node called `name` descends from."""
        chain, waiting, found = self[name].node.chain, [name], {}
        while waiting:
            step = self[waiting.pop()]
            waiting.extend(step.node.inputs.values())
            if step.node.chain != chain and step.node.kind.trains and not step.same_as:
                found[step.entry.key.hash] = step.node
        return list(found.values())

    def card(self, name: str) -> dict[str, Any]:
        """Return the protocol card's entries on how the result of the node called `name` was made; raw values."""
        node = self[name].node
        above: dict[str, Any] = {}
        for upstream in node.inputs.values():
            above |= self.card(upstream)
        return node.kind.card(self.with_artefacts(node), above)


@plugin_errors()
def make_plan(
    config: Mapping[str, Any], settings: Settings, checked: set[str] | None = None
) -> Plan:
    """Hash every stage and see what the cache has.

    Args:
        checked: the checks that earlier plans of the same command have passed; they are not repeated. Added to.

    Raises:
        IncompatibleError: components that do not go together.
        PluginError: the code of a plugin raised an exception.
        UserError: the data set or a component of the config cannot be used; an unknown --force or --until.
    """
    dataset = build_dataset(config)
    memory = settings.work_dir / MEMORY
    graph = Graph(config, dataset, memory)
    nodes = _wanted(graph, settings)
    if settings.until is None:
        tell_idle_entries(config, graph, nodes, settings.progress)
    check_taint(nodes)
    check_splits(nodes, dataset)
    check_images(nodes, dataset)
    once = Once(set() if checked is None else checked)
    missing = check_components(nodes, config, dataset, settings.progress, once)
    on_data = {
        "dataset": data_of(config),
        "splits": config["splits"],
        "nodes": [node.name for node in nodes],
    }
    if not dataset.generated:
        scored = [n.config for n in nodes if n.masks]
        once(
            lambda: check_data(nodes, dataset, settings.workers, settings.progress),
            {**on_data, "scored": scored},
        )
    tell_unscored(nodes, dataset, settings.until, settings.progress)
    steps = _steps(nodes, dataset, settings, {graph.full_name(name) for name in settings.force})
    computed = [s.node.makes for s in steps if s.state == "computed"]
    # Masks that cannot be read have to show before the hours that these take.
    if not dataset.generated and any(made and made.slow for made in computed):
        once(
            lambda: check_masks(nodes, dataset, settings.workers, settings.progress),
            {**on_data, "masks": True},
        )
    directories = {step.node.name: step.entry.directory for step in steps}
    placed = located(dataset, directories) or dataset
    plan = Plan({**config, **graph.config}, placed, steps, missing)
    cached = {
        s.node.name: partial(plan.artefact, s.node.name)
        for s in steps
        if (plan[s.same_as] if s.same_as else s).state == "reused"
    }
    more = rehearse(nodes, cached, placed, settings.device, settings.progress)
    return replace(plan, missing={**more, **missing})


def _wanted(graph: Graph, settings: Settings) -> list[Node]:
    nodes = graph.build()
    until = [] if settings.until is None else [settings.until]
    for option, given in (("--force", settings.force), ("--until", until)):
        for name in given:
            if not graph.knows(name):
                raise UserError(f"{option}: {unknown('stage', name, graph.names())}")
    last = graph.need(settings.until) if settings.until else None
    tell_unused(graph, settings.progress)
    tell_unused_reference(graph, settings.progress)
    if last is None:
        made = [node.name for node in nodes]
        for name in settings.force:
            if graph.full_name(name) not in made:
                raise UserError(
                    f"--force {name} has no effect, since nothing reads that stage, so it is not made: --until {name} "
                    "makes it"
                )
        return nodes
    wanted = ancestors(graph.nodes(), [last.name])
    # The rounds of a run with CAMs can be compared, however far it goes.
    wanted = ancestors(graph.nodes(), [last.name, *graph.round_cams(among=wanted)])
    names = [node.name for node in wanted]
    for name in settings.force:
        if graph.full_name(name) not in names:
            raise UserError(
                f"--force {name} has no effect, since --until {settings.until} leaves that stage out: leave one of the "
                f"two out (what is made: {', '.join(names)})"
            )
    return wanted


def _steps(
    nodes: Sequence[Node], dataset: Dataset, settings: Settings, forced: set[str]
) -> tuple[Step, ...]:
    """Return every node with its entry and its state; what descends from a forced stage is made again, too."""
    entries = _entries(nodes, dataset, settings)
    redone = {entries[name].key.hash for name in forced if name in entries}
    steps: dict[str, Step] = {}
    first: dict[
        str, str
    ] = {}  # hash -> the node that is made; others of the same hash are the same work
    for node in nodes:
        entry = entries[node.name]
        same = first.setdefault(entry.key.hash, node.name)
        if same != node.name:
            steps[node.name] = Step(node, entry, "reused", f"is the same work as {same}", same)
            continue
        above = {name: steps[steps[name].same_as or name] for name in node.inputs.values()}
        again = [name for name, step in above.items() if step.forced]
        if entry.key.hash in redone:
            state: tuple[State, str] = ("computed", FORCED)
        elif again:
            state = ("computed", f"{FORCED}: {again[0]} is computed again")
        else:
            contents = {role: entries[name].content() for role, name in node.inputs.items()}
            state = state_of(entry, contents)
        steps[node.name] = Step(node, entry, *state)
    return tuple(steps.values())


def _entries(nodes: Sequence[Node], dataset: Dataset, settings: Settings) -> dict[str, Entry]:
    """Return the place in the cache of every node."""
    entries: dict[str, Entry] = {}
    fingerprints: dict[Any, str] = {}  # many nodes read the same files
    for node in nodes:
        reads = (node.splits, node.labels, node.masks)
        if reads not in fingerprints:
            memory = settings.work_dir / MEMORY
            fingerprints[reads] = data_fingerprint(dataset, node, memory, settings.progress)
        upstream = {role: entries[name] for role, name in node.inputs.items()}
        key = _key(node, upstream, fingerprints[reads])
        entries[node.name] = Entry(settings.work_dir / "cache", key, node.local, node.inputs)
    return entries


def _key(node: Node, upstream: Mapping[str, Entry], data: str) -> Key:
    modules = [type(node.kind).__module__, *(cls.__module__ for cls in components(node.config))]
    return Key(
        node.kind.name,
        with_checksums(hashed(node)),
        code_version(modules),
        {role: entry.key.hash for role, entry in upstream.items()},
        data,
    )


def state_of(entry: Entry, contents: Mapping[str, str | None]) -> tuple[State, str]:
    """Decide what will happen to a stage's result, and say why.

    Args:
        contents: role -> content id of what it reads, None for what is not complete.
    """
    complete = entry.manifest() is not None
    if complete or entry.started():
        outdated = entry.outdated(contents)
        if outdated:
            return "computed", f"{outdated[0]} was made again since, and came out differently"
        if not complete:
            return "resumed", "was interrupted"
        damaged = entry.damage()
        if damaged:
            return "resumed", f"{len(damaged)} damaged files are made again, e.g. {damaged[0]}"
        return "reused", ""
    return "computed", entry.reason()
