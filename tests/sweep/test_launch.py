"""Cells in processes of their own: logs, states, failures that stop nobody else, Ctrl-C, order."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wsssbench.errors import UserError
from wsssbench.experiment.graph import stage_kind
from wsssbench.results.sweep_record import Cell, Paper, Row, Status, Sweep, here, read_sweep
from wsssbench.sweep import launch
from wsssbench.sweep.launch import How, command, leaders_first, run_cell, run_here
from wsssbench.sweep.slurm import submit, wait_for


class Seen:
    """What was shown."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def started(self, cell: Cell) -> None:
        self.events.append(("started", cell.id))

    def line(self, cell: Cell, text: str) -> None:
        self.events.append((text, cell.id))

    def ended(self, cell: Cell, status: Status) -> None:
        self.events.append((status.state, cell.id))


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    cells = tuple(Cell(f"{name}-seed0", name, 0, f"../../runs/{name}/x") for name in "abc")
    made = Sweep(
        tmp_path / "sweeps" / "mine", "mine", "Mine", "now", "base.py", "cam", ("row",), "a",
        Paper("A paper", {"dataset": "VOC2012"}),
        (Row("a", {"row": "a"}, {"CAM": 1.0}), Row("b"), Row("c"), Row("p", {}, {"CAM": 2.0}, False)),
        cells,
    )  # fmt: skip
    made.write()
    return made


@pytest.fixture
def how(tmp_path: Path) -> How:
    return How(tmp_path, "cpu", 1)


def script(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def leaves_results(sweep: Sweep, cell: Cell) -> str:
    """Code of a run that prints a stage and leaves its metrics."""
    path = sweep.run_directory(cell) / "metrics.json"
    return (
        f"import pathlib; p = pathlib.Path({str(path)!r}); print('[1/2] classify: computed');"
        "p.parent.mkdir(parents=True); p.write_text('{}')"
    )


def test_a_sweep_comes_back_as_it_was_written(sweep: Sweep) -> None:
    assert read_sweep(sweep.directory) == sweep


def test_no_sweep_and_a_damaged_one_are_told_apart(tmp_path: Path, sweep: Sweep) -> None:
    with pytest.raises(UserError, match="not the folder of a sweep"):
        read_sweep(tmp_path)
    (sweep.directory / "sweep.json").write_text('{"schema": "wsssbench.sweep/0"}')
    with pytest.raises(UserError, match=r"wsssbench\.sweep/0"):
        read_sweep(sweep.directory)


def test_the_command_of_a_cell(sweep: Sweep, how: How) -> None:
    cell = sweep.cells[0]
    words = command(sweep, cell, how)
    assert words[:4] == [sys.executable, "-m", "wsssbench", "run"]
    assert words[4] == str(sweep.config(cell)) and words[-2:] == ["--until", "cam"]
    several = command(sweep, cell, How(Path("w"), "cuda", 2, ranks=4))
    assert "torch.distributed.run" in several and "--nproc_per_node=4" in several


def test_a_cell_leaves_its_log_and_state(sweep: Sweep) -> None:
    cell = sweep.cells[0]
    lines: list[str] = []
    status = run_cell(
        sweep.directory, cell.id, script(leaves_results(sweep, cell)), {},
        lambda _, text: lines.append(text),
    )  # fmt: skip
    assert status.state == "done" and sweep.status(cell).state == "done"
    assert sweep.status(cell).seconds > 0
    assert lines == ["[1/2] classify: computed"]
    assert sweep.log(cell).read_text() == "[1/2] classify: computed\n"


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [
        ("import sys; print('error: no such file'); sys.exit(2)", "failed", "no such file (log: "),
        ("print('error: no'); print('=' * 20); raise SystemExit(1)", "failed", "no (log: "),
        ("print('error: noerror: no'); raise SystemExit(1)", "failed", "no (log: "),
        ("raise RuntimeError('shape')", "failed", "RuntimeError: shape"),
        ("import os; os.kill(os.getpid(), 9)", "failed", "killed by SIGKILL (out of memory?)"),
        ("import sys; sys.exit(130)", "stopped", "Ctrl-C"),
    ],
)
def test_how_a_cell_ended_is_told(sweep: Sweep, code: str, state: str, words: str) -> None:
    cell = sweep.cells[0]
    run_cell(sweep.directory, cell.id, script(code), {})
    assert sweep.status(cell).state == state and words in sweep.status(cell).reason


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


