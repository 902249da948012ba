"""The three synthetic experiments end to end, every stage real, on a handful of images."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
RUNGS = ["CAM", "+ CRF", "+ random walk", "+ random walk + CRF", "pseudo-label", "DeepLab val"]
Command = Callable[..., subprocess.CompletedProcess[str]]


def run_directory(work_dir: Path) -> Path:
    (found,) = (work_dir / "runs").glob("*/*")
    return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One work directory: the experiments share their data."""
    return tmp_path_factory.mktemp("smoke")


@pytest.mark.parametrize("name", ["gap_synthetic", "rigid_synthetic", "aeft_synthetic"])
def test_smoke(name: str, command: Command, shared: Path) -> None:
    arguments = ("run", f"configs/{name}.py", "--smoke", "--work-dir", shared)
    done = command(*arguments)
    for rung in RUNGS:
        assert re.search(rf"^ {re.escape(rung)} ", done.stdout, re.MULTILINE), done.stdout
    for noise in ("Warning", "OneDL", "mmengine -", "Traceback"):
        assert noise not in done.stdout + done.stderr
    (directory,) = (shared / "runs" / name).iterdir()
    report = (directory / "report.html").read_text()
    assert "data:image/" in report and "http://" not in report.replace("http://www.w3.org", "")
    stages = json.loads((directory / "run.json").read_text())["stages"]
    ours = stages["evaluate.predict"]["result"]["chosen"]
    assert ours["miou"] >= 0 and stages["predict"]["result"]["mmseg aAcc"] >= 0
    cards = {rung["name"]: rung["card"] for rung in _metrics(directory)["rungs"]}
    for rung in ("CAM", "DeepLab val"):
        assert cards[rung]["initial weights"] == "ImageNet"
    assert (cards["CAM"]["threshold_choice"], cards["CAM"]["labels_at_inference"]) == (
        "fixed",
        True,
    )

    again = command(*arguments)
    assert ": computed" not in again.stdout and again.stdout.count(": reused") == len(stages)


def _metrics(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "metrics.json").read_text())
    return found


def test_the_resolved_config_is_a_config_of_the_same_run(command: Command, shared: Path) -> None:
    (directory,) = (shared / "runs" / "gap_synthetic").iterdir()
    done = command("run", directory / "config.py", "--work-dir", shared, "--dry-run")
    assert "computed" not in done.stdout


@pytest.mark.slow
def test_several_processes_under_torchrun(tmp_path: Path, command: Command) -> None:
    arguments = ["configs/gap_synthetic.py", "--smoke", "--workers", "1"]
    launcher = ["torch.distributed.run", "--nproc_per_node=2", "-m", "wsssbench", "run"]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, *arguments, "--work-dir", str(tmp_path / "two")],
        capture_output=True, text=True, cwd=REPOSITORY, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("report:") == 1
    command("run", *arguments, "--work-dir", tmp_path / "one")
    two, one = (run_directory(tmp_path / name) for name in ("two", "one"))
    assert two.name == one.name  # how it runs is in no hash
    for stage in ("infer_cams", "refine", "label", "predict"):
        names = [
            sorted(
                str(p.relative_to(tmp_path / n))
                for p in (tmp_path / n / "cache" / stage).rglob("*.*")
            )
            for n in ("two", "one")
        ]
        assert [n for n in names[0] if "rank" not in n] == names[1]
