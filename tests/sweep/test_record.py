"""``sweep.json`` and the states of cells: written, read back, damaged."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from made_up_sweep import script

from wsssbench.errors import UserError
from wsssbench.results.sweep_record import FILE, Status, Sweep, here, read_sweep


def test_a_sweep_comes_back_as_it_was_written(sweep: Sweep) -> None:
    assert read_sweep(sweep.directory) == sweep


def test_a_sweep_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """The text as the version of March 2026 wrote it."""
    (tmp_path / FILE).write_text(
        '{"schema": "wsssbench.sweep/1", "name": "t", "title": "T", "created": "2026-03-01T14:22:33+00:00",'
        '"base": "b.py", "until": null, "axes": ["row"], "baseline": null, "paper": null,'
        '"rows": [{"name": "a", "axes": {"row": "a"}, "paper": {"CAM": 54}, "run": true, "set": ["x=1"]}],'
        '"cells": [{"id": "a-seed0", "row": "a", "seed": 0, "run": "../../runs/t/x", "impossible": ""}]}'
    )
    sweep = read_sweep(tmp_path)
    assert sweep.rows[0].set == ("x=1",) and sweep.rows[0].paper == {"CAM": 54.0}
    assert sweep.run_directory(sweep.cells[0]) == tmp_path.parent.parent / "runs" / "t" / "x"


def test_no_sweep_and_one_of_another_version_are_told_apart(tmp_path: Path, sweep: Sweep) -> None:
    with pytest.raises(UserError, match="not the folder of a sweep"):
        read_sweep(tmp_path)
    (sweep.directory / FILE).write_text('{"schema": "wsssbench.sweep/0"}')
    with pytest.raises(UserError, match=r"wsssbench\.sweep/0"):
        read_sweep(sweep.directory)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("name",), 3, "name: Input should be a valid string, not 3"),
        (("rows", 0, "paper", "CAM"), float("nan"), "rows.0.paper.CAM: Input should be a finite"),
        (("rows", 0, "paper", "CAM"), float("inf"), "rows.0.paper.CAM: Input should be a finite"),
        (("rows", 1, "set"), "x=1", "rows.1.set: "),
        (("cells", 2, "seed"), None, "cells.2.seed: Input should be a valid integer, not None"),
        (("cells", 0, "id"), "../../x", "cells.0.id: '../../x' is not letters"),
        (("cells",), {}, "cells: "),
    ],
)
def test_a_damaged_sweep_is_one_sentence_with_the_place(
    sweep: Sweep, place: tuple[Any, ...], value: Any, words: str
) -> None:
    content: Any = json.loads((sweep.directory / FILE).read_text())
    part = content
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    (sweep.directory / FILE).write_text(json.dumps(content))
    with pytest.raises(UserError) as refusal:
        read_sweep(sweep.directory)
    assert words in str(refusal.value) and str(sweep.directory / FILE) in str(refusal.value)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 600


PIECES = (b"NaN", b"-1e999", b"null", b"[]", b"{}", b"\0", b"\xff", b'"\\ud800"', b"9" * 5000, b"[" * 500)  # fmt: skip


def mutated(data: bytes, rng: random.Random) -> bytes:
    """`data` with a few bytes changed, cut out, doubled or replaced by something awkward."""
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(damaged) + 1), rng.choice((1, 3, 20, 200))
        new = (
            b"",
            bytes(rng.randrange(256) for _ in range(3)),
            rng.choice(PIECES),
            damaged[at : at + length] * 2,
        )
        damaged[at : at + length] = rng.choice(new)
    return bytes(damaged)


def test_any_damage_is_a_sentence_or_is_read(sweep: Sweep) -> None:
    """Everything that reads a sweep is tried, on 500 damaged copies of its file and of a cell's state."""
    rng = random.Random(7)
    sweep.note(sweep.cells[0], Status("running", "nan", 3.5, here()))
    record = sweep.directory / FILE
    state = sweep.directory / "cells" / f"{sweep.cells[0].id}.json"
    whole = record.read_bytes(), state.read_bytes()
    refused = 0
    for _ in range(500):
        record.write_bytes(mutated(whole[0], rng))
        state.write_bytes(mutated(whole[1], rng))
        try:
            damaged = read_sweep(sweep.directory)
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            assert all(damaged.status(cell).state for cell in damaged.cells)
    assert 150 < refused < 500


def test_states_that_nobody_wrote_down(sweep: Sweep) -> None:
    first, second, _ = sweep.cells
    assert sweep.status(first).state == "waiting"
    sweep.note(first, Status("done"))
    assert sweep.status(first).state == "waiting", "its results have been removed"
    gone = subprocess.run(script("import os; print(os.getpid())"), capture_output=True, text=True)
    host = here().rpartition(":")[0]
    sweep.note(first, Status("running", job=f"{host}:{gone.stdout.strip()}"))
    assert sweep.status(first).state == "stopped"
    sweep.note(second, Status("running", job=here()))
    assert sweep.status(second).state == "running"
    sweep.note(second, Status("running", job="slurm job 123"))
    assert sweep.status(second).state == "running"


def test_pydantic_is_imported_where_a_file_is_read_only() -> None:
    code = (
        "import sys, wsssbench.cli.sweep, wsssbench.sweep.launch; print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
