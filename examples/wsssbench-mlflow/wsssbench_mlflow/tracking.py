"""One MLflow run for each run of wsssbench: found by its tags, continued, and told about each stage once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from wsssbench_mlflow import facts

EXPERIMENT = "wsssbench"  # unless MLFLOW_EXPERIMENT_NAME says otherwise
_BATCH = 500  # MLflow takes at most 1000 metrics and 100 parameters in one call
_FEW = 100


def log_stage(
    node: str,
    config: Mapping[str, Any],
    directory: str,
    result: Mapping[str, Any],
    run: Mapping[str, Any],
) -> None:
    """Log a stage that has finished, unless this very result was logged already.

    Arguments as the hook `after_stage` has them. Times of metrics are those of the stage's files, so
    that a call that is repeated after it was killed repeats the same points.
    """
    client = MlflowClient()
    known_run = _run(client, run)
    logged = _identity(directory, result)
    if known_run.data.tags.get(f"wsssbench.{node}") == logged:
        return
    id, time = known_run.info.run_id, _milliseconds(Path(directory))
    curves = facts.curves(node, Path(directory))
    _metrics(client, id, [Metric(name, value, time, step) for step, name, value in curves])
    known = known_run.data.params  # MLflow refuses to change one
    new = {k: v for k, v in facts.parameters(node, config).items() if k not in known}
    _parameters(client, id, [Param(name, value) for name, value in new.items()])
    _metrics(client, id, [Metric(k, v, time, 0) for k, v in facts.numbers(node, result).items()])
    client.log_batch(id, tags=[RunTag(f"wsssbench.{node}", logged)])
    client.set_terminated(id)  # nobody says which stage is the last; the next one may still log


def _run(client: MlflowClient, run: Mapping[str, Any]) -> Run:
    """The MLflow run with the tags of `run`, created if there is none."""
    experiment = _experiment(client)
    tags = {f"wsssbench.{key}": str(run[key]) for key in ("name", "run_id")}
    wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    runs = client.search_runs([experiment], wanted, max_results=1)
    if runs:
        return runs[0]
    tags["wsssbench.directory"] = str(Path(run["directory"]).absolute())
    created = client.create_run(
        experiment, tags=tags, run_name=f"{run['name']}, seed {run['seed']}"
    )
    client.log_param(created.info.run_id, "seed", run["seed"])
    return created


def _experiment(client: MlflowClient) -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
    for _ in range(2):
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        try:
            return str(client.create_experiment(name))
        except MlflowException:  # another process of a sweep was faster
            continue
    raise MlflowException(f"experiment '{name}' can be neither found nor created; was it deleted?")


def _identity(directory: str, result: Mapping[str, Any]) -> str:
    """Names one computation of a stage: its content hash, and how long it took."""
    return f"{Path(directory).name} in {result.get('seconds') or 0:.3f} s"


def _milliseconds(directory: Path) -> int:
    path = directory / facts.CURVES
    return int((path if path.exists() else directory).stat().st_mtime * 1000)


def _metrics(client: MlflowClient, id: str, metrics: Sequence[Metric]) -> None:
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(id, metrics=metrics[start : start + _BATCH])


def _parameters(client: MlflowClient, id: str, parameters: Sequence[Param]) -> None:
    for start in range(0, len(parameters), _FEW):
        client.log_batch(id, params=parameters[start : start + _FEW])
