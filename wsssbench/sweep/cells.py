"""From a matrix to its cells: each row with each seed as a resolved config and a plan, checked before anything runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from wsssbench.errors import IncompatibleError, UserError
from wsssbench.experiment.config import check_name, config_text, read_config, resolve
from wsssbench.experiment.overrides import apply_overrides, apply_smoke
from wsssbench.experiment.plan import Plan, Settings, make_plan
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
    seeds: Sequence[int],
    overrides: Sequence[str] = (),
    smoke: bool = False,
    name: str = "",
) -> PlannedSweep:
    """Resolve and plan every cell.

    Args:
        overrides: ``key=value`` of every row, before the rows' own.
        smoke: with the base's own smoke overrides.
        name: of the sweep; by default the matrix's.

    Raises:
        UserError: a row that no config can be made of. Components that are fine but do not go together make their
            cells impossible instead, unless that is true of every cell.
    """
    name = name or matrix.name + ("-smoke" if smoke else "")
    check_name(name, "--name ")
    directory = settings.work_dir / "sweeps" / name
    base = read_config(matrix.base)
    base = apply_overrides(apply_smoke(base) if smoke else base, overrides)
    checked: set[str] = set()
    cells: list[SweepCell] = []
    plans: dict[str, Plan] = {}
    for row, slug in zip(matrix.rows, _slugs(matrix.rows), strict=True):
        if not row.run:
            continue
        with _in_row(row):
            config = apply_overrides(base, row.set)
        # The base's published numbers are its own method's; a row has its own, which the comparison shows.
        config = {**config, "name": f"{name}-{slug}", "reference": {}}
        for seed in seeds:
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
    sweep = Sweep(
        directory=directory,
        name=name,
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


def write(planned: PlannedSweep) -> None:
    """Write ``sweep.json`` and the config of every cell."""
    planned.sweep.write()
    for cell in planned.sweep.cells:
        if cell.id in planned.plans:
            text = config_text(planned.plans[cell.id].config)
            planned.sweep.config(cell).write_text(text, encoding="utf-8")


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
