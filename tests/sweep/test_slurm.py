"""Cells as jobs of submitit's: real ones of its local executors, and how a job's end becomes a cell's state."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from made_up_sweep import Events, Sender, answers, leaves_results, ready, script, wait_until

from wsssbench.errors import UserError
from wsssbench.results.sweep_record import Status, Sweep, SweepCell
from wsssbench.sweep import process, slurm
from wsssbench.sweep.launch import LaunchOptions, command
from wsssbench.sweep.slurm import submit, wait_for

needs_submitit = pytest.mark.skipif("not __import__('importlib.util').util.find_spec('submitit')")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "_POLL_SECONDS", 0.1)
    monkeypatch.setattr(process, "_SETTLE", 0.0)


@needs_submitit
@pytest.mark.parametrize("cluster", ["debug", "local"])
def test_submitit_runs_the_same_jobs(
    sweep: Sweep, options: LaunchOptions, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake(sweep: Sweep, cell: SweepCell, options: LaunchOptions) -> list[str]:
        code = leaves_results(sweep, cell) + "; import os; print(os.environ['OMP_NUM_THREADS'])"
        return script("raise SystemExit('error: broken')" if cell.row == "a" else code)

    monkeypatch.setattr(slurm, "command", fake)
    display = Events()
    cells = sweep.cells[:2]
    jobs = submit(sweep, cells, options, cluster, {})
    wait_for(sweep, cells, jobs, display)
    assert [sweep.status(cell).state for cell in cells] == ["failed", "done"]
    assert "broken" in sweep.status(cells[0]).reason
    assert sweep.log(cells[1]).read_text().endswith("\n1\n")
    assert ("done", "b-seed0") in display.events


def batch_script(
    tmp_path: Path,
    options: LaunchOptions,
    given: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> list[str]:
    """The options in the script that submitit would hand to sbatch."""
    which = shutil.which
    monkeypatch.setattr(
        "shutil.which", lambda name, **more: "/bin/true" if name == "srun" else which(name, **more)
    )
    executor = slurm._executor(tmp_path, "slurm", options, given)._executor
    text = executor._make_submission_file_text("python job", "1")
    return [line.removeprefix("#SBATCH --") for line in text.splitlines() if "#SBATCH" in line]


@needs_submitit
@pytest.mark.parametrize(
    ("device", "workers", "ranks", "given", "lines", "absent"),
    [
        # from a login node without a GPU: the device is the job's to find
        ("auto", None, 1, {}, ["gpus-per-node=1", "cpus-per-task=8", "nodes=1", "ntasks-per-node=1",
                               "time=1440", "signal=USR2@90"], ""),
        ("cuda", 6, 4, {"slurm_partition": "gpu"},
         ["gpus-per-node=4", "cpus-per-task=24", "partition=gpu"], ""),
        ("cpu", 16, 1, {"timeout_min": 60}, ["cpus-per-task=16", "time=60"], "gpus"),
        ("auto", None, 2, {"slurm_gres": "gpu:a100:2", "cpus_per_task": 12},
         ["gres=gpu:a100:2", "cpus-per-task=12"], "gpus-per-node"),
        ("auto", None, 2, {"slurm_cpus_per_task": 20}, ["cpus-per-task=20", "gpus-per-node=2"], ""),
    ],
)  # fmt: skip
def test_a_job_asks_for_the_ranks_gpus_and_cores(
    tmp_path: Path, device: str, workers: int | None, ranks: int, given: dict[str, object],
    lines: list[str], absent: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    options = LaunchOptions(tmp_path, device, workers, ranks)
    asked = batch_script(tmp_path, options, given, monkeypatch)
    assert set(lines) <= set(asked), asked
    assert not absent or not any(absent in line for line in asked)


@pytest.mark.parametrize("name", ["nodes", "tasks_per_node", "slurm_nodes"])
def test_several_tasks_would_each_run_the_cell(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="one task on one node"):
        slurm.request(LaunchOptions(tmp_path, "auto", None), {name: 2})


def test_the_job_decides_the_device_and_its_workers(sweep: Sweep, tmp_path: Path) -> None:
    words = command(sweep, sweep.cells[0], LaunchOptions(tmp_path, "auto", None, ranks=4))
    assert words[words.index("--device") + 1] == "auto" and "--workers" not in words
    assert "--nproc_per_node=4" in words


@needs_submitit
def test_before_its_time_limit_a_job_goes_back_into_the_queue(
    sweep: Sweep, options: LaunchOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """submitit's local executor warns a job as Slurm does, and runs it again."""
    cell, first = sweep.cells[0], sweep.directory / "first"
    code = f"import os, pathlib, time; p = pathlib.Path({str(first)!r})\n"
    code += "if not p.exists(): p.write_text(f'{os.getppid()} '); time.sleep(600)\n"
    monkeypatch.setattr(slurm, "command", lambda *_: script(code + leaves_results(sweep, cell)))
    jobs = submit(sweep, [cell], options, "local", {})
    wait_until(lambda: first.exists() and first.read_text().endswith(" "))
    os.kill(int(first.read_text()), signal.SIGUSR2)
    display = Events()
    wait_for(sweep, [cell], jobs, display)
    assert display.events[-1] == ("done", cell.id)


