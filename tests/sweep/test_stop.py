"""Ctrl-C, SIGTERM and SIGHUP: what was running is `stopped` whatever it answers; what had ended keeps its state."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import pytest
from made_up_sweep import (
    ANSWERS,
    PATIENCE,
    Events,
    Sender,
    alive,
    answers,
    leaves_results,
    ready,
    script,
    wait_until,
    written,
)

from wsssbench.results.sweep_record import Status, Sweep, SweepCell
from wsssbench.sweep import launch, process
from wsssbench.sweep.launch import LaunchOptions, run_here

NUMBERS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGHUP": signal.SIGHUP}


def run(sweep: Sweep, codes: dict[str, str], jobs: int, monkeypatch: pytest.MonkeyPatch) -> Events:
    """Run stubs until the sweep stops."""
    monkeypatch.setattr(launch, "command", lambda _sweep, cell, _how: script(codes[cell.row]))
    display = Events()
    options = LaunchOptions(sweep.directory, "cpu", 1)
    with pytest.raises(SystemExit) as end:
        run_here(sweep, sweep.cells, options, jobs, [], display)
    display.say(f"exit code {end.value.code}")
    return display


@pytest.mark.parametrize("way", ANSWERS)
def test_what_was_running_is_stopped_whatever_it_answers(
    sweep: Sweep, sender: Sender, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_GRACE", 0.2 if way == "ignores all" else 2.0)
    sender.send((ready(sweep, "a"), signal.SIGINT))
    display = run(sweep, dict.fromkeys("abc", answers(way)), 1, monkeypatch)
    assert sweep.status(sweep.cells[0]) == Status(
        "stopped", "by Ctrl-C", pytest.approx(300, abs=300)
    )
    assert [sweep.status(cell).state for cell in sweep.cells[1:]] == ["waiting", "waiting"]
    told = [event for event, _ in display.events]
    assert told[:2] == ["started", "ready"] and told[-1] == "stopped"


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_each_signal_stops_all_that_runs_and_gives_its_code(
    sweep: Sweep, sender: Sender, name: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.send((ready(sweep, "a", "b"), NUMBERS[name]))
    display = run(sweep, dict.fromkeys("abc", answers("exit 1")), 2, monkeypatch)
    word = "Ctrl-C" if name == "SIGINT" else name
    states = [(sweep.status(cell).state, sweep.status(cell).reason) for cell in sweep.cells]
    assert states == [("stopped", f"by {word}"), ("stopped", f"by {word}"), ("waiting", "")]
    assert display.sentences == [
        f"stopping the cells that run (by {word}); a second Ctrl-C kills them",
        f"exit code {code}",
    ]


def test_what_had_ended_by_itself_keeps_its_state(
    sweep: Sweep, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = {
        "a": leaves_results(sweep, sweep.cells[0]),
        "b": "raise SystemExit('error: no such file')",
        "c": answers("exit 1"),
    }
    sender.send((ready(sweep, "c"), signal.SIGTERM))
    run(sweep, codes, 1, monkeypatch)
    assert [sweep.status(cell).state for cell in sweep.cells] == ["done", "failed", "stopped"]
    assert "no such file" in sweep.status(sweep.cells[1]).reason


def test_results_count_even_if_they_came_while_the_cell_was_stopped(
    sweep: Sweep, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        f"import signal, time\ndef finish(*_):\n  {leaves_results(sweep, sweep.cells[0])}\n  raise SystemExit(0)\n"
        "signal.signal(signal.SIGINT, finish)\nprint('ready', flush=True)\ntime.sleep(600)"
    )
    monkeypatch.setattr(process, "_GRACE", PATIENCE)
    sender.send((ready(sweep, "a"), signal.SIGINT))
    display = run(sweep, dict.fromkeys("abc", code), 1, monkeypatch)
    assert sweep.status(sweep.cells[0]).state == written(sweep, "a") == "done"
    assert display.events[-1] == ("done", "a-seed0")


@pytest.mark.parametrize("last_act", ["os._exit(1)", "os._exit(130)", "os.kill(os.getpid(), 15)"])
def test_a_cell_that_ended_in_the_moment_before_the_sweep_heard_is_stopped(
    sweep: Sweep, sender: Sender, last_act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm signals all processes of a job one after the other: the cell may be over before the sweep is asked."""
    monkeypatch.setattr(process, "_SETTLE", PATIENCE)
    code = f"import os\nprint(os.getpid(), 'ready', flush=True)\n{last_act}"
    log = sweep.log(sweep.cells[0])

    def over() -> bool:
        return ready(sweep, "a")() and not alive(int(log.read_text().split()[0]))

    # the cells that come after it keep the sweep busy where its end is known by its code already
    codes = {"a": code, "b": answers("exit 0"), "c": answers("exit 0")}
    both = (lambda: over() and ready(sweep, "b")()) if last_act != "os._exit(1)" else over
    sender.send((both, signal.SIGTERM))
    run(sweep, codes, 1, monkeypatch)
    assert sweep.status(sweep.cells[0]).state == written(sweep, "a") == "stopped"


