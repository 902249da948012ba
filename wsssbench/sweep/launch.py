"""Running the cells of a sweep: each is a ``wsssbench run`` in a process of its own, so that none can harm another.

A cell knows nothing about where it runs: `run_cell` is called by a thread here, or by a job of submitit's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Protocol

from wsssbench.experiment.plan import Plan
from wsssbench.results.sweep_record import Cell, Status, Sweep, here, read_sweep

_STOPPED = 130  # exit code of a command after Ctrl-C
_GRACE = 20.0  # seconds for a cell to end after Ctrl-C before it is killed

Line = Callable[[Cell, str], None]


@dataclass(frozen=True)
class How:
    """How cells are run, which no result depends on.

    Attributes:
        work_dir: of all of them.
        device: ``cpu`` or ``cuda``.
        workers: processes of a cell for per-image work.
        ranks: processes of a cell for training, by torchrun; 1: without.
        threads: of every process's CPU arithmetic.
    """

    work_dir: Path
    device: str
    workers: int
    ranks: int = 1
    threads: int = 1


class Shown(Protocol):
    """Where the state of cells is shown."""

    def started(self, cell: Cell) -> None: ...

    def line(self, cell: Cell, text: str) -> None: ...

    def ended(self, cell: Cell, status: Status) -> None: ...


def command(sweep: Sweep, cell: Cell, how: How) -> list[str]:
    """The command that runs `cell`."""
    python = [sys.executable, "-m"]
    if how.ranks > 1:
        python += ["torch.distributed.run", "--standalone", f"--nproc_per_node={how.ranks}", "-m"]
    words = [*python, "wsssbench", "run", str(sweep.config(cell)), "--work-dir", str(how.work_dir)]
    words += ["--device", how.device, "--workers", str(how.workers)]
    return words + (["--until", sweep.until] if sweep.until else [])


def run_cell(
    directory: Path,
    id: str,
    words: Sequence[str],
    environment: Mapping[str, str],
    line: Line | None = None,
    job: str = "",
) -> Status:
    """Run one cell to its end; its log and its state are left beside ``sweep.json``.

    Args:
        directory: of the sweep.
        words: the command.
        environment: additions to this process's.
        line: told of every line that the run prints.
        job: where it runs; by default this process.
    """
    sweep = read_sweep(directory)
    cell = next(cell for cell in sweep.cells if cell.id == id)
    started = time.monotonic()
    sweep.note(cell, Status("running", job=job or here()))
    log = sweep.log(cell).open("w", encoding="utf-8", buffering=1)
    with log, _child(words, environment) as process:
        assert process.stdout is not None
        last = told = ""
        for text in process.stdout:
            log.write(text)
            last = text.strip() or last
            told = last if text.startswith("error: ") else told  # torchrun says more after it
            if line is not None:
                line(cell, text.rstrip())
        code = process.wait()
    status = _status(code, told or last, sweep, cell, time.monotonic() - started)
    sweep.note(cell, status)
    return status


def _status(code: int, last: str, sweep: Sweep, cell: Cell, seconds: float) -> Status:
    if code == 0:
        return Status("done", seconds=seconds)
    if code in (_STOPPED, -signal.SIGINT, -signal.SIGTERM):
        return Status("stopped", "stopped by Ctrl-C", seconds)
    # ranks that stop for the same reason may print it on one line
    reason = last.removeprefix("error: ").partition("error: ")[0] or "it printed nothing"
    if code < 0:
        reason = f"killed by {signal.Signals(-code).name} (out of memory?); last line: {reason}"
    return Status("failed", f"{reason} (log: {sweep.log(cell)})", seconds)


_children: set[subprocess.Popen[str]] = set()


@contextmanager
def _child(words: Sequence[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process in a session of its own: Ctrl-C at the terminal reaches it through us alone."""
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        env={**os.environ, "COLUMNS": "100", **environment},
    )
    _children.add(process)
    try:
        yield process
    finally:
        if process.poll() is None:
            _end(process)
        _children.discard(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Ask a cell and its workers to stop, and make them if they do not."""
    for wish, patience in ((signal.SIGINT, _GRACE), (signal.SIGKILL, 10.0)):
        try:
            os.killpg(process.pid, wish)
            process.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def run_here(
    sweep: Sweep,
    cells: Sequence[Cell],
    how: How,
    jobs: int,
    devices: Sequence[str],
    shown: Shown,
) -> dict[str, Status]:
    """Run `cells`, `jobs` at a time; one that fails does not stop the others.

    Args:
        devices: ids of CUDA devices to share out, `how.ranks` to every job; none on a CPU.

    Raises:
        KeyboardInterrupt: after every cell that was running has stopped.
    """
    slots: Queue[list[str]] = Queue()
    for slot in range(jobs):
        slots.put(list(devices[slot * how.ranks : (slot + 1) * how.ranks]))
    stopping = False

    def one(cell: Cell) -> Status:
        if stopping:
            return Status("stopped", "stopped by Ctrl-C")
        mine = slots.get()
        try:
            shown.started(cell)
            environment = {"OMP_NUM_THREADS": str(how.threads)}
            if mine:
                environment["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
            words = command(sweep, cell, how)
            status = run_cell(sweep.directory, cell.id, words, environment, shown.line)
            shown.ended(cell, status)
            return status
        finally:
            slots.put(mine)

    with ThreadPoolExecutor(jobs) as pool:
        futures: dict[Future[Status], Cell] = {pool.submit(one, cell): cell for cell in cells}
        try:
            waiting = set(futures)
            while waiting:  # with a time-out, so that Ctrl-C is heard at once everywhere
                _, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
        except KeyboardInterrupt:
            stopping = True
            for future in futures:
                future.cancel()
            for process in list(_children):
                _end(process)
            raise
    return {cell.id: future.result() for future, cell in futures.items()}


def leaders_first(cells: Sequence[Cell], plans: Mapping[str, Plan]) -> list[Cell]:
    """`cells` so that those which would wait for a stage that another one makes come after it."""
    leaders: list[Cell] = []
    followers: list[Cell] = []
    claimed: set[str] = set()
    for cell in cells:
        first = _first_to_make(plans[cell.id])
        (followers if first in claimed else leaders).append(cell)
        claimed |= {first} if first else set()
    return leaders + followers


def _first_to_make(plan: Plan) -> str | None:
    """The stage a cell begins with; a generated data set, which is made in moments, aside."""
    made = (s for s in plan.steps if not s.node.kind.writes_masks and s.state != "reused")
    return next((step.entry.key.hash for step in made), None)
