"""What a sweep is and how far it has come, as files in ``work/sweeps/<name>/``.

``sweep.json`` is what was asked for, written once by the command::

    {"schema": "wsssbench.sweep/1", "name": str, "title": str, "created": str (ISO 8601),
     "base": str, "until": str | null, "axes": [str, ...], "baseline": str | null,
     "paper": {"source": str, "card": {...}} | null,
     "rows": [{"name": str, "axes": {axis: value}, "paper": {node: per cent}, "run": bool, "set": [str, ...],
               "before": {chain: [str, ...]}}, ...],
     "cells": [{"id": str, "row": str, "seed": int, "run": str, "impossible": str}, ...]}

A row whose `run` is false is there for the paper's numbers alone. A cell's `run` is the folder of its results,
relative to ``sweep.json``'s; `impossible` says why its components do not go together, and is empty otherwise.

``cells/<id>.py`` is a cell's resolved config, ``cells/<id>.json`` its state, written by whoever runs it, and
``cells/<id>.log`` what that run printed.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from wsssbench.errors import UserError
from wsssbench.files.atomic import remove_partials, write_json
from wsssbench.files.reading import cause
from wsssbench.files.records import checked, parse_json

SCHEMA = "wsssbench.sweep/1"
FILE = "sweep.json"
METRICS = "metrics.json"  # what a finished run leaves in its folder
_FINITE = {"allow_inf_nan": False}  # for pydantic: no number of a record is infinite or NaN
State = Literal["waiting", "running", "done", "failed", "stopped", "impossible"]


@dataclass(frozen=True)
class Row:
    """One row of the matrix.

    Attributes:
        name: unique.
        axes: its value on each axis, as text.
        paper: the paper's numbers, per cent: ``{"CAM": 54.2, "CAM precision": 66.5}``.
        run: False: there are only the paper's numbers.
        set: the overrides that make it of the base, ``key=value`` as on the command line.
        before: earlier chain -> the overrides that make that chain of the base.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FINITE

    name: str
    axes: Mapping[str, str] = field(default_factory=dict)
    paper: Mapping[str, float] = field(default_factory=dict)
    run: bool = True
    set: tuple[str, ...] = ()
    before: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class SweepCell:
    """A row with a seed.

    Attributes:
        id: unique; names its files.
        run: the folder of its results, relative to the sweep's.
        impossible: why it cannot run; empty if it can.
    """

    id: str
    row: str
    seed: int
    run: str
    impossible: str = ""


@dataclass(frozen=True)
class Paper:
    """The source of the rows' published numbers, and their protocol as far as it is stated (card entry -> value)."""

    source: str
    card: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Status:
    """How far a cell is.

    Attributes:
        reason: why it failed, or by what it was stopped.
        seconds: wall time.
        job: where it runs.
        warnings: of its run, each once.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FINITE

    state: State
    reason: str = ""
    seconds: float = 0.0
    job: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sweep:
    """The content of ``sweep.json`` in `directory`."""

    directory: Path
    name: str
    title: str
    created: str
    base: str
    until: str | None
    axes: tuple[str, ...]
    baseline: str | None
    paper: Paper | None
    rows: tuple[Row, ...]
    cells: tuple[SweepCell, ...]

    def write(self) -> None:
        """Write ``sweep.json``, whole or not at all."""
        content = {"schema": SCHEMA, **asdict(self)}
        content.pop("directory")
        (self.directory / "cells").mkdir(parents=True, exist_ok=True)
        for folder in (self.directory, self.directory / "cells"):
            remove_partials(folder)
        write_json(self.directory / FILE, content)

    def run_directory(self, cell: SweepCell) -> Path:
        """The folder where the results of `cell` are, or will be."""
        return Path(os.path.normpath(self.directory / cell.run))

    def has_results(self, cell: SweepCell) -> bool:
        """Whether the run of `cell` has finished; also False for a path that cannot exist."""
        return os.path.isfile(self.run_directory(cell) / METRICS)  # noqa: PTH113

    def config(self, cell: SweepCell) -> Path:
        return self.directory / "cells" / f"{cell.id}.py"

    def log(self, cell: SweepCell) -> Path:
        return self.directory / "cells" / f"{cell.id}.log"

    def status(self, cell: SweepCell) -> Status:
        """The state of `cell`: its results count, whatever its last job said."""
        if cell.impossible:
            return Status("impossible", cell.impossible)
        written = self._written(cell)
        if self.has_results(cell):
            return replace(written, state="done", reason="")
        if written.state == "done":  # its results have been removed since
            return Status("waiting")
        if written.state == "running" and _is_gone(written.job):
            return Status("stopped", "its process has ended without a word", job=written.job)
        return written

    def note(self, cell: SweepCell, status: Status) -> None:
        """Write down how far `cell` is."""
        write_json(self._status_file(cell), asdict(status))

    def _status_file(self, cell: SweepCell) -> Path:
        return self.directory / "cells" / f"{cell.id}.json"

    def _written(self, cell: SweepCell) -> Status:
        try:
            return checked(Status, parse_json(self._status_file(cell).read_bytes()))
        except (OSError, ValueError):
            return Status("waiting")


def here() -> str:
    """This process, as `Status.job` names it."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _is_gone(job: str) -> bool:
    """Was `job` a process of this machine, and does it not exist any more?"""
    host, _, pid = job.rpartition(":")
    if host != socket.gethostname() or not re.fullmatch("[0-9]{1,9}", pid):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def read_sweep(directory: Path) -> Sweep:
    """The sweep in `directory`.

    Raises:
        UserError: no ``sweep.json``, or one that cannot be read, with the place of what is wrong in it.
    """
    path = directory / FILE
    try:
        content = parse_json(path.read_bytes())
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            schema = content.get("schema") if isinstance(content, dict) else None
            raise ValueError(f"schema {schema!r:.60} is not {SCHEMA!r}")
        sweep = checked(Sweep, {**content, "directory": directory})
        for number, cell in enumerate(sweep.cells):
            if not re.fullmatch(r"[\w-]{1,200}", cell.id, re.ASCII):
                raise ValueError(
                    f"cells.{number}.id: {cell.id!r:.60} is not letters, digits, - and _"
                )
            if not _is_inside(cell.run):
                raise ValueError(
                    f"cells.{number}.run: {cell.run!r:.60} is not a folder in ../../runs"
                )
        return sweep
    except FileNotFoundError:
        raise UserError(f"{directory} is not the folder of a sweep: it has no {FILE}") from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({cause(error)}); give the command of the sweep again"
        ) from None


def _is_inside(run: str) -> bool:
    """Is the folder of a cell's results one of the work directory's runs? Impossible cells have none."""
    folder = os.path.normpath(run)
    return not run or (folder.startswith("../../runs/") and "\0" not in run)
