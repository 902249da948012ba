"""``wsssbench sweep`` as a user gives it, on the tiny experiment: one real sweep of two cells, stubs for the rest."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from in_process import Outcome, call, refused
from tiny_experiment import TINY

from wsssbench.experiment.config import config_text
from wsssbench.results.sweep_record import Sweep, SweepCell, read_sweep

GRID = "classifier.schedule.lr=0.01,100"  # the second passes every check, and its training diverges


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "tiny.py"
    # With a rate of 100, this weight decay multiplies the weights by a thousand in each of the six iterations.
    schedule = {**TINY["classifier"]["schedule"], "epochs": 3, "weight_decay": 10}
    path.write_text(
        config_text({**TINY, "classifier": {**TINY["classifier"], "schedule": schedule}})
    )
    return path


def sweep(base: Path, work: Path, *options: object) -> Outcome:
    return call("sweep", base, "--work-dir", work, "--device", "cpu", "--workers", "1", *options)


@pytest.fixture(scope="module")
def finished(base: Path) -> tuple[Path, Outcome]:
    """The one real sweep of this file, a cell that is done and one that fails: its work folder and what was shown.

    Tests that run more cells do so on a `copied` folder.
    """
    work = base.parent / "work"
    outcome = sweep(base, work, "--grid", GRID, "--until", "cam", "--jobs", "2")
    assert outcome.code == 1, outcome
    return work, outcome


@pytest.fixture
def copied(finished: tuple[Path, Outcome], tmp_path: Path) -> Path:
    """A copy of the work folder of `finished`."""
    return shutil.copytree(finished[0], tmp_path / "work")


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Cells that fail at once in place of real ones; the rows of those that were started."""
    started: list[str] = []

    def stub(_sweep: Sweep, cell: SweepCell, _options: object) -> list[str]:
        started.append(cell.row)
        return [sys.executable, "-c", "raise SystemExit('error: only a stub')"]

    monkeypatch.setattr("wsssbench.sweep.launch.command", stub)
    return started


def test_a_dry_run_shows_the_tree_and_leaves_nothing(base: Path, tmp_path: Path) -> None:
    options = ("--until", "cam", "--dry-run", "--seeds", "0,1")
    outcome = sweep(base, tmp_path, "--grid", GRID, *options)
    assert (outcome.code, outcome.err) == (0, "")
    assert "tiny-lr on" in outcome.out and "2 rows, 4 cells" in outcome.out
    assert re.search(r"└─ classify: lr=100 +2 +– +2 +unknown", outcome.out)
    assert not (tmp_path / "cache").exists() and not (tmp_path / "sweeps").exists()


def test_a_failed_cell_is_told_and_the_others_are_done(finished: tuple[Path, Outcome]) -> None:
    work, outcome = finished
    assert "tiny-lr: 2 cells, 0 done, 2 to run" in outcome.out
    assert "lr=0.01, seed 0: done in" in outcome.out
    assert re.search(r"lr=100, seed 0 failed: .*has diverged", outcome.out)
    assert "lr=0.01, seed 0: [1/4] data: " in outcome.out
    record = read_sweep(work / "sweeps" / "tiny-lr")
    states = {cell.row: record.status(cell).state for cell in record.cells}
    assert states == {"lr=0.01": "done", "lr=100": "failed"}
    log = record.log(next(cell for cell in record.cells if cell.row == "lr=100"))
    assert "has diverged" in log.read_text()
    assert re.search(r"^ lr=0\.01 +\d+\.\d", outcome.out, re.MULTILINE), "no row in the table"
    assert re.search(r"^ lr=100 +–", outcome.out, re.MULTILINE), "no row of the failed cell"
    assert "wsssbench compare" in outcome.out and "wsssbench report" in outcome.out


def test_the_same_again_runs_nothing(base: Path, copied: Path, stubs: list[str]) -> None:
    again = sweep(base, copied, "--grid", GRID, "--until", "cam")
    assert again.code == 0 and not stubs
    assert "2 cells, 1 done, 0 to run, 1 failed before (--retry runs them again)" in again.out
    assert "started" not in again.out


def test_retry_runs_what_failed_and_that_alone(base: Path, copied: Path, stubs: list[str]) -> None:
    retried = sweep(base, copied, "--grid", GRID, "--until", "cam", "--retry")
    assert retried.code == 1 and stubs == ["lr=100"]
    assert "2 cells, 1 done, 1 to run" in retried.out
    assert "lr=100, seed 0: started" in retried.out
    assert "lr=100, seed 0 failed: only a stub" in retried.out


def test_collect_shows_what_is_there(base: Path, copied: Path, stubs: list[str]) -> None:
    options = ("--grid", GRID, "--until", "cam", "--seeds", "0,1", "--collect")
    outcome = sweep(base, copied, *options)
    assert outcome.code == 0 and "started" not in outcome.out and not stubs
    assert "lr=0.01" in outcome.out
    compared = call("compare", copied / "sweeps" / "tiny-lr", "--format", "json")
    assert compared.code == 0
    assert {line["line"] for line in json.loads(compared.out)["table"]} == {"lr=0.01", "lr=100"}


