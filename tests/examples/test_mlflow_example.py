"""``examples/wsssbench-mlflow`` with a small stand-in for MLflow, which records what it is told.

The example's own tests use MLflow itself, where it is installed.
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "wsssbench-mlflow"
SCORES = {"miou": 41.5, "precision": 52.0, "recall": 70.0, "threshold": 0.4, "curve": []}
AfterStage = Callable[..., None]


class FakeError(Exception):
    """Stands for ``MlflowException``."""


@dataclass
class FakeRun:
    """One MLflow run: what has been logged, in order."""

    id: str
    name: str
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    points: list[tuple[str, int, float]] = field(default_factory=list)
    status: str = "RUNNING"

    @property
    def info(self) -> Any:
        return types.SimpleNamespace(run_id=self.id, run_name=self.name)

    @property
    def data(self) -> Any:
        return types.SimpleNamespace(tags=dict(self.tags), params=dict(self.params))


@dataclass
class FakeStore:
    """A tracking store: experiments and runs; `lose_race`: another process creates the experiment first."""

    experiments: dict[str, list[FakeRun]] = field(default_factory=dict)
    lose_race: bool = False

    @property
    def runs(self) -> list[FakeRun]:
        return [run for runs in self.experiments.values() for run in runs]


class FakeClient:
    """The part of ``MlflowClient`` that the example uses."""

    store = FakeStore()

    def get_experiment_by_name(self, name: str) -> Any:
        known = name in self.store.experiments
        return types.SimpleNamespace(experiment_id=name) if known else None

    def create_experiment(self, name: str) -> str:
        self.store.experiments[name] = []
        if self.store.lose_race:
            raise FakeError("exists")
        return name

    def search_runs(self, experiments: list[str], wanted: str, max_results: int) -> list[FakeRun]:
        runs = self.store.experiments[experiments[0]]
        return [
            run
            for run in runs
            if all(f"tags.`{key}` = '{run.tags[key]}'" in wanted
                   for key in ("wsssbench.name", "wsssbench.run_id"))
        ][:max_results]  # fmt: skip

    def create_run(self, experiment: str, tags: dict[str, str], run_name: str) -> FakeRun:
        made = FakeRun(f"id{len(self.store.runs)}", run_name, dict(tags))
        self.store.experiments[experiment].append(made)
        return made

    def log_param(self, id: str, key: str, value: Any) -> None:
        self._run(id).params[key] = str(value)

    def log_batch(self, id: str, metrics: Any = (), params: Any = (), tags: Any = ()) -> None:
        assert len(metrics) <= 1000 and len(params) <= 100  # MLflow's limits
        run = self._run(id)
        run.points += [(metric.key, metric.step, metric.value) for metric in metrics]
        for param in params:
            assert run.params.setdefault(param.key, param.value) == param.value
        run.tags.update({tag.key: tag.value for tag in tags})

    def set_terminated(self, id: str) -> None:
        self._run(id).status = "FINISHED"

    def _run(self, id: str) -> FakeRun:
        return next(run for run in self.store.runs if run.id == id)


@dataclass
class Metric:
    key: str
    value: float
    timestamp: int
    step: int


@dataclass
class Pair:
    key: str
    value: str


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    """An empty store behind a fake ``mlflow``."""
    monkeypatch.setattr(FakeClient, "store", FakeStore())
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    entities = types.SimpleNamespace(Metric=Metric, Param=Pair, RunTag=Pair, Run=FakeRun)
    exceptions = types.SimpleNamespace(MlflowException=FakeError)
    fake = types.SimpleNamespace(MlflowClient=FakeClient, entities=entities, exceptions=exceptions)
    for name, module in (("mlflow", fake), ("mlflow.entities", entities),
                         ("mlflow.exceptions", exceptions)):  # fmt: skip
        monkeypatch.setitem(sys.modules, name, module)
    return FakeClient.store


@pytest.fixture
def after_stage(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> AfterStage:
    """The example's hook, imported with the fake ``mlflow``."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    for name in ("wsssbench_mlflow", "wsssbench_mlflow.tracking", "wsssbench_mlflow.facts"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import wsssbench_mlflow

    found: AfterStage = wsssbench_mlflow.after_stage
    return found


