"""The ``after_stage`` hook that carries results to TensorBoard, read back with TensorBoard's own reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from wsssbench.builtin.tensorboard import after_stage
from wsssbench.plugins import load

POINT = {"miou": 41.5, "precision": 52.0, "recall": 70.25, "threshold": 0.4}
RESULT = {
    "chosen": {**POINT, "curve": [{**POINT, "threshold": t} for t in (0.0, 0.125)]},
    "oracle": {**POINT, "miou": 42.5},
    "seconds": 3.5,
    "peak_mib": 100.0,
}


def run_of(tmp_path: Path, title: str = "") -> dict[str, Any]:
    return {
        "name": "x",
        "run_id": "y",
        "seed": 0,
        "directory": str(tmp_path / "run"),
        "title": title,
    }


def scalars(tmp_path: Path) -> dict[str, list[tuple[int, float]]]:
    reader = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    reader.Reload()
    return {
        tag: [(event.step, event.value) for event in reader.Scalars(tag)]
        for tag in reader.Tags()["scalars"]
    }


def test_an_evaluation_becomes_scores_and_a_curve(tmp_path: Path) -> None:
    after_stage("evaluate.cam", str(tmp_path), {**RESULT, "reused": False}, run_of(tmp_path, "CAM"))
    found = scalars(tmp_path)
    assert found["mIoU/CAM"] == [(0, 41.5)] and found["mIoU/CAM (oracle)"] == [(0, 42.5)]
    assert found["threshold curve/CAM recall"] == [(0, 70.25), (125, 70.25)]
    assert found["time (s)/evaluate.cam"] == [(0, 3.5)]


def test_a_training_becomes_curves(tmp_path: Path) -> None:
    lines = [{"iteration": i, "lr": 0.5, "loss": 1.0 / i} for i in (1, 2)]
    (tmp_path / "scalars.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    after_stage("classify", str(tmp_path), {"reused": False}, run_of(tmp_path))
    assert scalars(tmp_path) == {"classify/lr": [(1, 0.5), (2, 0.5)],
                                 "classify/loss": [(1, 1.0), (2, 0.5)]}  # fmt: skip


@pytest.mark.parametrize("reused", [True, False])
def test_the_same_again_doubles_nothing(tmp_path: Path, reused: bool) -> None:
    run = run_of(tmp_path, "CAM")
    after_stage("evaluate.cam", str(tmp_path), {**RESULT, "reused": False}, run)
    after_stage("evaluate.cam", str(tmp_path), {**RESULT, "reused": reused}, run)
    assert scalars(tmp_path)["mIoU/CAM"] == [(0, 41.5)]


def test_a_reused_stage_is_written_for_a_new_run(tmp_path: Path) -> None:
    after_stage("evaluate.cam", str(tmp_path), {**RESULT, "reused": True}, run_of(tmp_path, "CAM"))
    assert scalars(tmp_path)["mIoU/CAM"] == [(0, 41.5)]


def test_it_is_a_plugin_of_its_own() -> None:
    assert "tensorboard" in [plugin.name for plugin in load().plugins if not plugin.problem]
