"""Cells in processes of their own: commands, logs, states, failures that stop nobody else, order."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_up_sweep import Events, leaves_results, script
from rich.console import Console

from wsssbench.cli.sweep_display import CellsDisplay, show_warnings
from wsssbench.results.sweep_record import Sweep, SweepCell, read_sweep
from wsssbench.sweep import launch
from wsssbench.sweep.launch import (
    LaunchOptions,
    command,
    run_cell,
    run_here,
    shared_stages_first,
)


def test_the_command_of_a_cell(sweep: Sweep, options: LaunchOptions) -> None:
    cell = sweep.cells[0]
    words = command(sweep, cell, options)
    assert words[:4] == [sys.executable, "-m", "wsssbench", "run"]
    assert words[4] == str(sweep.config(cell)) and words[-2:] == ["--until", "cam"]
    several = command(sweep, cell, LaunchOptions(Path("w"), "cuda", 2, ranks=4))
    assert "torch.distributed.run" in several and "--nproc_per_node=4" in several


def test_a_cell_leaves_its_log_and_state(
    sweep: Sweep, options: LaunchOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = sweep.cells[0]
    code = leaves_results(sweep, cell) + "; print('x' * 3_000_000); print('é', end='')"
    monkeypatch.setattr(launch, "command", lambda *_: script(code))
    display = Events()
    run_here(sweep, [cell], options, 1, [], display)
    assert sweep.status(cell).state == "done" and sweep.status(cell).seconds > 0
    texts = [text for text, _ in display.events]
    assert texts == ["started", "[1/2] classify: computed", "x" * 3_000_000, "done"]
    log = sweep.log(cell).read_text(encoding="utf-8")
    assert log == "[1/2] classify: computed\n" + "x" * 3_000_000 + "\né"


def test_the_warnings_of_a_cell_are_shown_and_kept(
    sweep: Sweep, options: LaunchOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one that is done, and of one that has failed; each warning once."""
    done, failed, _ = sweep.cells
    said = "print('warning: bins of 16'); print('warning: bins of 16'); print('a warning: no')"
    codes = {done.id: f"{leaves_results(sweep, done)}; {said}", failed.id: f"{said}; exit(1)"}
    monkeypatch.setattr(launch, "command", lambda _sweep, cell, _o: script(codes[cell.id]))
    console = Console(width=90, file=io.StringIO(), color_system=None)
    with CellsDisplay(console, 2) as display:
        run_here(sweep, [done, failed], options, 1, [], display)
    assert "a, seed 0: warning: bins of 16" in console.file.getvalue()  # type: ignore[attr-defined]
    again = read_sweep(sweep.directory)
    states = [(again.status(cell).state, again.status(cell).warnings) for cell in sweep.cells]
    assert states == [("done", ("bins of 16",)), ("failed", ("bins of 16",)), ("waiting", ())]
    console = Console(width=90, file=io.StringIO(), color_system=None)
    show_warnings(again, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert shown == "warning: a, seed 0; b, seed 0: bins of 16\n"


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [
        ("import sys; print('error: no such file'); sys.exit(2)", "failed", "no such file (log: "),
        ("print('error: no'); print('=' * 20); raise SystemExit(1)", "failed", "no (log: "),
        ("print('error: noerror: no'); raise SystemExit(1)", "failed", "no (log: "),
        ("raise RuntimeError('shape')", "failed", "RuntimeError: shape"),
        ("raise SystemExit(1)", "failed", "it printed nothing"),
        ("print('half a line', end=''); raise SystemExit(1)", "failed", "half a line (log: "),
        ("import os; os.kill(os.getpid(), 9)", "failed", "killed by SIGKILL (out of memory?)"),
        ("import sys; sys.exit(130)", "stopped", "by Ctrl-C"),
        ("import os; os.kill(os.getpid(), 15)", "stopped", "by SIGTERM"),
    ],
)
def test_how_a_cell_ended_is_told(sweep: Sweep, code: str, state: str, words: str) -> None:
    cell = sweep.cells[0]
    run_cell(sweep.directory, cell.id, script(code), {})
    assert sweep.status(cell).state == state and words in sweep.status(cell).reason