@pytest.fixture
def stages(tmp_path: Path, after_stage: AfterStage) -> Callable[..., None]:
    """A run of a training and an evaluation, as `pipeline` tells of them."""
    trained, scored = tmp_path / "c0ffee", tmp_path / "5c0fed"
    for path in (trained, scored):
        path.mkdir()
    lines = [{"iteration": i + 1, "lr": 0.1, "loss": 1.0, "cls": 0.5} for i in range(700)]
    (trained / "scalars.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def tell(seed: int = 0, name: str = "aeft", **changed: Any) -> None:
        run = {"name": name, "run_id": f"abc-seed{seed}", "seed": seed, "title": "",
               "directory": str(tmp_path / "runs")}  # fmt: skip
        facts = {"seconds": 1.5, "peak_mib": 80.0, "reused": False, **changed}
        config = {"classifier": {"erasing": [{"type": "AEFT", "margin": 0.5}], "hidden": 0}}
        after_stage("classify", config, str(trained), {"images": 16, **facts}, run)
        scores = {"chosen": SCORES, "oracle": {**SCORES, "miou": 43.0}, **facts}
        after_stage("evaluate.cam", {"split": "train"}, str(scored), scores, run)

    return tell


def numbers(run: FakeRun, key: str) -> list[tuple[int, float]]:
    return [(step, value) for name, step, value in run.points if name == key]


def test_scores_curves_and_parameters_arrive(stages: Callable[..., None], store: FakeStore) -> None:
    stages()
    (run,) = store.experiments["wsssbench"]
    assert run.name == "aeft, seed 0" and run.status == "FINISHED"
    assert numbers(run, "evaluate.cam/miou") == [(0, 41.5)]
    assert numbers(run, "evaluate.cam/oracle_miou") == [(0, 43.0)]
    assert numbers(run, "classify/loss") == [(i + 1, 1.0) for i in range(700)]
    assert numbers(run, "classify/images") == [(0, 16.0)]
    assert not [key for key, _, _ in run.points if "reused" in key or "curve" in key]
    assert run.params["classify.classifier.erasing.0.type"] == "AEFT"
    assert run.params["evaluate.cam.split"] == "train" and run.params["seed"] == "0"


def test_the_same_command_again_goes_on_with_the_same_run(
    stages: Callable[..., None], store: FakeStore
) -> None:
    stages()
    points = list(store.runs[0].points)
    stages(reused=True)
    assert len(store.runs) == 1 and store.runs[0].points == points


def test_other_seeds_and_experiments_are_other_runs(
    stages: Callable[..., None], store: FakeStore
) -> None:
    stages()
    stages(seed=1, reused=True)
    stages(name="gap", reused=True)
    assert [run.name for run in store.runs] == ["aeft, seed 0", "aeft, seed 1", "gap, seed 0"]
    assert all(numbers(run, "evaluate.cam/miou") == [(0, 41.5)] for run in store.runs)


def test_a_stage_that_was_forced_is_logged_anew(
    stages: Callable[..., None], store: FakeStore
) -> None:
    stages()
    stages(seconds=2.5)
    assert numbers(store.runs[0], "classify/seconds") == [(0, 1.5), (0, 2.5)]


def test_the_experiment_may_have_a_name_and_be_made_by_another_process(
    stages: Callable[..., None], store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    store.lose_race = True
    stages()
    assert list(store.experiments) == ["mine"] and len(store.runs) == 1


def test_it_is_a_plugin_that_needs_mlflow_only_when_a_stage_has_finished() -> None:
    """``plugins list`` must not wait for MLflow."""
    from importlib.metadata import EntryPoint

    from wsssbench.plugins import load_entry_points

    sys.path.insert(0, str(EXAMPLE))
    try:
        loaded = load_entry_points((EntryPoint("mlflow", "wsssbench_mlflow", "wsssbench"),))
    finally:
        sys.path.remove(str(EXAMPLE))
    assert [plugin.problem for plugin in loaded.plugins] == [""]
    assert loaded.hooks.after_stage.get_hookimpls()
