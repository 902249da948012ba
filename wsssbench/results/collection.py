"""Runs put together for a comparison: the members of sweeps, or runs named one by one.

collection = load([Path("work/sweeps/table1_gpp")])
for row in collection.rows:
    results = [member.result for member in collection.of(row)]   # one per seed
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.evaluation.image_counts import ImageCounts, read_image_counts
from wsssbench.results.config_differences import variant_names
from wsssbench.results.run import FILE as METRICS
from wsssbench.results.run import SMOKE, CardValue, RunResult, read_run
from wsssbench.results.run_files import config_values, image_counts_path
from wsssbench.results.sweep_record import FILE as SWEEP_FILE
from wsssbench.results.sweep_record import read_sweep


@dataclass(frozen=True)
class Member:
    """One run of a comparison.

    Attributes:
        row: which row it belongs to; runs of a row differ in their seed.
        seed: of the run.
        result: what it found out, without pictures.
        directory: of its results.
    """

    row: str
    seed: int
    result: RunResult
    directory: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved config, as plain values."""
        return config_values(self.result.config_text, str(self.directory / METRICS))

    def image_counts(self, node: str) -> dict[str, ImageCounts] | None:
        """The counts per image at `node`, by choice (``chosen``, ``oracle``); None if they are lost."""
        try:
            return read_image_counts(image_counts_path(self.directory, node))
        except CorruptArtefactError:
            return None


@dataclass(frozen=True)
class Missing:
    """A cell of a sweep without results: its state (``failed``, ``impossible``, ``waiting``, ...) and why."""

    row: str
    seed: int
    state: str
    reason: str


@dataclass(frozen=True)
class Collection:
    """The rows of a comparison, with their runs.

    Attributes:
        title: of the table.
        rows: names in order, those without a run of ours included.
        members: the runs, by row and seed.
        axes: row -> axis -> value as text; every row of a sweep has the same axes.
        baseline: the row that others are compared with, if one is named.
        paper: row -> published numbers, per cent: ``{"CAM": 54.2, "CAM precision": 66.5}``.
        paper_source: where these are from.
        paper_card: their protocol, as far as it is stated.
        missing: cells without results.
    """

    title: str
    rows: tuple[str, ...]
    members: tuple[Member, ...]
    axes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    baseline: str | None = None
    paper: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    paper_source: str = ""
    paper_card: Mapping[str, CardValue] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()

    def of(self, row: str) -> list[Member]:
        """The runs of `row`, by seed."""
        return sorted((m for m in self.members if m.row == row), key=lambda m: m.seed)


def load(paths: Sequence[Path]) -> Collection:
    """The runs at `paths`: folders of sweeps, of runs, or of all runs of a name (``work/runs/<name>``).

    Several runs whose configs differ in nothing but seed and name are one row. Where there are two of one seed,
    because the code changed or one of them went further, the earlier one is in a row of its own.

    Raises:
        UserError: a path is none of these, or holds no finished run; smoke runs are among others.
    """
    if not paths:
        raise UserError(
            "nothing to compare: name runs (work/runs/<name>/<id>) or sweeps (work/sweeps/<name>)"
        )
    parts: dict[str, Collection] = {}  # by the folder's name, where titles are equal
    runs: dict[Path, Path] = {}
    for path in {path.resolve(): path for path in paths}.values():
        if (path / SWEEP_FILE).is_file():
            parts[str(path)] = _load_sweep(path)
        else:
            runs |= {run.resolve(): run for run in _runs(path)}
    if runs:
        parts["runs"] = _of_runs(list(runs.values()))
    collection = next(iter(parts.values())) if len(parts) == 1 else _merged(parts)
    _check_smoke(collection)
    return collection


def _check_smoke(collection: Collection) -> None:
    """Numbers of smoke runs mean nothing beside those of other runs; UserError if there are both."""
    smoke: list[Member] = []
    others: list[Member] = []
    for member in collection.members:
        (smoke if member.result.trial == SMOKE else others).append(member)
    if smoke and others:
        raise UserError(
            f"{smoke[0].directory} is a smoke run (few images, tiny trainings) and {others[0].directory} is none, so "
            "that their numbers cannot be compared: leave one of the kinds out"
        )


def _runs(path: Path) -> list[Path]:
    if (path / METRICS).is_file():
        return [path]
    if runs := sorted(file.parent for file in path.glob(f"*/{METRICS}")):
        return runs
    if not path.is_dir():
        raise UserError(
            f"{path} does not exist: give the folder of a run, work/runs/<name>/<id>, or of a sweep"
        )
    raise UserError(
        f"{path} holds neither {METRICS} nor {SWEEP_FILE}: give the folder of a finished run, work/runs/<name>/<id>, "
        "or of a sweep, work/sweeps/<name>"
    )