@needs_submitit
def test_what_submitit_refuses_is_one_sentence(sweep: Sweep, options: LaunchOptions) -> None:
    with pytest.raises(UserError, match="slurm_partitio"):
        submit(sweep, sweep.cells, options, "local", {"slurm_partitio": "x", "not_one": 1})
    if not any(os.access(Path(p) / "sbatch", os.X_OK) for p in os.environ["PATH"].split(":")):
        with pytest.raises(UserError, match="--executor slurm: submitit refuses"):
            submit(sweep, sweep.cells, options, "slurm", {})
    assert {sweep.status(cell).state for cell in sweep.cells} == {"waiting"}


def test_without_submitit_its_executors_say_what_to_install(
    sweep: Sweep, options: LaunchOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'wsssbench\[slurm\]'"):
        submit(sweep, sweep.cells, options, "slurm", {})


def test_a_stopped_sweep_leaves_the_jobs_of_a_cluster_alone(sweep: Sweep, sender: Sender) -> None:
    going = SimpleNamespace(done=lambda: False)
    sweep.note(sweep.cells[0], Status("running", job="slurm job 7"))
    display = Events()
    sender.send((lambda: display.events, signal.SIGTERM))
    with pytest.raises(SystemExit, match="143"):
        wait_for(sweep, sweep.cells[:1], {"a-seed0": going}, display)
    assert sweep.status(sweep.cells[0]).state == "running"
    assert display.sentences == [
        "stopped waiting; jobs of a cluster go on: --collect shows what is there"
    ]


@needs_submitit
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_is_cancelled_is_stopped(
    sweep: Sweep,
    options: LaunchOptions,
    sender: Sender,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SIGTERM as scancel and a time limit send it; SIGINT as a terminal sends it to a local job."""
    monkeypatch.setattr(slurm, "command", lambda *_: script(answers("exit 1")))
    jobs = submit(sweep, sweep.cells[:1], options, "local", {})

    class Cancels(Events):
        def started(self, cell: SweepCell) -> None:
            sender.send((ready(sweep, "a"), number), to=int(jobs["a-seed0"].job_id))

    wait_for(sweep, sweep.cells[:1], jobs, Cancels())
    name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    status = sweep.status(sweep.cells[0])
    assert (status.state, status.reason) == ("stopped", f"by {name}")


@needs_submitit
def test_ctrl_c_stops_a_job_of_this_process(
    sweep: Sweep, options: LaunchOptions, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "command", lambda *_: script(answers("exit 1")))
    sender.send((ready(sweep, "a"), signal.SIGINT))
    with pytest.raises(SystemExit, match="130"):
        cells = sweep.cells[:1]
        wait_for(sweep, cells, submit(sweep, cells, options, "debug", {}), Events())
    assert sweep.status(sweep.cells[0]).state == "stopped"


@pytest.mark.parametrize(
    ("job_state", "state"),
    [("CANCELLED by 1000", "stopped"), ("TIMEOUT", "stopped"), ("PREEMPTED", "stopped"),
     ("INTERRUPTED", "stopped"), ("OUT_OF_MEMORY", "failed"), ("NODE_FAIL", "failed"), ("FAILED", "failed")],
)  # fmt: skip
def test_a_job_that_ended_without_a_word(sweep: Sweep, job_state: str, state: str) -> None:
    sweep.note(sweep.cells[0], Status("running", job="slurm job 7"))
    paths = SimpleNamespace(stderr="7.err")
    job = SimpleNamespace(done=lambda: True, state=job_state, job_id="7", paths=paths)
    display = Events()
    wait_for(sweep, sweep.cells[:1], {"a-seed0": job}, display)
    assert display.events[-1] == (state, "a-seed0")
    status = sweep.status(sweep.cells[0])
    assert status == Status(state, f"its job 7 ended as {job_state} (log: 7.err)")
