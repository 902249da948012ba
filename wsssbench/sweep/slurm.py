"""Runs the cells of a sweep as jobs of a cluster, by submitit (the optional extra ``wsssbench[slurm]``).

submitit's own executors ``local`` (processes here) and ``debug`` (in this process) run the same jobs without a cluster.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsssbench.errors import UserError
from wsssbench.results.sweep_record import Status, Sweep, SweepCell
from wsssbench.sweep.display import SweepDisplay
from wsssbench.sweep.launch import LaunchOptions, command, run_cell
from wsssbench.sweep.stop import stop_requests

_POLL_SECONDS = 2.0
# how submitit's states begin when somebody has ended the job: a user, a time limit, a job of higher priority
_STOPPED = ("CANCELLED", "DEADLINE", "INTERRUPTED", "PREEMPTED", "TIMEOUT")
DEFAULTS = {"timeout_min": 24 * 60, "nodes": 1, "tasks_per_node": 1}
CORES = 8  # of each rank, for the workers that read images and refine: this machine's number says nothing about a node


@dataclass(frozen=True)
class CellJob:
    """The work of a job: one cell, to its end; see `run_cell` for the fields.

    Before a time limit, and before a job of higher priority takes its place, the cluster warns the job. submitit then
    asks for a `checkpoint` and puts the job back into the queue; the cell goes on where it was when it runs again.
    """

    directory: Path
    id: str
    words: Sequence[str]
    environment: Mapping[str, str]
    kind: str

    def __call__(self) -> None:
        run_cell(self.directory, self.id, self.words, self.environment, self.kind)

    def checkpoint(self) -> Any:
        """Return the same work again, since the cell's own results are its checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def submit(
    sweep: Sweep,
    cells: Sequence[SweepCell],
    launch: LaunchOptions,
    cluster: str,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Submit one job per cell; Slurm's as one array. Returns submitit's jobs by cell id.

    Args:
        cluster: ``slurm``, ``local`` or ``debug``.
        options: parameters of submitit's executor, e.g. ``slurm_partition`` or ``timeout_min``.

    Raises:
        UserError: submitit is not installed, there is no Slurm here, or it does not know an option.
    """
    executor = _executor((sweep.directory / "jobs").resolve(), cluster, launch, options)
    threads = launch.threads if cluster == "debug" else _cores(launch, options) // launch.ranks
    environment = {"OMP_NUM_THREADS": str(max(1, threads))}
    kind = f"{cluster} job"
    jobs: dict[str, Any] = {}
    try:
        with executor.batch():
            for cell in cells:
                # written before the job exists, since the job writes the cell's next state
                sweep.note(cell, Status("running", job=kind))
                words = command(sweep, cell, launch)
                job = CellJob(sweep.directory.resolve(), cell.id, words, environment, kind)
                jobs[cell.id] = executor.submit(job)
    except BaseException:
        for cell in cells:
            sweep.note(cell, Status("waiting"))
        raise
    return jobs


def wait_for(
    sweep: Sweep, cells: Sequence[SweepCell], jobs: Mapping[str, Any], display: SweepDisplay
) -> None:
    """Show how the jobs get on until all have ended.

    Raises:
        SystemExit: this process was asked to stop; the jobs go on.
    """
    waiting = list(cells)
    for cell in waiting:
        display.started(cell)
    with stop_requests() as stop:
        while waiting and not stop:
            for cell in list(waiting):
                if jobs[cell.id].done():
                    waiting.remove(cell)
                    display.ended(cell, _ended(sweep, cell, jobs[cell.id]))
            if waiting and not stop:
                time.sleep(_POLL_SECONDS)
    if stop:
        display.say("stopped waiting; jobs of a cluster go on: --collect shows what is there")
        raise SystemExit(stop.exit_code)


def _ended(sweep: Sweep, cell: SweepCell, job: Any) -> Status:
    """Return the state of a cell after its job; write one if the job ended before it could."""
    status = sweep.status(cell)
    if status.state in ("running", "waiting"):
        stopped = str(job.state).startswith(_STOPPED)
        reason = f"its job {job.job_id} ended as {job.state} (log: {job.paths.stderr})"
        status = Status("stopped" if stopped else "failed", reason)
        sweep.note(cell, status)
    return status


def request(launch: LaunchOptions, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job asks the cluster for, as parameters of submitit's executor.

    One task, which starts the ranks itself: a GPU each unless the device is the CPU, and their cores. `options` win.

    Raises:
        UserError: several tasks or nodes.
    """
    needs = {**DEFAULTS, "cpus_per_task": _cores(launch, options)}
    names = {name.removeprefix("slurm_") for name in options}
    for name in ("nodes", "tasks_per_node"):
        if options.get(name, options.get(f"slurm_{name}", 1)) != 1:
            raise UserError(
                f"--slurm {name}: a cell is one task on one node, which starts --ranks processes; a run on several "
                "nodes is started by torchrun in a batch script of yours, see docs/clusters.md"
            )
    own_gpus = names & {"gres", "gpus_per_node", "gpus_per_task", "num_gpus"}
    if launch.device != "cpu" and not own_gpus:
        needs["gpus_per_node"] = launch.ranks
    return {**{name: value for name, value in needs.items() if name not in names}, **options}


def _cores(launch: LaunchOptions, options: Mapping[str, Any]) -> int:
    """Return the cores of a job."""
    given = options.get("cpus_per_task", options.get("slurm_cpus_per_task"))
    return given if isinstance(given, int) else launch.ranks * (launch.workers or CORES)


def _executor(folder: Path, cluster: str, launch: LaunchOptions, options: Mapping[str, Any]) -> Any:
    try:
        import submitit
    except ImportError:
        raise UserError(
            f"--executor {cluster} needs submitit: pip install 'wsssbench[slurm]', "
            "or leave --executor out to run on this machine"
        ) from None
    try:
        executor = submitit.AutoExecutor(folder, cluster=cluster)
        if cluster != "debug":  # which runs here and at once, and takes no parameters
            executor.update_parameters(**request(launch, options))
    except (RuntimeError, NameError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"--executor {cluster}: submitit refuses: {reason}") from None
    return executor