def test_a_failed_cell_does_not_stop_the_others(
    sweep: Sweep, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake(sweep: Sweep, cell: Cell, how: How) -> list[str]:
        return script("raise SystemExit('no')" if cell.row == "a" else leaves_results(sweep, cell))

    monkeypatch.setattr(launch, "command", fake)
    seen = Seen()
    found = run_here(sweep, sweep.cells, how, 2, [], seen)
    assert {id: s.state for id, s in found.items()} == {
        "a-seed0": "failed", "b-seed0": "done", "c-seed0": "done",
    }  # fmt: skip
    assert ("failed", "a-seed0") in seen.events and ("done", "c-seed0") in seen.events


def test_jobs_share_out_the_devices(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two at a time with two ranks each: each cell sees a pair of the four devices."""
    code = "import os, time; time.sleep(0.3); print(os.environ['CUDA_VISIBLE_DEVICES'])"
    monkeypatch.setattr(launch, "command", lambda *_: script(code))
    run_here(sweep, sweep.cells, How(tmp_path, "cuda", 1, ranks=2), 2, list("0123"), Seen())
    logs = {sweep.log(cell).read_text().strip() for cell in sweep.cells}
    assert logs == {"0,1", "2,3"}


def test_ctrl_c_stops_what_runs_and_starts_nothing_more(
    sweep: Sweep, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import time\ntry:\n  print('[1/2] a', flush=True); time.sleep(60)\n" \
           "except KeyboardInterrupt:\n  raise SystemExit(130)"  # fmt: skip
    monkeypatch.setattr(launch, "command", lambda *_: script(code))
    seen = Seen()
    waiting = launch.wait

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if ("[1/2] a", "a-seed0") in seen.events:
            raise KeyboardInterrupt
        return waiting(*arguments, **options)

    monkeypatch.setattr(launch, "wait", interrupted)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_here(sweep, sweep.cells, how, 1, [], seen)
    assert time.monotonic() - began < 30
    assert sweep.status(sweep.cells[0]).state == "stopped"
    assert sweep.status(sweep.cells[2]).state == "waiting"
    assert threading.active_count() < 4


@pytest.mark.parametrize("cluster", ["debug", "local"])
def test_submitit_runs_the_same_jobs(
    sweep: Sweep, how: How, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    from wsssbench.sweep import slurm

    def fake(sweep: Sweep, cell: Cell, how: How) -> list[str]:
        code = leaves_results(sweep, cell) + "; import os; print(os.environ['OMP_NUM_THREADS'])"
        return script("raise SystemExit('error: broken')" if cell.row == "a" else code)

    monkeypatch.setattr(slurm, "command", fake)
    monkeypatch.setattr(slurm, "_LOOK", 0.1)
    seen = Seen()
    cells = sweep.cells[:2]
    jobs = submit(sweep, cells, how, cluster, {})
    wait_for(sweep, cells, jobs, seen)
    assert [sweep.status(cell).state for cell in cells] == ["failed", "done"]
    assert "broken" in sweep.status(cells[0]).reason
    assert sweep.log(cells[1]).read_text().endswith("\n1\n")
    assert ("done", "b-seed0") in seen.events


def test_what_submitit_refuses_is_one_sentence(sweep: Sweep, how: How) -> None:
    pytest.importorskip("submitit")
    with pytest.raises(UserError, match="slurm_partitio"):
        submit(sweep, sweep.cells, how, "local", {"slurm_partitio": "x", "not_one": 1})
    if not any(os.access(Path(p) / "sbatch", os.X_OK) for p in os.environ["PATH"].split(":")):
        with pytest.raises(UserError, match="--executor slurm: submitit refuses"):
            submit(sweep, sweep.cells, how, "slurm", {})


def test_without_submitit_its_executors_say_what_to_install(
    sweep: Sweep, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'wsssbench\[slurm\]'"):
        submit(sweep, sweep.cells, how, "slurm", {})


def _plan(*stages: tuple[str, str, str]) -> Any:
    steps = [
        SimpleNamespace(node=SimpleNamespace(kind=stage_kind(stage)), state=state,
                        entry=SimpleNamespace(key=SimpleNamespace(hash=hash)))
        for stage, hash, state in stages
    ]  # fmt: skip
    return SimpleNamespace(steps=steps)


def test_cells_that_would_wait_for_another_come_later(sweep: Sweep) -> None:
    data = ("generate", "d", "computed")
    plans = {
        "a-seed0": _plan(data, ("classify", "1", "computed"), ("refine", "2", "computed")),
        "b-seed0": _plan(data, ("classify", "1", "computed"), ("refine", "3", "computed")),
        "c-seed0": _plan(data, ("classify", "4", "computed")),
    }
    assert [cell.row for cell in leaders_first(sweep.cells, plans)] == ["a", "c", "b"]
    plans["b-seed0"] = _plan(("classify", "1", "reused"), ("refine", "3", "computed"))
    assert [cell.row for cell in leaders_first(sweep.cells, plans)] == ["a", "b", "c"]
