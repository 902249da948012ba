"""From a finished plan to what people look at: ladder, pictures, protocol cards, the run's directory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from itertools import takewhile
from pathlib import Path
from typing import Any

from wsssbench.evaluation.confusion_file import FILE as CONFUSION
from wsssbench.evaluation.image_counts import FILE as IMAGE_COUNTS
from wsssbench.experiment.config import config_text
from wsssbench.experiment.plan import Plan, State, Step, state_of
from wsssbench.experiment.provenance import environment
from wsssbench.files.atomic import write_atomically, write_json
from wsssbench.results.artefact_links import FOLDER, artefacts_of, write_links
from wsssbench.results.card import card_of
from wsssbench.results.run import FILE as METRICS
from wsssbench.results.run import (
    Evaluation,
    Point,
    RunResult,
    StageTime,
    TrainingCurve,
    thinned,
    to_json,
)
from wsssbench.results.run_files import CONFIG, RUN, confusion_path, image_counts_path
from wsssbench.stages.evaluate import Evaluate

SCALARS = "scalars.jsonl"  # what a training logs, see wsssbench.training.engine


def collect(plan: Plan, happened: Mapping[str, State]) -> RunResult:
    """Everything that is said about the run of `plan`, but for its pictures."""
    manifests = {step.node.name: step.entry.manifest() or {} for step in plan.steps}
    return RunResult(
        name=plan.config["name"],
        run_id=plan.run_id,
        config_text=config_text(plan.config),
        evaluations=[
            # What two chains have in common is one rung.
            _evaluation(plan, s, manifests)
            for s in plan.steps
            if is_evaluation(s) and not s.same_as
        ],
        times=[
            StageTime(
                name,
                float(manifest.get("seconds", 0.0)),
                float(manifest.get("peak_mib", 0.0)),
                happened.get(name) == "reused",
            )
            for name, manifest in manifests.items()
        ],
        gallery=[],
        environment=environment(),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        reference=dict(plan.config["reference"]),
        class_names=list(plan.dataset.classes),
        training=[curve for step in plan.steps for curve in _training(step)],
        figures={
            step.node.name: found
            for step in plan.steps
            if not is_evaluation(step) and (found := _figures(manifests[step.node.name]))
        },
        trial=plan.trial.mark if plan.trial else "",
        artefacts=artefacts_of(plan),
    )


def finished_part(plan: Plan) -> Plan:
    """Return `plan` up to the first stage that is not there, e.g. because it has broken off."""

    def there(step: Step) -> bool:
        return state_of(step.entry, plan.contents(step.node))[0] == "reused"

    return replace(plan, steps=tuple(takewhile(there, plan.steps)))


def is_evaluation(step: Step) -> bool:
    """Does this step score what it reads?"""
    return isinstance(step.node.kind, Evaluate)


def write_run(result: RunResult, plan: Plan, directory: Path) -> None:
    """config.py, metrics.json, run.json (hashes, seeds, times, environment); per rung image counts and confusion."""
    directory.mkdir(parents=True, exist_ok=True)
    for step in filter(is_evaluation, plan.steps):
        given = step.node.inputs["given"]
        for name, target in (
            (IMAGE_COUNTS, image_counts_path(directory, given)),
            (CONFUSION, confusion_path(directory, given)),
        ):
            target.parent.mkdir(exist_ok=True)
            write_atomically(target, (step.entry.directory / name).read_bytes())
    write_atomically(directory / CONFIG, result.config_text.encode())
    write_atomically(directory / METRICS, to_json(result).encode())
    stages = {
        step.node.name: {
            "hash": step.entry.key.hash,
            "directory": str(step.entry.directory),
            "title": step.node.heading,
            "kind": step.node.kind.name,
            "artefact": f"{FOLDER}/{step.node.name}"
            if step.node.name in result.artefacts
            else None,
            **{k: v for k, v in vars(time).items() if k != "node"},
            "result": (step.entry.manifest() or {}).get("result", {}),
        }
        for step, time in zip(plan.steps, result.times, strict=True)
    }
    content = {
        "name": result.name,
        "run_id": result.run_id,
        "created": result.created,
        "seed": plan.config["seed"],
        "smoke": bool(plan.trial and plan.trial.smoke),
        "limit": plan.trial.images if plan.trial else None,
        "environment": result.environment,
        "stages": stages,
    }
    write_json(directory / RUN, content)
    write_links(plan, directory)


def _training(step: Step) -> Iterator[TrainingCurve]:
    """What a training logged, each value's course thinned to at most 200 points."""
    path = step.entry.directory / SCALARS
    if not path.is_file():
        return
    series: dict[str, list[tuple[float, float]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        logged = json.loads(line)
        for name, value in logged.items():
            if name != "iteration":
                series.setdefault(name, []).append((logged["iteration"], value))
    for name, points in series.items():
        yield TrainingCurve(step.node.name, name, thinned(points, 200))


def _figures(manifest: Mapping[str, Any]) -> dict[str, float]:
    """The numbers that a stage found out about what it made."""
    result = manifest.get("result", {})
    return {name: value for name, value in result.items() if isinstance(value, float)}


def _after(plan: Plan, node: str) -> str:
    """The scored node that `node` was made from, the nearest one; empty if there is none."""
    scored = {step.node.inputs["given"] for step in plan.steps if is_evaluation(step)}
    above = list(plan[node].node.inputs.values())
    for name in above:  # grows while it is read: the nearest come first
        if name in scored:
            return name
        above += plan[name].node.inputs.values()
    return ""


def _evaluation(plan: Plan, step: Step, manifests: Mapping[str, Mapping[str, Any]]) -> Evaluation:
    scores = manifests[step.node.name]["result"]
    chosen, oracle = scores["chosen"], scores["oracle"]
    classes = ["background", *plan.dataset.classes]
    return Evaluation(
        name=step.node.heading,
        node=step.node.inputs["given"],
        split=step.node.config["split"],
        chosen=_point(chosen),
        oracle=_point(oracle) if oracle else None,
        iou={name: chosen["iou"].get(name) for name in classes},
        curve=[_point(point) for point in chosen["curve"]],
        card=card_of(plan, step, chosen),
        after=_after(plan, step.node.inputs["given"]),
        chain=step.node.chain_title,
        boundary=_point(boundary) if (boundary := scores.get("boundary")) else None,
        precision={name: chosen["class_precision"].get(name) for name in classes},
        recall={name: chosen["class_recall"].get(name) for name in classes},
    )


def _point(scores: Mapping[str, Any]) -> Point:
    return Point(*(scores[key] for key in ("miou", "precision", "recall", "threshold")))
