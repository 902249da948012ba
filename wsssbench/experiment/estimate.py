"""How long a stage is going to take, by earlier runs of the same work, or nothing.

Another schedule, network or data set says nothing about this one: an estimate that is off by ten is worse than none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from wsssbench.experiment.cache import canonical, summary_of
from wsssbench.experiment.plan import Plan, Step
from wsssbench.stages.stage import Node, ids_of


def estimate(plan: Plan, step: Step, device: str) -> float | None:
    """Return the mean wall time of the earlier runs of the same work as `step`; None if there are none.

    The same work is the same resolved config, schedule included, of the stage and of all that it descends from; only
    seeds may differ. It was done from its beginning to its end, on the same kind of device, on as many images.

    Args:
        plan: of the step.
        step: one that is not in the cache.
        device: ``cpu`` or ``cuda``.
    """
    root = step.entry.root
    planned = {one.entry.key.hash: one.entry.key.as_dict() for one in plan.steps}
    facts = {"node": step.node.local, "device": device, "images": images_of(plan, step.node)}
    facts["whole"] = True

    def same(earlier: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> bool:
        if earlier is None or now is None or _work(earlier) != _work(now):
            return False
        before, after = earlier["upstream"], now["upstream"]
        return before.keys() == after.keys() and all(
            before[role] == after[role]
            or same(summary_of(root, before[role]), planned.get(after[role]))
            for role in after
        )

    times = [
        earlier["seconds"]
        for earlier in step.entry.earlier()
        if all(earlier.get(name) == value for name, value in facts.items())
        and same(earlier, planned[step.entry.key.hash])
    ]
    return fmean(times) if times else None


def images_of(plan: Plan, node: Node) -> int | None:
    """The number of images that `node` reads; None where the config says it, of data that are generated."""
    return None if plan.dataset.generated else len(ids_of(plan.dataset, node.splits))


def _work(key: Mapping[str, Any]) -> tuple[str, Any]:
    """The kind of stage and its config without seeds."""
    return key["stage"], _unseeded(json.loads(canonical(key["config"])))


def _unseeded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unseeded(of) for name, of in value.items() if name != "seed"}
    return [_unseeded(of) for of in value] if isinstance(value, list) else value
