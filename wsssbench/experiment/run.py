"""Runs an experiment: reuse what the cache has, compute the rest, resume what was interrupted.

    config = resolve(apply_overrides(read_config(path), overrides))
    plan = make_plan(config, settings)
    execute(plan, settings)

Every rank of a torchrun executes the same plan; rank 0 decides what is reused and writes the manifests.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from wsssbench.errors import CorruptArtefactError, UserError, contained, raised
from wsssbench.experiment.cache import Entry
from wsssbench.experiment.estimate import images_of
from wsssbench.experiment.plan import Plan, Settings, State, Step, state_of
from wsssbench.experiment.weight_files import refuse
from wsssbench.files.ground_truth import allow_masks, forbid
from wsssbench.interfaces import RunContext
from wsssbench.parallel import ranks
from wsssbench.parallel.plugin_errors import plugin_errors
from wsssbench.plugins import load
from wsssbench.progress import Progress
from wsssbench.stages.stage import StageWork

_LOCK_POLL_SECONDS = 5.0  # between two looks at a lock that another process holds


@plugin_errors()
def execute(
    plan: Plan, settings: Settings, only: Collection[str] | None = None
) -> dict[str, State]:
    """Run every step that is not in the cache; same command again continues where it was.

    Of several processes that need the same stage at once, one computes it and the others wait.

    Args:
        only: the nodes to run, if not all; what else they need has to be in the cache.

    Returns:
        What happened to each node.

    Raises:
        PluginError: the code of a plugin raised an exception.
        UserError: a weight file is missing, or a stage cannot do its work.
    """
    refuse(plan.missing)
    ranks.init(settings.device)
    happened: dict[str, State] = {}
    steps = [step for step in plan.steps if only is None or step.node.name in only]
    for number, step in enumerate(steps, start=1):
        name = f"[{number}/{len(steps)}] {step.node.name}"
        state = ranks.from_main(_state_now(plan, step))[0]
        if state != "reused":
            with _held(step.entry, name, settings.progress):
                # another process may have done it while this one waited for the lock
                state, reason = ranks.from_main(_state_now(plan, step))
                if state != "reused":
                    settings.progress.say(f"{name}: {state} ({reason})")
                    now = Step(step.node, step.entry, state, reason)
                    _run_repairing(plan, now, settings)
        if state == "reused":
            settings.progress.say(f"{name}: reused")
        for text in (step.entry.manifest() or {}).get("result", {}).get("warnings", ()):
            settings.progress.warn(f"{step.node.name}: {text}")
        if ranks.is_main():
            _notify_after(plan, step, settings, reused=state == "reused")
        happened[step.node.name] = state
    return happened


def _state_now(plan: Plan, step: Step) -> tuple[State, str]:
    """Decide what to do, now that everything the stage reads is there."""
    if step.forced:
        return step.state, step.reason
    return state_of(step.entry, plan.contents(step.node))


@contextmanager
def _held(entry: Entry, name: str, progress: Progress) -> Iterator[None]:
    """Hold the lock of a stage's result; every rank waits for it. It is released when the process dies, even by
    kill -9."""
    lock = FileLock(entry.lock)
    waits = 0
    while not ranks.from_main(ranks.is_main() and _acquired(lock, progress)):
        if waits == 0:
            progress.say(f"{name}: another process is computing it, waiting")
        waits += 1
    try:
        yield
    finally:
        if ranks.is_main():
            lock.release()


def _acquired(lock: FileLock, progress: Progress) -> bool:
    lock_file = Path(lock.lock_file)
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    try:
        # a short time-out: the other ranks of a torchrun must hear from this one now and then
        lock.acquire(timeout=_LOCK_POLL_SECONDS, poll_interval=0.2)
    except Timeout:
        return False
    except NotImplementedError:
        progress.warn(
            f"the file system of {lock_file.parent} has no file locks: runs at the same time may compute a stage twice"
        )
    return True


def _run_repairing(plan: Plan, step: Step, settings: Settings) -> None:
    """Run a step; an artefact above it that turns out unreadable is made again first."""
    for _ in range(3):
        try:
            return _run_step(plan, step, settings)
        except CorruptArtefactError as error:
            path = Path(str(error.path))
            owner = next((s for s in plan.steps if s.entry.directory in path.parents), None)
            if owner is None or ranks.world_size() > 1:
                raise UserError(
                    f"{error}; run the same command again to have it made again"
                ) from error
            settings.progress.warn(f"{error}; {owner.node.name} makes it again")
            if owner.node.name == step.node.name:
                _remake(plan, owner, path, settings)
            else:
                with _held(owner.entry, owner.node.name, settings.progress):
                    _remake(plan, owner, path, settings)
                if not path.exists():
                    raise UserError(
                        f"{step.node.name} reads {error.path}, but {owner.node.name} makes no such file: is the image "
                        f"in one of its splits ({', '.join(owner.node.splits)})?"
                    ) from error
                if step.entry.outdated(plan.contents(step.node)):
                    step = replace(step, state="computed")
    raise UserError(f"{step.node.name}: artefacts it reads stay unreadable; check the disk")


def _remake(plan: Plan, owner: Step, path: Path, settings: Settings) -> None:
    owner.entry.reopen([str(path.relative_to(owner.entry.directory))])
    _run_step(plan, Step(owner.node, owner.entry, "resumed", ""), settings)


def _run_step(plan: Plan, step: Step, settings: Settings) -> None:
    node, entry = step.node, step.entry
    if ranks.is_main():
        if step.state == "computed":
            entry.remove()
        entry.reopen(entry.damage())
        entry.open(plan.contents(node))
        _notify("before_stage", plan, step, settings)
    ranks.barrier()
    started = time.monotonic()
    if node.masks or node.kind.writes_masks:
        guard = allow_masks(node.name)
    else:
        guard = forbid(plan.dataset.mask_directories(), node.name)
    with _peak_memory() as peak, guard:
        result = node.kind.run(_stage_work(plan, step, settings))
    ranks.barrier()
    if ranks.is_main():
        facts = {
            "node": node.local,
            "seconds": time.monotonic() - started,
            "peak_mib": peak(),
            # What an estimate for the same work has to know: the rest of an interrupted stage is not all of it.
            "device": settings.device,
            "images": images_of(plan, node),
            "whole": step.state == "computed",
        }
        entry.close(result, facts)
    ranks.barrier()


def _notify_after(plan: Plan, step: Step, settings: Settings, reused: bool) -> None:
    """Call the plugins' ``after_stage`` with what the manifest says."""
    manifest = step.entry.manifest() or {}
    facts = {key: manifest.get(key) for key in ("seconds", "peak_mib")}
    result = {**manifest.get("result", {}), **facts, "reused": reused}
    _notify("after_stage", plan, step, settings, result=result)


