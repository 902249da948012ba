"""From a matrix to its cells: each row with each seed as a resolved config and a plan, checked before anything runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from wsssbench.errors import IncompatibleError, UserError
from wsssbench.experiment.config import SECTIONS, check_name, config_text, read_config, resolve
from wsssbench.experiment.merging import difference
from wsssbench.experiment.overrides import apply_overrides, refuse_repeated
from wsssbench.experiment.plan import Plan, Settings, make_plan
from wsssbench.experiment.trial import trial_of, tried
from wsssbench.results.sweep_record import Row, Sweep, SweepCell
from wsssbench.sweep.matrix import Matrix


@dataclass(frozen=True)
class PlannedSweep:
    """A sweep with the plan of every cell that can run, by the cell's id."""

    sweep: Sweep
    plans: Mapping[str, Plan]

    def impossible(self) -> list[tuple[str, str]]:
        """List (row, reason) for the rows with components that do not go together."""
        cells = self.sweep.cells
        return list(dict.fromkeys((c.row, c.impossible) for c in cells if c.impossible))


def plan_cells(
    matrix: Matrix,
    settings: Settings,
    seeds: Sequence[int] | None,
    overrides: Sequence[str] = (),
    smoke: bool = False,
    name: str = "",
    limit: int | None = None,
) -> PlannedSweep:
    """Resolve and plan every cell.

    Args:
        seeds: by default the base's own one.
        overrides: ``key=value`` of every row, before the rows' own.
        smoke: on a handful of images, with tiny trainings.
        name: of the sweep; by default the matrix's.
        limit: at most so many images of each split.

    Raises:
        UserError: a row that no config can be made of; something given that would have no effect. Components that are
            fine but do not go together make their cells impossible instead, unless that is true of every cell.
    """
    name = name or matrix.name
    trial = trial_of(smoke, limit)
    folder = trial.marked(name) if trial else name
    check_name(folder, "--name ")
    directory = settings.work_dir / "sweeps" / folder
    refuse_repeated(overrides)
    _refuse_own(overrides)
    _refuse_replaced(overrides, [row for row in matrix.rows if row.run])
    written = read_config(matrix.base)
    base = apply_overrides(written, overrides)
    checked: set[str] = set()
    cells: list[SweepCell] = []
    plans: dict[str, Plan] = {}
    for row, slug in zip(matrix.rows, _slugs(matrix.rows), strict=True):
        if not row.run:
            continue
        with _in_row(row):
            _refuse_own(row.set)
            given = (*overrides, *row.set)
            config = with_earlier(base, row)
            config = tried(config, written, smoke, limit, given, settings.progress.warn)
        # The base's published numbers are its own method's; a row has its own, which the comparison shows.
        config = {**config, "name": f"{name}-{slug}", "reference": {}}
        for seed in seeds or [config.get("seed", 0)]:
            id = f"{slug}-seed{seed}"
            with _in_row(row):
                resolved = resolve({**config, "seed": seed})
            try:
                plan = make_plan(resolved, settings, checked)
            except IncompatibleError as error:
                cells.append(SweepCell(id, row.name, seed, "", str(error)))
                continue
            plans[id] = plan
            run = os.path.relpath(plan.directory(settings.work_dir), directory)
            cells.append(SweepCell(id, row.name, seed, run))
    if not plans:
        raise UserError(f"no row of {name} can run; the first: {cells[0].impossible}")
    runs = {cell.row: plans[cell.id].run_id for cell in cells if cell.id in plans}
    _check_different(matrix, runs, settings, whole=not (trial or settings.until))
    sweep = Sweep(
        directory=directory,
        name=directory.name,
        title=matrix.title,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        base=_as_typed(matrix.base),
        until=matrix.until,
        axes=matrix.axes,
        baseline=matrix.baseline,
        paper=matrix.paper,
        rows=matrix.rows,
        cells=tuple(cells),
    )
    return PlannedSweep(sweep, plans)


