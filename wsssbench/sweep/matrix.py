"""The rows of a sweep: from a matrix file, from ``--grid`` options, or from both.

A matrix file is a Python config like an experiment's::

    title = "Table 1: the pooling"
    bases = dict(synthetic="{{ fileDirname }}/../aeft_synthetic.py", voc="...")   # the first is the default
    until = "cam"
    set = {"classifier.erasing": "none"}                  # in every row
    rows = {
        "plain": dict(set={"classifier.pooling": "Mean"}, paper={"CAM": 48.4}),
        "published only": dict(run=False, paper={"CAM": 56.2}),
    }
    baseline = "plain"

Values in ``set`` that are texts are read as on the command line: ``"Bins(sides=(2, 4))"``. A row may say more: ``on``
are overrides on single bases, after ``set``, and ``before=dict(guide="plain")`` gives it the earlier chain ``guide``,
which is the row ``plain`` on the same base (docs/rounds.md).
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from wsssbench.errors import UserError, unknown
from wsssbench.experiment.chains import refuse_chain_name, round_number
from wsssbench.experiment.config import Percent, Seed, read_config
from wsssbench.experiment.overrides import as_overrides
from wsssbench.registry import check_parameters
from wsssbench.results.sweep_record import Paper, Row
from wsssbench.stages import short_places

ROW = "row"  # the axis of a matrix file's rows


@dataclass(frozen=True, kw_only=True)
class MatrixFile:
    """The sections of a matrix file; see the module.

    Attributes:
        title: heading of its tables.
        bases: name -> path of an experiment's config; `--base` chooses.
        rows: name -> `RowSection`.
        until: the last stage of every cell.
        set: overrides of every row, before its own.
        baseline: the row that the others are compared with.
        seeds: the default of `--seeds`; without them the base's own one.
        paper: dict(source=..., card={protocol entry: value}) of the rows' published numbers.
    """

    title: str
    bases: dict[str, str]
    rows: dict[str, dict[str, Any]]
    until: str | None = None
    set: dict[str, Any] | None = None
    baseline: str | None = None
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] | None = None
    paper: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class RowSection:
    """One row of a matrix file.

    Attributes:
        set: overrides.
        on: base -> overrides on that base alone, after `set`.
        before: earlier chain -> the row that it is.
        paper: the paper's numbers by evaluation, per cent.
        run: whether it is run here.
    """

    set: dict[str, Any] | None = None
    on: dict[str, dict[str, Any]] | None = None
    before: dict[str, str] | None = None
    paper: dict[str, Percent] | None = None
    run: bool = True


@dataclass(frozen=True, kw_only=True)
class PaperSection:
    """The source of the published numbers, and the entries of their protocol card that are known."""

    source: str
    card: dict[str, Any] | None = None


@dataclass(frozen=True)
class Matrix:
    """Rows on one base; the cells are these times the seeds."""

    name: str
    title: str
    base: Path
    axes: tuple[str, ...]
    rows: tuple[Row, ...]
    until: str | None = None
    baseline: str | None = None
    seeds: tuple[int, ...] | None = None
    paper: Paper | None = None

    def row(self, name: str) -> Row:
        """Return the row called `name`; UserError with near matches if there is none."""
        for row in self.rows:
            if row.name == name:
                return row
        raise UserError(unknown("row", name, [row.name for row in self.rows]))


def read_matrix(path: Path, grids: Sequence[str] = (), base: str = "") -> Matrix:
    """Return the matrix of the file at `path`, which may be an experiment's config if there are `grids`.

    Args:
        grids: ``axis=value,value,...``; their product, times the file's rows.
        base: one of the file's `bases` by name, or the path of an experiment's config.

    Raises:
        UserError: the file is neither, a section or option is not of its form, an unknown base.
    """
    content = read_config(path)
    if "rows" in content:
        matrix = _of_file(path, content, base)
    else:
        if base:
            raise UserError(
                f"--base {base}: {path} is an experiment and so the base itself; --base is for matrix files, "
                "such as configs/ablations/table1_gpp.py"
            )
        if not grids:
            raise UserError(
                f"{path} has no rows=dict(...), so it is no matrix: add --grid, e.g. --grid pooling=GAP,GPP, "
                "or give a matrix file such as configs/ablations/table1_gpp.py"
            )
        one = Row("")
        matrix = Matrix(path.stem, str(content.get("name", path.stem)), path, (), (one,))
    return _times(matrix, [parse_grid(grid) for grid in grids])


def _of_file(path: Path, content: Mapping[str, Any], base: str) -> Matrix:
    sections = check_parameters(MatrixFile, content, f"matrix {path}")
    key, file = _base(path, sections["bases"], base)
    given = {}
    for name, section in sections["rows"].items():
        given[name] = check_parameters(RowSection, section, f"rows[{name!r}]")
        _check_row(name, given[name], sections["bases"])
    common = sections["set"] or {}
    set_ = {
        name: tuple(
            override
            for part in (common, row["set"] or {}, (row["on"] or {}).get(key, {}))
            for override in as_overrides(part)
        )
        for name, row in given.items()
    }
    rows = [
        Row(
            name,
            {ROW: name},
            row["paper"] or {},
            row["run"],
            set_[name],
            _chains(name, given, set_),
        )
        for name, row in given.items()
    ]
    if not any(row.run for row in rows):
        raise UserError(f"matrix {path}: none of its rows is to be run")
    paper = None
    if sections["paper"] is not None:
        published = check_parameters(PaperSection, sections["paper"], "paper")
        paper = Paper(published["source"], published["card"] or {})
    matrix = Matrix(
        path.stem if key == next(iter(sections["bases"]), None) else f"{path.stem}-{key}",
        sections["title"],
        file,
        (ROW,),
        tuple(rows),
        sections["until"],
        sections["baseline"],
        sections["seeds"],
        paper,
    )
    if matrix.baseline is not None:
        matrix.row(matrix.baseline)
    return matrix


def _chains(
    name: str, rows: Mapping[str, Mapping[str, Any]], set_: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return the overrides that make each earlier chain of the row `name`: those of the row that it is."""
    chains = {}
    for chain, other in (rows[name]["before"] or {}).items():
        where = f"rows[{name!r}]: before.{chain}"
        refuse_chain_name(chain, where)
        if round_number(chain):
            raise UserError(
                f"{where}: a round is the row itself, with what differs: give that in set, "
                f'{{"+before.{chain}.cam": ...}}'
            )
        if other not in rows:
            raise UserError(f"{where}: {unknown('row', other, rows)}")
        if rows[other]["before"]:
            raise UserError(
                f"{where}: row {other!r} has earlier chains itself: name one that has none"
            )
        chains[chain] = set_[other]
    return chains


