"""Running the cells of a sweep as jobs of a cluster, by submitit (the optional extra ``wsssbench[slurm]``).

submitit's own executors ``local`` (processes here) and ``debug`` (in this process) run the same jobs without a cluster.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wsssbench.errors import UserError
from wsssbench.results.sweep_record import Cell, Status, Sweep
from wsssbench.sweep.launch import How, Shown, command, run_cell

_LOOK = 2.0  # seconds between two looks at the jobs
DEFAULTS = {"timeout_min": 24 * 60}


def submit(
    sweep: Sweep, cells: Sequence[Cell], how: How, cluster: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Submit one job per cell; Slurm's as one array. Returns submitit's jobs by cell id.

    Args:
        cluster: ``slurm``, ``local`` or ``debug``.
        options: parameters of submitit's executor, e.g. ``slurm_partition`` or ``timeout_min``.

    Raises:
        UserError: submitit is not installed, there is no Slurm here, or it does not know an option.
    """
    folder = (sweep.directory / "jobs").resolve()
    executor = _executor(folder, cluster, how, options)
    environment = {"OMP_NUM_THREADS": str(how.threads)}
    jobs: dict[str, Any] = {}
    with executor.batch():
        for cell in cells:
            words = command(sweep, cell, how)
            where = f"{cluster} job"
            jobs[cell.id] = executor.submit(
                run_cell, sweep.directory.resolve(), cell.id, words, environment, None, where
            )
    for cell in cells:
        if jobs[cell.id].done():
            continue
        sweep.note(cell, Status("running", job=f"{cluster} job {jobs[cell.id].job_id}"))
    return jobs


def wait_for(sweep: Sweep, cells: Sequence[Cell], jobs: Mapping[str, Any], shown: Shown) -> None:
    """Show how the jobs get on until all have ended.

    Raises:
        KeyboardInterrupt: the jobs go on.
    """
    waiting = list(cells)
    for cell in waiting:
        shown.started(cell)
    while waiting:
        for cell in list(waiting):
            if jobs[cell.id].done():
                waiting.remove(cell)
                shown.ended(cell, _ended(sweep, cell, jobs[cell.id]))
        if waiting:
            time.sleep(_LOOK)


def _ended(sweep: Sweep, cell: Cell, job: Any) -> Status:
    """The state of a cell whose job is over; a job that died before it could say so has failed."""
    status = sweep.status(cell)
    if status.state in ("running", "waiting"):
        status = Status(
            "failed", f"its job {job.job_id} ended as {job.state} (log: {job.paths.stderr})"
        )
        sweep.note(cell, status)
    return status


def _executor(folder: Path, cluster: str, how: How, options: Mapping[str, Any]) -> Any:
    try:
        import submitit
    except ImportError:
        raise UserError(
            f"--executor {cluster} needs submitit: pip install 'wsssbench[slurm]', "
            "or leave --executor out to run on this machine"
        ) from None
    try:
        executor = submitit.AutoExecutor(folder, cluster=cluster)
        given = {**DEFAULTS, **_devices(cluster, how), **options}
        if cluster == "debug":
            given = {}  # it runs here and at once, and takes no parameters
        executor.update_parameters(**given)
    except (RuntimeError, NameError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"--executor {cluster}: submitit refuses: {reason}") from None
    return executor


def _devices(cluster: str, how: How) -> dict[str, Any]:
    """What a cell needs of its node, unless the user says otherwise."""
    if cluster == "debug":
        return {}
    gpus = {"gpus_per_node": how.ranks} if how.device == "cuda" else {}
    return {"cpus_per_task": how.workers, **gpus}