def with_earlier(base: Mapping[str, Any], row: Row) -> dict[str, Any]:
    """Return the config that `row` makes of `base`, not resolved, with the rows that are its earlier chains."""
    config = apply_overrides(base, row.set)
    before = dict(config.get("before") or {})
    for chain, overrides in row.before.items():
        other = apply_overrides(base, overrides)
        before[chain] = {
            key: difference(other.get(key) or {}, config.get(key))
            for key in SECTIONS
            if other.get(key) != config.get(key)
        }
    return {**config, "before": before} if row.before else config


def write(planned: PlannedSweep) -> None:
    """Write ``sweep.json`` and the config of every cell."""
    planned.sweep.write()
    for cell in planned.sweep.cells:
        if cell.id in planned.plans:
            text = config_text(planned.plans[cell.id].config)
            planned.sweep.config(cell).write_text(text, encoding="utf-8")


# Keys of a config that a sweep sets itself -> how to say what they are to be.
_OWN = {
    "seed": "give --seeds 0,1,2 (in a matrix file: seeds=(0, 1, 2))",
    "name": "rows are named by what they set; --name names the sweep",
    "reference": "a row of a matrix file has its published numbers in paper=dict(CAM=...)",
}


def _refuse_own(overrides: Iterable[str]) -> None:
    """Refuse overrides of what a sweep sets itself, since they would have no effect."""
    for override in overrides:
        key = override.partition("=")[0].strip().removeprefix("+")
        if key.partition(".")[0] in _OWN:
            raise UserError(f"{key} is set by the sweep itself: {_OWN[key.partition('.')[0]]}")


def _refuse_replaced(overrides: Iterable[str], rows: Sequence[Row]) -> None:
    """Refuse overrides of every row that each row replaces by its own."""
    own = [{override.partition("=")[0].strip() for override in row.set} for row in rows]
    for override in overrides:
        key = override.partition("=")[0].strip()
        if own and all(key in keys for keys in own):
            raise UserError(
                f"--set {override} has no effect, since every row sets {key} itself: leave it out"
            )


def _check_different(
    matrix: Matrix, runs: Mapping[str, str], settings: Settings, whole: bool
) -> None:
    """Refuse an axis of which no value makes a difference, and tell of rows that compute the same.

    Args:
        runs: row -> id of what it computes.
        whole: they are whole experiments. Others, which are stopped early or on few images, are told of only.
    """
    rows = [row for row in matrix.rows if row.name in runs]
    for axis in matrix.axes if whole else ():
        groups: dict[tuple[str, ...], set[str]] = {}  # values of the other axes -> what is computed
        for row in rows:
            others = tuple(value for name, value in row.axes.items() if name != axis)
            groups.setdefault(others, set()).add(runs[row.name])
        if len(groups) < len(rows) and all(len(group) == 1 for group in groups.values()):
            values = ", ".join(dict.fromkeys(row.axes[axis] for row in rows))
            raise UserError(f"the axis {axis} has no effect: {values} compute the same")
    for run in dict.fromkeys(runs.values()):
        same = [name for name in runs if runs[name] == run]
        if len(same) > 1:
            until = f" up to {settings.until}" if settings.until else ""
            settings.progress.warn(f"these rows compute the same{until}: {'; '.join(same)}")


@contextmanager
def _in_row(row: Row) -> Iterator[None]:
    """Let the sentence of a mistake begin with the row."""
    try:
        yield
    except UserError as error:
        raise UserError(f"row {row.name!r}: {error}") from error


def _as_typed(path: Path) -> str:
    """Return `path` as a user would type it in the current folder."""
    full = path.resolve()
    here = Path.cwd().resolve()
    return str(full.relative_to(here) if here in full.parents else full)


def _slugs(rows: Sequence[Row]) -> list[str]:
    """Return a name for the files of each row, all different: at most 60 letters, digits and hyphens, and a number."""
    slugs: list[str] = []
    for row in rows:
        slug = short = (
            re.sub(r"[^a-z0-9]+", "-", row.name.lower()).strip("-")[:60].strip("-") or "row"
        )
        number = 2
        while slug in slugs:
            slug = f"{short}-{number}"
            number += 1
        slugs.append(slug)
    return slugs
