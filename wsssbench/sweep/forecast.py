"""A forecast of a sweep's work: the stages of all cells, equal ones merged, counted and timed by earlier runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from wsssbench.experiment.estimate import estimate
from wsssbench.experiment.plan import Plan, Step
from wsssbench.results.sweep_record import Sweep


@dataclass
class StageForecast:
    """One stage result that cells of the sweep need.

    Attributes:
        node: what the experiment calls it.
        cached: is it there already?
        seconds: what it took, or is going to take by earlier runs of the same work; None if there are none.
        parent: key of the stage it is drawn below in the tree, None for a root.
        cells: ids of the cells that need it.
    """

    node: str
    cached: bool
    seconds: float | None
    parent: str | None
    cells: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Branch:
    """Stages that differ in their seed only, as one line of the tree.

    Attributes:
        node: their name.
        rows: the rows that need them, in order.
        depth: 0 for a root.
        stages: one per seed, or a single one that all seeds share.
    """

    node: str
    rows: tuple[str, ...]
    depth: int
    stages: tuple[StageForecast, ...]


@dataclass(frozen=True)
class Forecast:
    """The stages of a sweep by key, and the tree of them."""

    stages: Mapping[str, StageForecast]
    branches: tuple[Branch, ...]

    @property
    def needed(self) -> int:
        """Stages that all cells together need, each cell counted by itself."""
        return sum(len(stage.cells) for stage in self.stages.values())

    def to_run(self) -> list[StageForecast]:
        """Return the stages that are not in the cache."""
        return [stage for stage in self.stages.values() if not stage.cached]

    def seconds_to_run(self) -> float:
        """Return the time of these one after the other, as far as it is known."""
        return sum(stage.seconds or 0.0 for stage in self.to_run())

    def seconds_saved(self) -> float:
        """Return the time saved by sharing stages, as far as it is known: every use of a stage but the first."""
        return sum(
            (len(stage.cells) - 1) * (stage.seconds or 0.0) for stage in self.stages.values()
        )


def forecast(sweep: Sweep, plans: Mapping[str, Plan], device: str) -> Forecast:
    """Merge the plans of a sweep's cells, which will run on `device`."""
    stages: dict[str, StageForecast] = {}
    for id, plan in plans.items():
        for step in plan.steps:
            key = _key(step)
            if key not in stages:
                stages[key] = _stage(plan, step, device)
            if id not in stages[key].cells:  # two chains may have it in common
                stages[key].cells.append(id)
    row_of = {cell.id: cell.row for cell in sweep.cells}
    order = [row.name for row in sweep.rows]
    return Forecast(stages, tuple(_branches(stages, row_of, order)))


def _key(step: Step) -> str:
    """Return what is the same for the same work, whatever its name: one row's last round is another one's second."""
    return step.entry.key.hash


def _stage(plan: Plan, step: Step, device: str) -> StageForecast:
    cached = step.state == "reused"
    seconds = step.entry.seconds() if cached else estimate(plan, step, device)
    # Of what a stage reads, it is drawn below what was made last: the data set is read by all.
    above = [plan[name] for name in step.node.inputs.values()]
    parent = max(above, key=lambda s: plan.steps.index(s), default=None)
    return StageForecast(step.node.name, cached, seconds, _key(parent) if parent else None)


def _branches(
    stages: Mapping[str, StageForecast], row_of: Mapping[str, str], order: Sequence[str]
) -> Iterator[Branch]:
    """Yield the tree from its roots down, stages of the same place and rows together."""

    def below(parents: frozenset[str | None], depth: int) -> Iterator[Branch]:
        groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for key, stage in stages.items():
            if stage.parent in parents:
                needing = {row_of[cell] for cell in stage.cells}
                rows = tuple(name for name in order if name in needing)
                groups.setdefault((stage.node, rows), []).append(key)
        for (node, rows), keys in groups.items():
            yield Branch(node, rows, depth, tuple(stages[key] for key in keys))
            yield from below(frozenset(keys), depth + 1)

    yield from below(frozenset([None]), 0)
