"""Running an experiment: reuse what the cache has, compute the rest, resume what was interrupted.

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
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from wsssbench import ranks
from wsssbench.data.truth import allow_pixel_truth, forbid
from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.experiment import Node
from wsssbench.interfaces import Dataset, RunContext
from wsssbench.planning import Plan, Settings, State, Step
from wsssbench.plugins import load
from wsssbench.stages.work import StageWork


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
    inputs.update(step.node.outside)
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
