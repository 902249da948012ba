"""What a run will do: every stage with its place in the cache, and why it is computed or reused."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wsssbench.datasets.check import check_dataset, check_masks
from wsssbench.errors import IncompatibleError, UserError, unknown
from wsssbench.experiment.cache import Entry, Key, canonical
from wsssbench.experiment.config import ARCHITECTURE
from wsssbench.experiment.fingerprint import data_fingerprint, weight_files
from wsssbench.experiment.graph import Node, nodes_of, unscored_splits
from wsssbench.experiment.provenance import code_version
from wsssbench.files.ground_truth import allow_masks
from wsssbench.files.image_lists import some
from wsssbench.interfaces import Batch, Dataset, Erasing
from wsssbench.plugins import load
from wsssbench.progress import Progress
from wsssbench.stages.generate import FOLDER
from wsssbench.stages.import_cams import check_import

FORCED = "forced"  # the reason of a stage that is computed again on request
MANY = 5000  # masks whose check takes long enough to show
State = Literal["reused", "resumed", "computed"]


@dataclass(frozen=True)
class Settings:
    """How to run, as opposed to what: none of it is in a content hash."""

    work_dir: Path
    device: str
    workers: int
    progress: Progress
    force: tuple[str, ...] = ()
    until: str | None = None


@dataclass(frozen=True)
class Step:
    """A node of the plan with its place in the cache, what will happen to it and why."""

    node: Node
    entry: Entry
    state: State
    reason: str


@dataclass(frozen=True)
class Plan:
    """What a run will do."""

    config: Mapping[str, Any]
    dataset: Dataset
    steps: tuple[Step, ...]

    def __getitem__(self, name: str) -> Step:
        return next(step for step in self.steps if step.node.name == name)

    def __contains__(self, name: str) -> bool:
        return any(step.node.name == name for step in self.steps)

    @property
    def run_id(self) -> str:
        """Names the run by what it computes, so that the same command again is the same run."""
        digest = hashlib.sha256("".join(s.entry.key.hash for s in self.steps).encode()).hexdigest()
        return f"{digest[:8]}-seed{self.config['seed']}"

    def directory(self, work_dir: Path) -> Path:
        """Where the results of this run go."""
        return work_dir / "runs" / str(self.config["name"]) / self.run_id


def make_plan(
    config: Mapping[str, Any], settings: Settings, checked: set[str] | None = None
) -> Plan:
    """Hash every stage and see what the cache has.

    Args:
        checked: what earlier plans of the same command found to be fine, which is not looked at again; added to.

    Raises:
        IncompatibleError: components that do not go together.
        UserError: the data set or a component of the config cannot be used; an unknown --force or --until.
    """
    dataset = load().registries.dataset.build(config["data"], where="data")
    if config["import_cams"] is not None:
        _check_import(config, dataset)
    nodes = nodes_of(config, dataset, settings.work_dir / "imports.json")
    _check_names(nodes, settings)
    if settings.until is not None:
        nodes = _ancestors(nodes, _full_name(nodes, settings.until))
    once = _Once(set() if checked is None else checked)
    parts = {key: config[key] for key in _WITH_COMPONENTS}
    once(lambda: _check_components(config, dataset), {**parts, "data": config["data"]})
    on_data = {"data": config["data"], "splits": config["splits"], "nodes": [n.name for n in nodes]}
    if not dataset.generated:
        once(
            lambda: _check_data(nodes, dataset, settings),
            {**on_data, "evaluate": config["evaluate"]},
        )
    for split in unscored_splits(config, dataset):
        settings.progress.say(f"split '{split}' has no masks: it is not scored")
    forced = {_full_name(nodes, name) for name in settings.force}
    steps: list[Step] = []
    entries: dict[str, Entry] = {}
    for node in nodes:
        entry = Entry(settings.work_dir / "cache", _key(node, entries, dataset), node.name)
        entries[node.name] = entry
        steps.append(Step(node, entry, *outlook(entry, node.name in forced)))
    computed = any(s.node.name in ("classify", "cam") and s.state == "computed" for s in steps)
    if computed:
        once(lambda: _check_truth(nodes, dataset, settings), {**on_data, "truth": True})
    made = entries.get("data")
    if made is not None:
        dataset = dataset.at(made.directory / FOLDER)
    return Plan(config, dataset, tuple(steps))


_WITH_COMPONENTS = ("classifier", "cam", "refine", "segmenter", "import_cams")


class _Once:
    """Runs a check unless `passed` says that the same one has passed before."""

    def __init__(self, passed: set[str]) -> None:
        self.passed = passed

    def __call__(self, check: Callable[[], None], of: Mapping[str, Any]) -> None:
        text = canonical(of)
        if text not in self.passed:
            check()
            self.passed.add(text)


def _check_names(nodes: list[Node], settings: Settings) -> None:
    for option, names in (("--force", settings.force), ("--until", (settings.until,))):
        for name in names:
            if name is not None and not _matches(nodes, name):
                raise UserError(f"{option}: {unknown('stage', name, [n.name for n in nodes])}")


def _matches(nodes: list[Node], name: str) -> list[str]:
    """A stage may be called by the last part of its name, if that is unambiguous: ``rw`` for ``refine.rw``."""
    names = [node.name for node in nodes]
    return [name] if name in names else [n for n in names if n == f"refine.{name}"]


def _full_name(nodes: list[Node], name: str) -> str:
    return (_matches(nodes, name) or [name])[0]


def _ancestors(nodes: list[Node], last: str) -> list[Node]:
    """The node called `last`, what it needs, and the evaluations of any of those with what they need."""
    wanted = _needed(nodes, [last])
    scores = [n.name for n in nodes if n.stage == "evaluate" and n.inputs["given"] in wanted]
    wanted |= _needed(nodes, scores)
    return [node for node in nodes if node.name in wanted]


def _needed(nodes: list[Node], names: list[str]) -> set[str]:
    """`names` and everything above them."""
    by_name = {node.name: node for node in nodes}
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(by_name[name].inputs.values())
    return found


def _check_components(config: Mapping[str, Any], dataset: Dataset) -> None:
    """Build everything once: a wrong parameter or a missing weight file shows before any work."""
    registries = load().registries
    registries.cam.build(config["cam"], where="cam")
    for name, section in config["refine"].items():
        own = {key: value for key, value in section.items() if key != "input"}
        registries.refinement.build(own, where=f"refine.{name}")
    if config["segmenter"] is not None:
        registries.segmenter.build(config["segmenter"], dataset.classes, where="segmenter")
    if config["import_cams"] is None:
        _rehearse(config["classifier"], len(dataset.classes))


def _check_import(config: Mapping[str, Any], dataset: Dataset) -> None:
    given, splits = config["import_cams"], config["splits"]
    used = [splits[name] for name in ("train", "evaluate", "heldout") if splits[name]]
    check_import(Path(given["directory"]), given["format"], dataset, tuple(dict.fromkeys(used)))


def _rehearse(section: Mapping[str, Any], num_classes: int) -> None:
    """One training step's losses on a small blank batch.

    Raises:
        IncompatibleError: the methods do not go together.
    """
    import torch

    from wsssbench.models.classifier import build_classifier

    classifier = build_classifier({key: section[key] for key in ARCHITECTURE}, num_classes)
    if not classifier.erasing:
        return
    labels = torch.eye(2, num_classes)
    batch = Batch(torch.zeros(2, 3, 64, 64), labels, progress=0.999)  # also what starts late
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # e.g. that 64 pixels are small
        output = classifier(batch.images)
        for erasing in classifier.erasing:
            assert isinstance(erasing, Erasing)
            try:
                erasing.losses(classifier, batch, output)
            except UserError as error:
                raise IncompatibleError(str(error)) from error


def _check_data(nodes: list[Node], dataset: Dataset, settings: Settings) -> None:
    labelled = {split for node in nodes if node.labels for split in node.splits}
    others = {split for node in nodes for split in node.splits} - labelled
    scored = sorted({node.config["split"] for node in nodes if _opens_masks(node)})
    problems = check_dataset(dataset, sorted(labelled), masks=False, workers=settings.workers)
    problems += check_dataset(dataset, sorted(others), False, settings.workers, labels=False)
    problems += _check_heldout(nodes, dataset, settings.progress)
    if not problems:
        problems = check_dataset(dataset, scored, True, settings.workers, labels=False)
    _raise_first(problems)


def _check_heldout(nodes: list[Node], dataset: Dataset, progress: Progress) -> list[str]:
    """Images whose truth selects the threshold must not be those that are scored at it, but be like them."""
    selecting = [n.config["split"] for n in nodes if n.stage == "select_threshold" and n.truth]
    scored = [n.config["split"] for n in nodes if n.name == "evaluate.cam"]
    if not (selecting and scored):
        return []
    held, split = selecting[0], scored[0]
    occurs, there = (dataset.labels(name).any(axis=0) for name in (split, held))
    names = [dataset.classes[k] for k in np.flatnonzero(occurs & ~there).tolist()]
    if names:
        progress.warn(
            f"splits.heldout '{held}' ({len(dataset.ids(held))} images) has no image of {some(names)}, which "
            f"'{split}' has: its best threshold may be far from that of '{split}'"
        )
    shared = sorted(set(dataset.ids(held)) & set(dataset.ids(split)))
    if not shared:
        return []
    return [
        f"splits.heldout '{held}' shares {len(shared)} images with the scored split '{split}' "
        f"({some(shared)}): hold out images that are not scored"
    ]


def _check_truth(nodes: list[Node], dataset: Dataset, settings: Settings) -> None:
    """Decode every mask that will be scored, before a training whose results could not be."""
    if dataset.generated:
        return
    problems = []
    with allow_masks("the check of the masks"):
        for split in sorted({node.config["split"] for node in nodes if _opens_masks(node)}):
            shown = settings.progress if len(dataset.ids(split)) > MANY else None
            problems += check_masks(dataset, split, settings.workers, shown)
    _raise_first(problems)


def _opens_masks(node: Node) -> bool:
    return node.stage == "evaluate" or (node.stage == "select_threshold" and node.truth)


def _raise_first(problems: list[str]) -> None:
    if problems:
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise UserError(problems[0] + more)


def _key(node: Node, entries: Mapping[str, Entry], dataset: Dataset) -> Key:
    modules = [f"wsssbench.stages.{node.run.partition(':')[0]}", *_component_modules(node.config)]
    data = (
        "" if dataset.generated else data_fingerprint(dataset, node.splits, node.truth, node.labels)
    )
    return Key(
        node.stage,
        node.config,
        code_version(modules),
        {name: entries[name].key.hash for name in node.inputs.values()},
        data,
        weight_files(node.config),
    )


def _component_modules(value: Any) -> Iterator[str]:
    """Modules of every component named anywhere in a config."""
    if isinstance(value, Mapping):
        name = value.get("type")
        if isinstance(name, str):
            for component in load().registries.find(name):
                yield component.target.partition(":")[0]
        for item in value.values():
            yield from _component_modules(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _component_modules(item)


def outlook(entry: Entry, forced: bool) -> tuple[State, str]:
    """What will happen to a stage result, and why."""
    if forced:
        return "computed", FORCED
    if entry.manifest() is not None:
        damaged = entry.damage()
        if damaged:
            return "resumed", f"{len(damaged)} damaged files are made again, e.g. {damaged[0]}"
        return "reused", ""
    if entry.started():
        return "resumed", "was interrupted"
    return "computed", entry.reason()
