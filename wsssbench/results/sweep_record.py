"""What a sweep is and how far it has come, as files in ``work/sweeps/<name>/``.

``sweep.json`` is what was asked for, written once by the command::

    {"schema": "wsssbench.sweep/1", "name": str, "title": str, "created": str (ISO 8601),
     "base": str, "until": str | null, "axes": [str, ...], "baseline": str | null,
     "paper": {"source": str, "card": {...}} | null,
     "rows": [{"name": str, "axes": {axis: value}, "paper": {rung: per cent}, "run": bool, "set": [str, ...]}, ...],
     "cells": [{"id": str, "row": str, "seed": int, "run": str, "impossible": str}, ...]}

A row whose `run` is false is there for the paper's numbers alone. A cell's `run` is the folder of its results,
relative to ``sweep.json``'s; `impossible` says why its components do not go together, and is empty otherwise.

``cells/<id>.py`` is a cell's resolved config, ``cells/<id>.json`` its state, written by whoever runs it, and
``cells/<id>.log`` what that run printed.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from wsssbench.errors import UserError
from wsssbench.files.atomic import write_json

SCHEMA = "wsssbench.sweep/1"
FILE = "sweep.json"
METRICS = "metrics.json"  # what a finished run leaves in its folder
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
    """

    name: str
    axes: Mapping[str, str] = field(default_factory=dict)
    paper: Mapping[str, float] = field(default_factory=dict)
    run: bool = True
    set: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """A row with a seed. `run`: its folder of results, relative to the sweep's; `impossible`: why it cannot run."""

    id: str
    row: str
    seed: int
    run: str
    impossible: str = ""


@dataclass(frozen=True)
class Paper:
    """Where the rows' published numbers are from, and their protocol as far as it is stated (card entry -> value)."""

    source: str
    card: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Status:
    """How far a cell is; `reason` if it failed or was stopped, `seconds` of wall time, `job` where it runs."""

    state: State
    reason: str = ""
    seconds: float = 0.0
    job: str = ""


@dataclass(frozen=True)
class Sweep:
    """What is in ``sweep.json``; `directory` holds it."""

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
    cells: tuple[Cell, ...]

    def write(self) -> None:
        """Write ``sweep.json``, whole or not at all."""
        content = {"schema": SCHEMA, **asdict(self)}
        content.pop("directory")
        (self.directory / "cells").mkdir(parents=True, exist_ok=True)
        write_json(self.directory / FILE, content)

    def run_directory(self, cell: Cell) -> Path:
        """Where the results of `cell` are, or will be."""
        return Path(os.path.normpath(self.directory / cell.run))

    def config(self, cell: Cell) -> Path:
        return self.directory / "cells" / f"{cell.id}.py"

    def log(self, cell: Cell) -> Path:
        return self.directory / "cells" / f"{cell.id}.log"

    def status(self, cell: Cell) -> Status:
        """The state of `cell`: its results count, whatever its last job said."""
        if cell.impossible:
            return Status("impossible", cell.impossible)
        written = self._written(cell)
        if (self.run_directory(cell) / METRICS).is_file():
            return Status("done", seconds=written.seconds, job=written.job)
        if written.state == "done":  # its results have been removed since
            return Status("waiting")
        if written.state == "running" and _is_gone(written.job):
            return Status("stopped", "its process has ended without a word", job=written.job)
        return written

    def note(self, cell: Cell, status: Status) -> None:
        """Write down how far `cell` is."""
        write_json(self._status_file(cell), asdict(status))

    def _status_file(self, cell: Cell) -> Path:
        return self.directory / "cells" / f"{cell.id}.json"

    def _written(self, cell: Cell) -> Status:
        try:
            return Status(**json.loads(self._status_file(cell).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return Status("waiting")


def here() -> str:
    """This process, as `Status.job` names it."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _is_gone(job: str) -> bool:
    """Was `job` a process of this machine, and does it not exist any more?"""
    host, _, pid = job.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
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
        UserError: no ``sweep.json``, or one that cannot be read.
    """
    path = directory / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']!r} is not {SCHEMA!r}")
        paper = content["paper"]
        return Sweep(
            directory=directory,
            name=content["name"],
            title=content["title"],
            created=content["created"],
            base=content["base"],
            until=content["until"],
            axes=tuple(content["axes"]),
            baseline=content["baseline"],
            paper=Paper(**paper) if paper else None,
            rows=tuple(Row(**{**row, "set": tuple(row["set"])}) for row in content["rows"]),
            cells=tuple(Cell(**cell) for cell in content["cells"]),
        )
    except FileNotFoundError:
        raise UserError(f"{directory} is not the folder of a sweep: it has no {FILE}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read ({type(error).__name__}: {error}); give the command of the sweep again"
        ) from None
