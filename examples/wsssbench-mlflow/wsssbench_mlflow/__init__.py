"""Results of wsssbench in MLflow, by the hook `after_stage`: one MLflow run for each run.

Where they go is MLflow's matter: ``MLFLOW_TRACKING_URI``, ``MLFLOW_EXPERIMENT_NAME``.
"""

from __future__ import annotations

from typing import Any

from wsssbench.hookspecs import hookimpl


@hookimpl
def after_stage(
    node: str, config: dict[str, Any], directory: str, result: dict[str, Any], run: dict[str, Any]
) -> None:
    from wsssbench_mlflow.tracking import log_stage  # MLflow takes a second to import

    log_stage(node, config, directory, result, run)