def _notify(hook: str, plan: Plan, step: Step, settings: Settings, **more: Any) -> None:
    """Call every plugin's `hook`. One that fails costs a warning, neither the experiment nor the others' calls."""
    facts = {
        "node": step.node.name,
        "config": dict(step.node.config),
        "directory": str(step.entry.directory),
        "run": _run_facts(plan, step, settings),
        **more,
    }
    for observer in getattr(load().hooks, hook).get_hookimpls():
        try:
            with contained():
                observer.function(*(facts[name] for name in observer.argnames))
        except Exception as error:  # whatever a third party's hook raises
            settings.progress.warn(
                f"{hook} of plugin '{observer.plugin_name}' failed at {step.node.name}: {raised(error)}"
            )


def _run_facts(plan: Plan, step: Step, settings: Settings) -> dict[str, Any]:
    return {
        "name": plan.config["name"],
        "run_id": plan.run_id,
        "seed": plan.config["seed"],
        "directory": str(plan.directory(settings.work_dir)),
        "title": step.node.title,
    }


def _stage_work(plan: Plan, step: Step, settings: Settings) -> StageWork:
    node = step.node
    artefacts = {role: plan.artefact(name) for role, name in node.inputs.items()}
    context = RunContext(
        step.entry.directory,
        settings.device,
        settings.workers,
        int(node.config.get("seed", 0)),
        settings.progress,
    )
    config = plan.with_artefacts(node).config
    return StageWork(node.name, config, artefacts, node.outside, plan.dataset, context)


@contextmanager
def _peak_memory() -> Iterator[Any]:
    """Measure the peak memory of this process in MiB (Linux; elsewhere since the process began), plus the GPU's."""
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
