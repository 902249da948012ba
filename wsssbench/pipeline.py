"""Running an experiment: plan it, reuse what the cache has, compute the rest, resume what was interrupted.

    config = resolve(apply_overrides(read_config(path), overrides))
    plan = make_plan(config, settings)
    execute(plan, settings)

Every rank of a torchrun executes the same plan; rank 0 decides what is reused and writes the manifests.
"""

from __future__ import annotations

import importlib
import os
import resource
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wsssbench import ranks
from wsssbench.cache import Entry, Key
from wsssbench.config import ARCHITECTURE
from wsssbench.data.check import check_dataset, check_masks
from wsssbench.data.fingerprint import data_fingerprint
from wsssbench.data.truth import allow_pixel_truth, forbid
from wsssbench.errors import CorruptArtefactError, UserError, unknown
from wsssbench.experiment import Node, nodes_of
from wsssbench.interfaces import Batch, Dataset, Erasing, RunContext
from wsssbench.plugins import load
from wsssbench.progress import Progress
from wsssbench.provenance import code_version
from wsssbench.stages.generate import FOLDER
from wsssbench.stages.work import StageWork

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


def make_plan(config: Mapping[str, Any], settings: Settings) -> Plan:
    """Hash every stage and see what the cache has.

    Raises:
        UserError: the data set or a component of the config cannot be used; an unknown --force or --until.
    """
    dataset = load().registries.dataset.build(config["data"], where="data")
    nodes = nodes_of(config, dataset.generated)
    _check_names(nodes, settings)
    if settings.until is not None:
        nodes = _ancestors(nodes, _full_name(nodes, settings.until))
    _check_components(config, dataset)
    if not dataset.generated:
        _check_data(nodes, dataset, settings)
    forced = {_full_name(nodes, name) for name in settings.force}
    steps: list[Step] = []
    entries: dict[str, Entry] = {}
    for node in nodes:
        entry = Entry(settings.work_dir / "cache", _key(node, entries, dataset))
        entries[node.name] = entry
        steps.append(Step(node, entry, *_outlook(entry, node.name in forced)))
    if any(s.node.name == "classify" and s.state == "computed" for s in steps):
        _check_truth(nodes, dataset, settings)
    made = entries.get("data")
    if made is not None:
        dataset = dataset.at(made.directory / FOLDER)
    return Plan(config, dataset, tuple(steps))


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
    """The node called `last`, what it needs, and the evaluations of any of those."""
    by_name = {node.name: node for node in nodes}
    wanted: set[str] = set()
    waiting = [last]
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting.extend(by_name[name].inputs.values())
    return [
        node
        for node in nodes
        if node.name in wanted or (node.stage == "evaluate" and node.inputs["given"] in wanted)
    ]


def _check_components(config: Mapping[str, Any], dataset: Dataset) -> None:
    """Build everything once: a wrong parameter or a missing weight file shows before any work."""
    registries = load().registries
    registries.cam.build(config["cam"], where="cam")
    for name, section in config["refine"].items():
        own = {key: value for key, value in section.items() if key != "input"}
        registries.refinement.build(own, where=f"refine.{name}")
    if config["segmenter"] is not None:
        registries.segmenter.build(config["segmenter"], dataset.classes, where="segmenter")
    _rehearse(config["classifier"], len(dataset.classes))


def _rehearse(section: Mapping[str, Any], num_classes: int) -> None:
    """One training step's losses on a small blank batch: shows methods that do not go together."""
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
            erasing.losses(classifier, batch, output)


def _check_data(nodes: list[Node], dataset: Dataset, settings: Settings) -> None:
    seen = sorted({split for node in nodes for split in node.splits})
    scored = sorted({node.config["split"] for node in nodes if node.stage == "evaluate"})
    problems = check_dataset(dataset, seen, masks=False, workers=settings.workers)
    if not problems:
        problems = check_dataset(dataset, scored, True, settings.workers, labels=False)
    _raise_first(problems)


def _check_truth(nodes: list[Node], dataset: Dataset, settings: Settings) -> None:
    """Decode every mask that will be scored, before a training whose results could not be: 1 ms each."""
    if dataset.generated:
        return
    problems = []
    with allow_pixel_truth("the check of the masks"):
        for split in sorted({node.config["split"] for node in nodes if node.stage == "evaluate"}):
            problems += check_masks(dataset, split, settings.workers)
    _raise_first(problems)


def _raise_first(problems: list[str]) -> None:
    if problems:
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise UserError(problems[0] + more)