def test_a_failed_cell_does_not_stop_the_others(
    sweep: Sweep, options: LaunchOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake(sweep: Sweep, cell: SweepCell, options: LaunchOptions) -> list[str]:
        return script("raise SystemExit('no')" if cell.row == "a" else leaves_results(sweep, cell))

    monkeypatch.setattr(launch, "command", fake)
    display = Events()
    run_here(sweep, sweep.cells, options, 2, [], display)
    assert [sweep.status(cell).state for cell in sweep.cells] == ["failed", "done", "done"]
    assert ("failed", "a-seed0") in display.events and ("done", "c-seed0") in display.events


def test_jobs_share_out_the_devices(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two at a time with two ranks each: each cell sees a pair of the four devices.

    Each of the first two ends only when the other one has begun, so that both are there at once.
    """
    code = (
        "import os, pathlib, time; mine = os.environ['CUDA_VISIBLE_DEVICES']; print(mine)\n"
        f"folder = pathlib.Path({str(tmp_path)!r}); (folder / mine).touch()\n"
        "while not all((folder / pair).exists() for pair in ('0,1', '2,3')): time.sleep(0.02)"
    )
    monkeypatch.setattr(launch, "command", lambda *_: script(code))
    options = LaunchOptions(tmp_path, "cuda", 1, ranks=2)
    run_here(sweep, sweep.cells, options, 2, list("0123"), Events())
    logs = [sweep.log(cell).read_text().strip() for cell in sweep.cells]
    assert sorted(logs[:2]) == ["0,1", "2,3"] and logs[2] in logs[:2]


def test_a_cell_that_floods_its_output_leaves_the_others_their_turn(
    sweep: Sweep, options: LaunchOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first prints without a pause until the third has run, in the slot of the second."""
    flag = sweep.directory / "c-has-run"
    log = sweep.log(sweep.cells[0])
    codes = {
        "a": f"import os\nwhile not os.path.exists({str(flag)!r}): print('x' * 1000)",
        "b": "",
        "c": f"import os\nwhile os.path.getsize({str(log)!r}) < 2_000_000: pass\nopen({str(flag)!r}, 'w')",
    }
    monkeypatch.setattr(launch, "command", lambda _sweep, cell, _options: script(codes[cell.row]))
    display = Events()
    run_here(sweep, sweep.cells, options, 2, [], display)
    assert {event for event, _ in display.events} == {"started", "x" * 1000, "done"}


def test_a_worker_that_outlives_its_cell_is_not_waited_for(
    sweep: Sweep, options: LaunchOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the cell's output open, and ends only when the test is over."""
    flag = sweep.directory / "over"
    worker = f"import os, time\nwhile not os.path.exists({str(flag)!r}): time.sleep(0.02)"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {worker!r}])"
    monkeypatch.setattr(launch, "command", lambda *_: script(code))
    display = Events()
    run_here(sweep, sweep.cells[:1], options, 1, [], display)
    assert display.events[-1] == ("done", "a-seed0")
    flag.touch()


def _plan(*stages: tuple[str, str]) -> Any:
    """A plan of stages (key, state) behind a generated data set."""
    kinds = [True] + [False] * len(stages)
    steps = [
        SimpleNamespace(node=SimpleNamespace(kind=SimpleNamespace(writes_masks=generates)),
                        state=state, entry=SimpleNamespace(key=SimpleNamespace(hash=hash)))
        for generates, (hash, state) in zip(kinds, [("d", "computed"), *stages], strict=True)
    ]  # fmt: skip
    return SimpleNamespace(steps=steps)


def test_cells_that_would_wait_for_another_come_later(sweep: Sweep) -> None:
    plans = {
        "a-seed0": _plan(("1", "computed"), ("2", "computed")),
        "b-seed0": _plan(("1", "computed"), ("3", "computed")),
        "c-seed0": _plan(("4", "computed")),
    }
    assert [cell.row for cell in shared_stages_first(sweep.cells, plans)] == ["a", "c", "b"]
    plans["b-seed0"] = _plan(("1", "reused"), ("3", "computed"))
    assert [cell.row for cell in shared_stages_first(sweep.cells, plans)] == ["a", "b", "c"]