def _check_row(name: str, row: Mapping[str, Any], bases: Iterable[str]) -> None:
    if not name.strip():
        raise UserError("rows: a row has an empty name")
    for base in row["on"] or {}:
        if base not in bases:
            raise UserError(f"rows[{name!r}]: on: {unknown('base', base, bases)}")
    if not row["run"] and not row["paper"]:
        raise UserError(
            f"rows[{name!r}]: run=False leaves nothing but the paper's numbers: give paper="
        )
    for metric, value in (row["paper"] or {}).items():
        if not math.isfinite(value):
            raise UserError(f"rows[{name!r}]: paper[{metric!r}] is {value}: leave it out instead")


def _base(path: Path, bases: Mapping[str, str], wanted: str) -> tuple[str, Path]:
    """Return name and file of the base that `wanted` names, by default the first."""
    if not wanted:
        if not bases:
            raise UserError(
                f"matrix {path}: bases is empty: name an experiment there, or give --base CONFIG"
            )
        wanted = next(iter(bases))
    if wanted in bases:
        return wanted, Path(bases[wanted])
    file = Path(wanted)
    if file.suffix != ".py":
        raise UserError(f"--base: {unknown('base', wanted, bases)}; or give the path of a config")
    return file.stem, file


@dataclass(frozen=True)
class Grid:
    """An axis: its name, the key it sets, and its values as text."""

    axis: str
    key: str
    values: tuple[str, ...]


def parse_grid(option: str) -> Grid:
    """Read an axis, ``pooling=GAP,GPP(bins=(2, 4))``; commas inside brackets and quotes do not separate values.

    Raises:
        UserError: not of that form, fewer than one value, a value twice.
    """
    axis, equals, text = option.partition("=")
    axis = axis.strip()
    values = tuple(value.strip() for value in split_values(text))
    if not equals or not axis or not all(values):
        raise UserError(
            f"--grid {option}: has to be of the form axis=value,value, e.g. pooling=GAP,GPP"
        )
    if len(set(values)) < len(values):
        raise UserError(f"--grid {option}: names a value twice")
    if axis == ROW:
        raise UserError(
            f"--grid {option}: '{ROW}' is what the axis of a matrix file's rows is called"
        )
    return Grid(axis, short_places().get(axis, axis), values)


def split_values(text: str) -> list[str]:
    """Split `text` at its commas, except those inside brackets or quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _times(matrix: Matrix, grids: Sequence[Grid]) -> Matrix:
    """Return `matrix` with every row times every combination of the grids' values."""
    if not grids:
        return matrix
    axes = [grid.axis for grid in grids]
    if len(set(axes)) < len(axes):
        raise UserError(f"--grid names the axis {next(a for a in axes if axes.count(a) > 1)} twice")
    rows = []
    for row in matrix.rows:
        if not row.run:
            continue  # published numbers belong to no value of an axis
        for values in itertools.product(*(grid.values for grid in grids)):
            chosen = list(zip(grids, values, strict=True))
            name = ", ".join([*([row.name] if row.name else []), *_called(chosen)])
            added = [f"{grid.key}={value}" for grid, value in chosen]
            axes_of_row = {**row.axes, **dict(zip(axes, values, strict=True))}
            before = {chain: (*set_, *added) for chain, set_ in row.before.items()}
            rows.append(Row(name, axes_of_row, set=(*row.set, *added), before=before))
    suffix = "-".join(axis.rpartition(".")[2] for axis in axes)
    return replace(
        matrix,
        name=f"{matrix.name}-{suffix}",
        axes=(*matrix.axes, *axes),
        rows=tuple(rows),
        baseline=None,
        paper=None,
    )


def _called(chosen: Iterable[tuple[Grid, str]]) -> list[str]:
    """Return the words that name a row by its values: components by name, others with their key."""
    words = []
    for grid, value in chosen:
        short = grid.key.rpartition(".")[2]
        if value.lower() == "none":
            words.append(f"no {short}")
        elif grid.axis in short_places() or re.match(r"[A-Za-z]\w*(\(|$)", value):
            words.append(value)
        else:
            words.append(f"{short}={value}")
    return words