def test_a_second_ctrl_c_kills_at_once_and_still_leaves_stopped(
    sweep: Sweep, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what the cell has started in a session of its own, as torchrun starts its ranks."""
    rank = answers("ignores all")
    code = f"import subprocess, sys\np = subprocess.Popen([sys.executable, '-c', {rank!r}], start_new_session=True)\n"
    code += f"print(p.pid, flush=True)\n{rank}"
    monkeypatch.setattr(process, "_GRACE", PATIENCE)
    log = sweep.log(sweep.cells[0])
    both_ready = lambda: log.is_file() and log.read_text().count("ready") == 2  # noqa: E731
    stopping = lambda: written(sweep, "a") == "stopped"  # noqa: E731
    sender.send((both_ready, signal.SIGINT), (stopping, signal.SIGINT))
    run(sweep, dict.fromkeys("abc", code), 1, monkeypatch)
    assert sweep.status(sweep.cells[0]).state == "stopped"
    if sys.platform == "linux":
        pid = next(int(line) for line in log.read_text().splitlines() if line.isdigit())
        wait_until(lambda: not alive(pid))


def test_the_state_is_written_before_the_cell_has_ended(
    sweep: Sweep, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm kills the sweep, too, if the cell takes too long."""
    flag = sweep.directory / "seen"
    code = answers("exit 1").replace("os._exit(1)", "None")
    code = code.replace(
        "while True: time.sleep(600)", f"while not os.path.exists({str(flag)!r}): time.sleep(0.02)"
    )
    monkeypatch.setattr(process, "_GRACE", PATIENCE)

    def seen() -> bool:
        if written(sweep, "a") == "stopped":
            flag.touch()
        return flag.exists()

    sender.send((ready(sweep, "a"), signal.SIGTERM), (seen, 0))  # signal 0 is none
    run(sweep, dict.fromkeys("abc", code), 1, monkeypatch)
    assert flag.exists() and sweep.status(sweep.cells[0]).state == "stopped"


def test_an_error_of_the_sweep_itself_leaves_no_process(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Events):
        def line(self, cell: SweepCell, text: str) -> None:
            self.pid = int(text)
            raise RuntimeError("no display")

    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    monkeypatch.setattr(launch, "command", lambda *_: script(code))
    display = Broken()
    with pytest.raises(RuntimeError, match="no display"):
        run_here(sweep, sweep.cells, LaunchOptions(sweep.directory, "cpu", 1), 1, [], display)
    assert not alive(display.pid) and sweep.status(sweep.cells[0]).state == "stopped"


DRIVER = """
import sys
from pathlib import Path
from wsssbench.cli import main
from wsssbench.cli import sweep as command
from wsssbench.cli.console import make_console
from wsssbench.cli.sweep_display import CellsDisplay
from wsssbench.results.sweep_record import read_sweep
from wsssbench.sweep import launch
sweep = read_sweep(Path(sys.argv[1]))
launch.command = lambda *_: [sys.executable, "-c", sys.argv[2]]
class App:
    def __call__(self):
        with CellsDisplay(make_console(), 3) as display:
            launch.run_here(sweep, sweep.cells, launch.LaunchOptions(Path("."), "cpu", 1), 2, [], display)
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
import wsssbench.cli
wsssbench.cli.build_app = App
sys.exit(main())
"""


def driver(sweep: Sweep, way: str) -> list[str]:
    """The command line's own end of a sweep, with stubs."""
    return [sys.executable, "-c", DRIVER, str(sweep.directory), answers(way)]


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_sentence_says_how_to_go_on(sweep: Sweep, name: str, code: int) -> None:
    """The whole process group is sent the signal, as a terminal does."""
    with subprocess.Popen(
        driver(sweep, "exit 1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as running:  # fmt: skip
        wait_until(ready(sweep, "a", "b"))
        os.killpg(running.pid, NUMBERS[name])
        out, err = running.communicate(timeout=PATIENCE)
    assert (running.returncode, err) == (
        code,
        "\nstopped; the same command again continues from here\n",
    )
    assert "b, seed 0: stopped by" in out and "Traceback" not in out
    assert [sweep.status(cell).state for cell in sweep.cells] == ["stopped", "stopped", "waiting"]


def test_a_closed_terminal_stops_a_sweep(sweep: Sweep) -> None:
    """Nothing can be written any more, which changes neither the states nor the exit code."""
    ours, terminal = pty.openpty()
    running = subprocess.Popen(
        driver(sweep, "exit 1"), stdin=terminal, stdout=terminal, stderr=terminal,
        start_new_session=True, preexec_fn=lambda: _take_terminal(),
    )  # fmt: skip
    os.close(terminal)
    wait_until(ready(sweep, "a", "b"))
    os.close(ours)
    assert running.wait(PATIENCE) == 129
    states = [(sweep.status(cell).state, sweep.status(cell).reason) for cell in sweep.cells]
    assert states == [("stopped", "by SIGHUP"), ("stopped", "by SIGHUP"), ("waiting", "")]


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests run under nohup


def test_a_sweep_under_nohup_outlives_its_terminal(sweep: Sweep) -> None:
    with subprocess.Popen(
        driver(sweep, "exit 0"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    ) as running:  # fmt: skip
        wait_until(ready(sweep, "a", "b"))
        running.send_signal(signal.SIGHUP)
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE) == 143
    assert sweep.status(sweep.cells[0]).reason == "by SIGTERM"