def _key(node: Node, entries: Mapping[str, Entry], dataset: Dataset) -> Key:
    modules = [f"wsssbench.stages.{node.run.partition(':')[0]}", *_component_modules(node.config)]
    data = "" if dataset.generated else data_fingerprint(dataset, node.splits, node.truth)
    return Key(
        node.stage,
        node.config,
        code_version(modules),
        {role: entries[name].key.hash for role, name in node.inputs.items()},
        data,
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


def _outlook(entry: Entry, forced: bool) -> tuple[State, str]:
    if forced:
        return "computed", "forced"
    if entry.manifest() is not None:
        damaged = entry.damage()
        if damaged:
            return "resumed", f"{len(damaged)} damaged files are made again, e.g. {damaged[0]}"
        return "reused", ""
    if entry.started():
        return "resumed", "was interrupted"
    return "computed", entry.reason()


def execute(plan: Plan, settings: Settings) -> dict[str, State]:
    """Run every step that is not in the cache; same command again continues where it was.

    Returns:
        What happened to each node.
    """
    ranks.init(settings.device)
    happened: dict[str, State] = {}
    for number, step in enumerate(plan.steps, start=1):
        state, reason = ranks.from_main((step.state, step.reason))
        name = f"[{number}/{len(plan.steps)}] {step.node.name}"
        if state == "reused":
            settings.progress.say(f"{name}: reused")
        else:
            settings.progress.say(f"{name}: {state} ({reason})")
            _run_repairing(plan, step, settings)
        happened[step.node.name] = state
    return happened


def _run_repairing(plan: Plan, step: Step, settings: Settings) -> None:
    """Run a step; an artefact above it that turns out unreadable is made again first."""
    for _ in range(3):
        try:
            return _run_step(plan, step, settings)
        except CorruptArtefactError as error:
            owner = _owner(plan, Path(str(error.path)))
            if owner is None or ranks.world_size() > 1:
                raise UserError(
                    f"{error}; run the same command again to have it made again"
                ) from error
            settings.progress.warn(f"{error}; {owner.node.name} makes it again")
            owner.entry.reopen([str(Path(str(error.path)).relative_to(owner.entry.directory))])
            _run_step(plan, Step(owner.node, owner.entry, "resumed", ""), settings)
    raise UserError(f"{step.node.name}: artefacts it reads stay unreadable; check the disk")


def _owner(plan: Plan, path: Path) -> Step | None:
    return next((s for s in plan.steps if s.entry.directory in path.parents), None)


def _run_step(plan: Plan, step: Step, settings: Settings) -> None:
    node, entry = step.node, step.entry
    if ranks.is_main():
        if step.state == "computed":
            entry.remove()
        entry.reopen(entry.damage())
        entry.open()
        load().hooks.before_stage(
            node=node.name, config=dict(node.config), directory=str(entry.directory)
        )
    ranks.barrier()
    started = time.monotonic()
    with _peak_memory() as peak, _guard(plan.dataset, node):
        work = _orders(plan, step, settings)
        result = _function(node)(work)
    ranks.barrier()
    if ranks.is_main():
        facts = {"node": node.name, "seconds": time.monotonic() - started, "peak_mib": peak()}
        entry.close(result, facts)
        load().hooks.after_stage(
            node=node.name,
            config=dict(node.config),
            directory=str(entry.directory),
            result={**result, **facts},
        )
    ranks.barrier()


def _orders(plan: Plan, step: Step, settings: Settings) -> StageWork:
    context = RunContext(
        step.entry.directory,
        settings.device,
        settings.workers,
        int(step.node.config.get("seed", plan.config["seed"])),
        settings.progress,
    )
    inputs = {role: plan[name].entry.directory for role, name in step.node.inputs.items()}
    dataset = plan.dataset
    if step.node.stage == "generate":
        dataset = load().registries.dataset.build(plan.config["data"], where="data")
    return StageWork(step.node.config, inputs, dataset, context)


def _function(node: Node) -> Any:
    module, _, function = node.run.partition(":")
    return getattr(importlib.import_module(f"wsssbench.stages.{module}"), function)


def _guard(dataset: Dataset, node: Node) -> AbstractContextManager[None]:
    if node.truth or node.stage == "generate":
        return allow_pixel_truth(node.name)
    return forbid(dataset.truth_directories(), node.name)


@contextmanager
def _peak_memory() -> Iterator[Any]:
    """Peak memory of this process in MiB since here (Linux; elsewhere since the process began), plus the GPU's."""
    reset = Path("/proc/self/clear_refs")
    with suppress(OSError):
        reset.write_text("5")
    import torch

    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.reset_peak_memory_stats()

    def peak() -> float:
        extra = torch.cuda.max_memory_allocated() / 2**20 if gpu else 0.0
        return round(_resident_peak() + extra, 1)

    yield peak


def _resident_peak() -> float:
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, ValueError, IndexError):
        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**20


def default_workers() -> int:
    """CPU cores for each rank of this machine."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (available or 1) // local)
