"""The three synthetic experiments end to end, every stage real, on a handful of images."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import call
from PIL import Image
from warm_processes import WarmProcess

import wsssbench

REPOSITORY = Path(__file__).parents[1]
RUNGS = ["CAM", "+ CRF", "+ random walk", "+ random walk + CRF", "pseudo-label", "DeepLab val"]
Command = Callable[..., subprocess.CompletedProcess[str]]


def run_directory(work_dir: Path) -> Path:
    (found,) = (work_dir / "runs").glob("*/*")
    return found


class Runs:
    """Whole runs in one work directory, each made when a test first asks for it: they share their data."""

    def __init__(self, work_dir: Path) -> None:
        self.work_dir = work_dir
        self._outputs: dict[str, str] = {}

    def arguments(self, name: str) -> tuple[object, ...]:
        return ("run", f"configs/{name}.py", "--smoke", "--work-dir", self.work_dir)

    def warm(self, *arguments: object) -> str:
        """What the command prints that starts without the imports."""
        output = self.work_dir / f"{uuid.uuid4()}.txt"
        process = WarmProcess("wsssbench", *arguments, output=output)
        assert process.wait() == 0, process.output
        return process.output

    def output(self, name: str, command: Command) -> str:
        """What the run printed; it is made as a user makes it."""
        if name not in self._outputs:
            done = command(*self.arguments(name))
            self._outputs[name] = done.stdout + done.stderr
        return self._outputs[name]

    def directory(self, name: str) -> Path:
        (directory,) = (self.work_dir / "runs" / f"{name}-smoke").iterdir()
        return directory

    def stages(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory(name) / "run.json").read_text())
        return found["stages"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("smoke"))


@pytest.fixture(
    params=[
        "aeft_synthetic",
        pytest.param("gap_synthetic", marks=pytest.mark.slow),
        pytest.param("rigid_synthetic", marks=pytest.mark.slow),
    ]
)
def whole(request: pytest.FixtureRequest, runs: Runs, command: Command) -> str:
    """The name of an experiment that has been run to its end."""
    runs.output(request.param, command)
    return str(request.param)


def test_smoke(whole: str, runs: Runs, command: Command) -> None:
    output, directory = runs.output(whole, command), runs.directory(whole)
    for rung in RUNGS:
        assert re.search(rf"^ {re.escape(rung)} ", output, re.MULTILINE), output
    for noise in ("Warning", "OneDL", "mmengine -", "Traceback"):
        assert noise not in output
    report = (directory / "report.html").read_text()
    assert "data:image/" in report and "http://" not in report.replace("http://www.w3.org", "")
    stages = runs.stages(whole)
    ours = stages["evaluate.predict"]["result"]["chosen"]
    assert ours["miou"] >= 0 and stages["predict"]["result"]["mmseg aAcc"] >= 0
    cards = {rung["name"]: rung["card"] for rung in _metrics(directory)["rungs"]}
    for rung in ("CAM", "DeepLab val"):
        assert cards[rung]["initial weights"] == "ImageNet"
    assert (cards["CAM"]["threshold_choice"], cards["CAM"]["labels_at_inference"]) == (
        "fixed",
        True,
    )


def test_predictions_are_arrays_in_python(whole: str, runs: Runs, command: Command) -> None:
    runs.output(whole, command)
    run = wsssbench.open_run(runs.directory(whole))
    cached = Path(runs.stages(whole)["predict"]["directory"])
    for id in run.ids("val"):
        (file,) = cached.rglob(f"{id}.png")
        np.testing.assert_array_equal(run.prediction(id), np.asarray(Image.open(file)))


def _metrics(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "metrics.json").read_text())
    return found


def test_the_same_command_again_reuses_everything(whole: str, runs: Runs) -> None:
    again = runs.warm(*runs.arguments(whole))
    assert ": computed" not in again and again.count(": reused") == len(runs.stages(whole))


def test_the_resolved_config_is_a_config_of_the_same_run(whole: str, runs: Runs) -> None:
    config = runs.directory(whole) / "config.py"
    assert "computed" not in runs.warm("run", config, "--work-dir", runs.work_dir, "--dry-run")


@pytest.mark.parametrize("name", ["gap_synthetic", "rigid_synthetic"])
def test_the_other_classifiers_are_planned(name: str, tmp_path: Path) -> None:
    """A plan rehearses them, a training step and CAMs; the slow tests run the whole."""
    outcome = call(*Runs(tmp_path).arguments(name), "--until", "cam", "--dry-run")
    assert (outcome.code, outcome.err) == (0, ""), outcome
    assert re.search(r"^ ?cam .*computed", outcome.out, re.MULTILINE), outcome.out


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