def _load_sweep(path: Path) -> Collection:
    sweep = read_sweep(path)
    members, missing = [], []
    for cell in sweep.cells:
        status = sweep.status(cell)
        if status.state == "done":
            directory = sweep.run_directory(cell)
            members.append(Member(cell.row, cell.seed, read_run(directory), directory))
        else:
            missing.append(Missing(cell.row, cell.seed, status.state, status.reason))
    return Collection(
        sweep.title,
        tuple(row.name for row in sweep.rows),
        tuple(members),
        {row.name: dict(row.axes) for row in sweep.rows},
        sweep.baseline,
        {row.name: dict(row.paper) for row in sweep.rows if row.paper},
        sweep.paper.source if sweep.paper else "",
        dict(sweep.paper.card) if sweep.paper else {},
        tuple(missing),
    )


def _of_runs(directories: Sequence[Path]) -> Collection:
    results = {directory: read_run(directory) for directory in directories}
    # By method, and by how many newer runs there are of the same method and seed.
    groups: dict[tuple[str, int], list[Member]] = {}
    for directory, result in sorted(
        results.items(), key=lambda item: item[1].created, reverse=True
    ):
        method, seed = _method(result), _seed(result)
        age = 0
        while any(member.seed == seed for member in groups.get((method, age), ())):
            age += 1
        groups.setdefault((method, age), []).append(Member("", seed, result, directory))
    order = [_method(result) for result in results.values()]
    newest = [groups[key] for key in sorted(groups, key=lambda key: (order.index(key[0]), key[1]))]
    names = [members[0].result.name for members in newest]
    rows = {
        row: [replace(member, row=row) for member in members]
        for row, members in zip(_row_names(newest), newest, strict=True)
    }
    return Collection(
        ", ".join(dict.fromkeys(names)),
        tuple(rows),
        tuple(member for members in rows.values() for member in members),
        paper={
            row: dict(reference)
            for row, members in rows.items()
            if (reference := members[0].result.reference)
        },
    )


def _row_names(rows: Sequence[Sequence[Member]]) -> list[str]:
    """A name for each row of runs, all different: the experiment's, or what tells its variants apart, or the run's."""
    firsts = [members[0] for members in rows]
    names = [first.result.name for first in firsts]
    found: list[str] = []
    for name, first in zip(names, firsts, strict=True):
        same = [other for other in firsts if other.result.name == name]
        if len(same) > 1:
            variant = variant_names([other.config for other in same])[same.index(first)]
            of_experiment = f"{name}, {variant}" if variant else name
            name = variant if variant and len(set(names)) == 1 else of_experiment
        found.append(name)
    hashes = [first.result.run_id.partition("-")[0] for first in firsts]
    return [
        name if found.count(name) == 1 else f"{name} ({run_hash})"
        for name, run_hash in zip(found, hashes, strict=True)
    ]


def _merged(parts: Mapping[str, Collection]) -> Collection:
    """Several collections, by where they are, as one.

    Rows of one name are one row if they are the same runs, and keep apart by their collection's title otherwise.
    """
    titles = [part.title for part in parts.values()]
    kinds: dict[str, set[frozenset[Any]]] = {}  # row -> what that name stands for
    for part in parts.values():
        for row in part.rows:
            folders = frozenset(member.directory.resolve() for member in part.of(row))
            published = frozenset(part.paper.get(row, {}).items())
            kinds.setdefault(row, set()).add(folders or published)
    rows: dict[str, tuple[Collection, str]] = {}
    baseline = None
    for path, part in parts.items():
        label = part.title if titles.count(part.title) == 1 else Path(path).name
        for row in part.rows:
            name = row if len(kinds[row]) == 1 else f"{label}: {row}"
            rows.setdefault(name, (part, row))
            if baseline is None and part.baseline == row:
                baseline = name
    members, missing = [], []
    for name, (part, row) in rows.items():
        members += [replace(member, row=name) for member in part.of(row)]
        missing += [replace(one, row=name) for one in part.missing if one.row == row]
    sources = dict.fromkeys(part.paper_source for part in parts.values() if part.paper_source)
    return Collection(
        " and ".join(dict.fromkeys(titles)),
        tuple(rows),
        tuple(members),
        {name: part.axes[row] for name, (part, row) in rows.items() if row in part.axes},
        baseline,
        {name: part.paper[row] for name, (part, row) in rows.items() if row in part.paper},
        "; ".join(sources),
        next((part.paper_card for part in parts.values() if part.paper_card), {}),
        tuple(missing),
    )


def _seed(result: RunResult) -> int:
    return next((int(seed) for one in result.evaluations if (seed := one.card.get("seed"))), 0)


def _method(result: RunResult) -> str:
    """The resolved config without what does not make a method: name and seed."""
    lines = result.config_text.splitlines()
    return "\n".join(line for line in lines if not line.startswith(("name = ", "seed = ")))
