"""Runs the cells of a sweep: each is a ``wsssbench run`` in a process of its own, so that none can harm another.

A cell knows nothing about where it runs: `run_here` starts it, or `run_cell` in a job of submitit's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING

from wsssbench.results.sweep_record import Sweep, SweepCell, read_sweep
from wsssbench.sweep.display import SweepDisplay
from wsssbench.sweep.process import CellProcess
from wsssbench.sweep.stop import by_signal, stop_requests

if TYPE_CHECKING:
    from wsssbench.experiment.plan import Plan

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class LaunchOptions:
    """The way to run cells. No result depends on it.

    Attributes:
        work_dir: the work folder of all cells.
        device: ``cpu`` or ``cuda``; ``auto`` leaves it to the machine that runs the cell.
        workers: number of processes of each rank for per-image work; None leaves it to the machine that runs the cell.
        ranks: number of processes of a cell for training, by torchrun; 1 is without.
        threads: number of threads of each process for arithmetic on the CPU.
    """

    work_dir: Path
    device: str
    workers: int | None
    ranks: int = 1
    threads: int = 1


def command(sweep: Sweep, cell: SweepCell, options: LaunchOptions) -> list[str]:
    """Return the command that runs `cell`."""
    python = [sys.executable, "-m"]
    if options.ranks > 1:
        torchrun = ("torch.distributed.run", "--standalone", f"--nproc_per_node={options.ranks}")
        python += [*torchrun, "-m"]
    words = [*python, "wsssbench", "run", str(sweep.config(cell))]
    words += ["--work-dir", str(options.work_dir), "--device", options.device]
    words += ["--workers", str(options.workers)] if options.workers else []
    return words + (["--until", sweep.until] if sweep.until else [])


def run_cell(
    directory: Path, id: str, words: Sequence[str], environment: Mapping[str, str], job: str = ""
) -> None:
    """Run one cell to its end, as a job of submitit's; its log and its state are left beside ``sweep.json``.

    Args:
        directory: of the sweep.
        words: the command.
        environment: additions to this process's.
        job: the kind of job; its number is in the environment that the cluster sets.

    Raises:
        SystemExit: this process was asked to stop, and the cell has.
    """
    sweep = read_sweep(directory)
    number = os.environ.get("SLURM_JOB_ID") or os.environ.get("SUBMITIT_LOCAL_JOB_ID", "")
    where = f"{job} {number}".strip()
    _run_all(
        [cell for cell in sweep.cells if cell.id == id],
        lambda cell, _slot: CellProcess(sweep, cell, words, environment, where),
        1,
        SweepDisplay(),
    )


def run_here(
    sweep: Sweep,
    cells: Sequence[SweepCell],
    options: LaunchOptions,
    jobs: int,
    devices: Sequence[str],
    display: SweepDisplay,
) -> None:
    """Run `cells`, `jobs` at a time; one that fails does not stop the others.

    Args:
        devices: ids of CUDA devices to share out, `options.ranks` to every job; none on a CPU.

    Raises:
        SystemExit: this process was asked to stop, and every cell that was running has.
    """

    def start(cell: SweepCell, slot: int) -> CellProcess:
        environment = {"OMP_NUM_THREADS": str(options.threads)}
        if devices:
            mine = devices[slot * options.ranks : (slot + 1) * options.ranks]
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
        return CellProcess(sweep, cell, command(sweep, cell, options), environment)

    _run_all(cells, start, jobs, display)


def _run_all(
    cells: Sequence[SweepCell],
    start: Callable[[SweepCell, int], CellProcess],
    jobs: int,
    display: SweepDisplay,
) -> None:
    """Run `cells` in `jobs` slots.

    One thread does it all: a cell's state is decided where signals are heard, so that a signal which came before the
    cell ended is known by then.
    """
    waiting = list(cells)
    running: dict[int, CellProcess] = {}  # by slot
    told = False
    with stop_requests() as stop:
        try:
            while running or (waiting and not stop):
                for slot in range(jobs):
                    if waiting and slot not in running and not stop:
                        running[slot] = start(waiting.pop(0), slot)
                        display.started(running[slot].cell)
                outputs = [p.output.fileno() for p in running.values() if not p.silent]
                connection.wait(outputs, _POLL_SECONDS)
                if stop and not told:
                    told = True
                    display.say(
                        f"stopping the cells that run ({by_signal(stop.signal)}); a second Ctrl-C kills them"
                    )
                for slot, process in list(running.items()):
                    if stop:
                        process.ask_to_stop(stop)
                    for line in process.lines():
                        display.line(process.cell, line)
                    if status := process.ended(stop):
                        del running[slot]
                        display.ended(process.cell, status)
        finally:
            for process in running.values():
                process.abandon()
    if stop:
        raise SystemExit(stop.exit_code)


def shared_stages_first(cells: Sequence[SweepCell], plans: Mapping[str, Plan]) -> list[SweepCell]:
    """Order `cells`: those that would wait for a stage which another one makes come after it."""
    leaders: list[SweepCell] = []
    followers: list[SweepCell] = []
    claimed: set[str] = set()
    for cell in cells:
        # The stage that the cell begins with. A generated data set does not count: it is made in moments.
        missing = [step for step in plans[cell.id].steps if step.state != "reused"]
        made = (s.entry.key.hash for s in missing if not s.node.kind.writes_masks)
        first = next(made, None)
        (followers if first in claimed else leaders).append(cell)
        claimed |= {first} if first else set()
    return leaders + followers
