"""``wsssbench sweep`` as a user gives it, on the tiny experiment: real cells in processes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from in_process import call, refused
from tiny_experiment import TINY

from wsssbench.experiment.config import config_text
from wsssbench.results.sweep_record import read_sweep

GRID = "classifier.schedule.lr=0.01,1e30"  # the second passes every check, and its loss overflows


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "tiny.py"
    path.write_text(config_text(TINY))
    return path


@pytest.fixture(scope="module")
def work(base: Path) -> Path:
    return base.parent / "work"


def sweep(base: Path, work: Path, *options: object) -> Any:
    how = ("--device", "cpu", "--workers", "1")
    return call("sweep", base, "--work-dir", work, *how, *options)


def test_a_dry_run_shows_the_tree_and_leaves_nothing(base: Path, work: Path) -> None:
    outcome = sweep(base, work, "--grid", GRID, "--until", "cam", "--dry-run", "--seeds", "0,1")
    assert (outcome.code, outcome.err) == (0, "")
    assert "tiny-lr on" in outcome.out and "2 rows, 4 cells" in outcome.out
    assert re.search(r"└─ classify +lr=1e30 +2 +– +2 +unknown", outcome.out)
    assert not (work / "cache").exists() and not (work / "sweeps").exists()


def test_a_failed_cell_is_told_and_the_others_are_done(base: Path, work: Path) -> None:
    outcome = sweep(base, work, "--grid", GRID, "--until", "cam", "--jobs", "2")
    assert outcome.code == 1, outcome
    assert "tiny-lr: 2 cells, 0 done, 2 to run" in outcome.out
    assert "lr=0.01, seed 0: done in" in outcome.out
    assert re.search(r"lr=1e30, seed 0 failed: .*the loss became (nan|inf)", outcome.out)
    assert "lr=0.01, seed 0: [1/4] data: " in outcome.out
    found = read_sweep(work / "sweeps" / "tiny-lr")
    states = {cell.row: found.status(cell) for cell in found.cells}
    assert states["lr=0.01"].state == "done" and states["lr=1e30"].state == "failed"
    log = found.log(next(cell for cell in found.cells if cell.row == "lr=1e30"))
    assert "the loss became" in log.read_text()
    assert re.search(r"^ lr=0\.01 +\d+\.\d", outcome.out, re.MULTILINE), "no row in the table"
    assert re.search(r"^ lr=1e30 +–", outcome.out, re.MULTILINE), "no row of the failed cell"
    assert "wsssbench compare" in outcome.out and "wsssbench report" in outcome.out


def test_the_same_again_runs_nothing_and_retry_runs_the_failed(base: Path, work: Path) -> None:
    again = sweep(base, work, "--grid", GRID, "--until", "cam")
    assert again.code == 0
    assert "2 cells, 1 done, 0 to run, 1 failed before (--retry runs them again)" in again.out
    assert "started" not in again.out
    retried = sweep(base, work, "--grid", GRID, "--until", "cam", "--retry")
    assert retried.code == 1 and "2 cells, 1 done, 1 to run" in retried.out
    assert (
        "lr=1e30, seed 0: started" in retried.out and "lr=0.01, seed 0: started" not in retried.out
    )


def test_collect_shows_what_is_there(base: Path, work: Path) -> None:
    options = ("--grid", GRID, "--until", "cam", "--seeds", "0,1", "--collect")
    outcome = sweep(base, work, *options)
    assert outcome.code == 0 and "started" not in outcome.out
    assert "lr=0.01" in outcome.out
    compared = call("compare", work / "sweeps" / "tiny-lr", "--format", "json")
    assert compared.code == 0
    assert {line["line"] for line in json.loads(compared.out)["table"]} == {"lr=0.01", "lr=1e30"}


def test_another_matrix_reuses_what_is_there(base: Path, work: Path) -> None:
    options = ("--grid", "classifier.schedule.lr=0.01", "--grid", "refine.crf.alpha=2.0,8.0")
    outcome = sweep(base, work, *options, "--until", "crf")
    assert outcome.code == 0, outcome
    for stage in ("data", "classify", "cam"):
        assert f"{stage}: reused" in outcome.out and f"{stage}: computed" not in outcome.out
    assert outcome.out.count("refine.crf: computed") == 2


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
        (["--grid", "pooling=GAP", "--smoke"], ["no smoke=dict(...)"]),
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
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command again continues" in output, output
    assert "Traceback" not in output
    found = read_sweep(tmp_path / "sweeps" / "tiny-pooling")
    assert found.status(found.cells[0]).state == "stopped"
    outcome = call(*words, "--device", "cpu")
    assert outcome.code == 0 and "GAP, seed 0: done" in outcome.out, outcome
    assert "images are done already" in found.log(found.cells[0]).read_text()


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
