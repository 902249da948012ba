"""A sweep of three cells whose commands are stubs, and what is told of it."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from wsssbench.results.sweep_record import Paper, Row, Status, Sweep, SweepCell
from wsssbench.sweep.display import SweepDisplay

PATIENCE = 240.0  # seconds


class Events(SweepDisplay):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.sentences: list[str] = []

    def started(self, cell: SweepCell) -> None:
        self.events.append(("started", cell.id))

    def line(self, cell: SweepCell, text: str) -> None:
        self.events.append((text, cell.id))

    def ended(self, cell: SweepCell, status: Status) -> None:
        self.events.append((status.state, cell.id))

    def say(self, text: str) -> None:
        self.sentences.append(text)


def write_sweep(work: Path) -> Sweep:
    """Three cells to run, a to c, and a row with published numbers only."""
    cells = tuple(SweepCell(f"{name}-seed0", name, 0, f"../../runs/{name}/x") for name in "abc")
    sweep = Sweep(
        work / "sweeps" / "mine", "mine", "Mine", "now", "base.py", "cam", ("row",), "a",
        Paper("A paper", {"dataset": "VOC2012"}),
        (Row("a", {"row": "a"}, {"CAM": 1.0}), Row("b"), Row("c"), Row("p", {}, {"CAM": 2.0}, False)),
        cells,
    )  # fmt: skip
    sweep.write()
    return sweep


def script(code: str) -> list[str]:
    """The command of a stub."""
    return [sys.executable, "-c", code]


def leaves_results(sweep: Sweep, cell: SweepCell) -> str:
    """Code of a run that prints a stage and leaves its metrics."""
    path = sweep.run_directory(cell) / "metrics.json"
    return (
        f"import pathlib; p = pathlib.Path({str(path)!r}); print('[1/2] classify: computed');"
        "p.parent.mkdir(parents=True); p.write_text('{}')"
    )


def wait_until(condition: Callable[[], object]) -> None:
    """Return as soon as `condition` holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# What a cell may do when it is asked to stop. Each says "ready" once it can be asked.
ANSWERS = {
    "exit 0": "signal.signal(signal.SIGINT, lambda *_: os._exit(0))",
    "exit 1": "signal.signal(signal.SIGINT, lambda *_: os._exit(1))",
    "exit 130": "signal.signal(signal.SIGINT, lambda *_: os._exit(130))",
    "dies of it": "signal.signal(signal.SIGINT, signal.SIG_DFL)",
    "traceback": "signal.signal(signal.SIGINT, lambda *_: 1 / 0)",
    "KeyboardInterrupt": "signal.signal(signal.SIGINT, signal.default_int_handler)",
    "hears SIGTERM only": "signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "ignores all": "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]",
}


def answers(way: str) -> str:
    return f"import os, signal, time\n{ANSWERS[way]}\nprint('ready', flush=True)\nwhile True: time.sleep(600)"


def ready(sweep: Sweep, *rows: str) -> Callable[[], bool]:
    """A condition: the cells of `rows` can be stopped."""
    logs = [sweep.log(cell) for cell in sweep.cells if cell.row in rows]
    return lambda: all(log.is_file() and "ready" in log.read_text() for log in logs)


def written(sweep: Sweep, row: str) -> str:
    """The state that is in the file of a cell."""
    path = sweep.directory / "cells" / f"{row}-seed0.json"
    return str(json.loads(path.read_text())["state"]) if path.is_file() else "waiting"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Sender:
    """Sends signals to a process, each as soon as its condition holds."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def send(self, *steps: tuple[Callable[[], object], int], to: int = 0) -> None:
        def run() -> None:
            for condition, number in steps:
                wait_until(condition)
                os.kill(to or os.getpid(), number)

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def join(self) -> None:
        assert self._thread is not None
        self._thread.join(PATIENCE)
