"""With MLflow itself and a store in a file: two runs of one experiment, each logged once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wsssbench_mlflow import after_stage

mlflow = pytest.importorskip("mlflow")
pytest.importorskip("sqlalchemy")

RESULT = {"images": 4, "seconds": 1.5, "peak_mib": 80.0, "reused": False}
SCORES = {"miou": 41.5, "precision": 52.0, "recall": 70.0, "threshold": 0.4, "iou": {"cat": 1.0}}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return mlflow.MlflowClient()


def call(directory: Path, seed: int, **result: Any) -> None:
    """What a run does: a training, then an evaluation."""
    trained, scored = directory / "c0ffee", directory / "5c0fed"
    for path in (trained, scored):
        path.mkdir(exist_ok=True)
    lines = [{"iteration": i, "lr": 0.1, "loss": 1 / i, "classification": 1 / i} for i in (1, 2, 3)]
    (trained / "scalars.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    run = {"name": "gap", "run_id": f"abc-seed{seed}", "seed": seed, "directory": str(directory)}
    config = {"classifier": {"pooling": {"type": "GAP"}, "erasing": []}, "seed": seed}
    after_stage("classify", config, str(trained), {**RESULT, **result}, run)
    scores = {**RESULT, "chosen": SCORES, "oracle": None, **result}
    after_stage("evaluate.cam", {"split": "train"}, str(scored), scores, run)


def test_each_run_is_one_run_and_a_repetition_adds_nothing(tmp_path: Path, client: Any) -> None:
    call(tmp_path, seed=0)
    call(tmp_path, seed=1)
    call(tmp_path, seed=0, reused=True)
    experiment = client.get_experiment_by_name("wsssbench")
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["gap, seed 0", "gap, seed 1"]
    for run in runs:
        assert run.data.metrics["evaluate.cam/miou"] == 41.5
        assert run.data.metrics["classify/peak_mib"] == 80.0
        assert run.data.params["classify.classifier.pooling.type"] == "GAP"
        assert run.info.status == "FINISHED"
        history = client.get_metric_history(run.info.run_id, "classify/loss")
        assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
        assert len(client.get_metric_history(run.info.run_id, "evaluate.cam/miou")) == 1


def test_a_stage_that_was_computed_anew_is_logged_anew(tmp_path: Path, client: Any) -> None:
    call(tmp_path, seed=0)
    call(tmp_path, seed=0, seconds=2.5)
    experiment = client.get_experiment_by_name("wsssbench")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.metrics["classify/seconds"] == 2.5