def test_another_matrix_reuses_what_is_there(base: Path, copied: Path) -> None:
    """Its two rows differ behind the CAMs of the finished cell; the tree says so, and one row is run in process."""
    grids = ("--grid", "classifier.schedule.lr=0.01", "--grid", "refine.crf.alpha=2.0,8.0")
    tree = sweep(base, copied, *grids, "--until", "crf", "--dry-run")
    for stage in ("data", "classify", "cam"):
        assert re.search(rf" {stage} +(all +)?2 +1 +– ", tree.out), tree.out
    assert len(re.findall(r"refine\.crf +lr=0\.01, +1 +– +1 ", tree.out)) == 2, tree.out
    assert sweep(base, copied, *grids, "--until", "crf", "--collect").code == 0
    record = read_sweep(copied / "sweeps" / "tiny-lr-alpha")
    options = ("--work-dir", copied, "--device", "cpu", "--workers", "1", "--until", "crf")
    ran = call("run", record.config(record.cells[0]), *options)
    assert ran.code == 0, ran
    for stage in ("data", "classify", "cam"):
        assert f"{stage}: reused" in ran.out and f"{stage}: computed" not in ran.out
    assert ran.out.count("refine.crf: computed") == 1
    assert record.status(record.cells[0]).state == "done"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_sweep_says_how_to_go_on(
    base: Path, tmp_path: Path, number: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stub's own answer to being stopped is a success, without results."""
    asks = f"import os, signal, time; signal.signal({int(number)}, signal.SIG_IGN);"
    asks += f"signal.signal(2, lambda *_: os._exit(0)); os.kill({os.getpid()}, {int(number)}); time.sleep(600)"
    monkeypatch.setattr("wsssbench.sweep.launch.command", lambda *_: [sys.executable, "-c", asks])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        outcome = sweep(base, tmp_path, "--grid", GRID, "--until", "cam")
    finally:
        signal.signal(signal.SIGINT, before)
    assert outcome.code == code
    assert outcome.err == "\nstopped; the same command again continues from here\n"
    record = read_sweep(tmp_path / "sweeps" / "tiny-lr")
    assert [record.status(cell).state for cell in record.cells] == ["stopped", "waiting"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], ["has no rows=dict(...)", "--grid pooling=GAP,GPP"]),
        (["--grid", "pooling=GAPP"], ["row 'GAPP'", "unknown pooling 'GAPP'", "did you mean"]),
        (["--grid", "pooling=GAP", "--only", "GAB"], ["unknown row 'GAB'", "did you mean GAP"]),
        (["--grid", "pooling=GAP", "--until", "camm"], ["--until", "did you mean cam"]),
        (["--grid", "pooling=GAP", "--seeds", "0,0"], ["--seeds 0,0", "twice"]),
        (["--grid", "pooling=GAP", "--executor", "slrm"], ["did you mean slurm"]),
        (["--grid", "pooling=GAP", "--slurm", "a=1"], ["goes with --executor"]),
        (["--grid", "pooling=GAP", "--base", "voc"], ["--base is for matrix files"]),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    base: Path, tmp_path: Path, options: list[str], words: list[str]
) -> None:
    sentence = refused("sweep", base, "--work-dir", tmp_path, "--device", "cpu", *options)
    for word in words:
        assert word in sentence
    assert not (tmp_path / "cache").exists() and not (tmp_path / "sweeps").exists()


@pytest.mark.slow
def test_ctrl_c_leaves_everything_resumable(base: Path, tmp_path: Path) -> None:
    words = ["sweep", str(base), "--grid", "pooling=GAP", "--until", "cam", "--work-dir", str(tmp_path),
             "--set", "data.train_images=30", "--workers", "1"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "wsssbench", *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while not list(tmp_path.glob("cache/infer_cams/*/*.npz")):
        assert process.poll() is None, process.stdout.read()  # type: ignore[union-attr]
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 130 and "the same command again continues" in output, output
    assert "Traceback" not in output
    record = read_sweep(tmp_path / "sweeps" / "tiny-pooling")
    assert record.status(record.cells[0]).state == "stopped"
    outcome = call(*words, "--device", "cpu")
    assert outcome.code == 0 and "GAP, seed 0: done" in outcome.out, outcome
    assert "images are done already" in record.log(record.cells[0]).read_text()


@pytest.mark.slow
def test_cells_of_two_ranks_and_jobs_of_submitit(base: Path, tmp_path: Path) -> None:
    options = ("--grid", "pooling=GAP,GPP(bins=(2,))", "--until", "cam",
               "--set", "classifier.schedule.batch_size=2")  # fmt: skip
    two = sweep(base, tmp_path / "two", *options, "--ranks", "2", "--executor", "local")
    assert two.code == 0, two
    one = sweep(base, tmp_path / "one", *options)
    assert one.code == 0, one
    names = [
        sorted(str(p.relative_to(tmp_path / n / "cache")) for p in (tmp_path / n).glob("cache/infer_cams/*/*.npz"))
        for n in ("one", "two")
    ]  # fmt: skip
    assert names[0] == names[1] and len(names[0]) == 12
