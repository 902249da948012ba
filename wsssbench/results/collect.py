"""From a finished plan to what people look at: ladder, pictures, protocol cards, the run's directory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from wsssbench.evaluation.image_counts import FILE as IMAGE_COUNTS
from wsssbench.experiment.cache import write_json
from wsssbench.experiment.config import config_text
from wsssbench.experiment.fingerprint import weight_files
from wsssbench.experiment.plan import Plan, State, Step
from wsssbench.experiment.provenance import environment
from wsssbench.files.atomic import write_atomically
from wsssbench.pages.gallery import OF_RUN, RunFiles, run_gallery
from wsssbench.results.run import (
    CardValue,
    Point,
    Rung,
    RunResult,
    StageTime,
    TrainingCurve,
    thinned,
    to_json,
)
from wsssbench.results.run_files import RUN, image_counts_path

SCALARS = "scalars.jsonl"  # what a training logs, see wsssbench.training.engine


def collect(plan: Plan, happened: Mapping[str, State]) -> RunResult:
    """Everything a report says about the run of `plan`."""
    manifests = {step.node.name: step.entry.manifest() or {} for step in plan.steps}
    return RunResult(
        name=plan.config["name"],
        run_id=plan.run_id,
        config_text=config_text(plan.config),
        rungs=[_rung(plan, s, manifests) for s in plan.steps if s.node.stage == "evaluate"],
        times=[
            StageTime(
                name,
                float(manifest.get("seconds", 0.0)),
                float(manifest.get("peak_mib", 0.0)),
                happened.get(name) == "reused",
            )
            for name, manifest in manifests.items()
        ],
        gallery=run_gallery(RunFiles.of_plan(plan), OF_RUN),
        environment=environment(),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        reference=dict(plan.config["reference"]),
        class_names=list(plan.dataset.classes),
        training=[curve for step in plan.steps for curve in _training(step)],
    )


def write_run(result: RunResult, plan: Plan, directory: Path) -> None:
    """config.py, metrics.json, run.json (hashes, seeds, times, environment) and the counts per image of a run."""
    directory.mkdir(parents=True, exist_ok=True)
    for step in plan.steps:
        if step.node.stage == "evaluate":
            target = image_counts_path(directory, step.node.inputs["given"])
            target.parent.mkdir(exist_ok=True)
            write_atomically(target, (step.entry.directory / IMAGE_COUNTS).read_bytes())
    (directory / "config.py").write_text(result.config_text, encoding="utf-8")
    (directory / "metrics.json").write_text(to_json(result), encoding="utf-8")
    stages = {
        step.node.name: {
            "hash": step.entry.key.hash,
            "directory": str(step.entry.directory),
            "title": step.node.title,
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
        "environment": result.environment,
        "stages": stages,
    }
    write_json(directory / RUN, content)


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


def _rung(plan: Plan, step: Step, manifests: Mapping[str, Mapping[str, Any]]) -> Rung:
    found = manifests[step.node.name]["result"]
    chosen, oracle = found["chosen"], found["oracle"]
    classes = ["background", *plan.dataset.classes]
    return Rung(
        name=step.node.title,
        node=step.node.inputs["given"],
        split=step.node.config["split"],
        chosen=_point(chosen),
        oracle=_point(oracle) if oracle else None,
        iou={name: chosen["iou"].get(name) for name in classes},
        curve=[_point(point) for point in chosen["curve"]],
        card=_card(plan, step, chosen),
    )


def _point(found: Mapping[str, Any]) -> Point:
    return Point(found["miou"], found["precision"], found["recall"], found["threshold"])


def _card(plan: Plan, step: Step, chosen: Mapping[str, Any]) -> dict[str, CardValue]:
    """The protocol card: what has to agree before two numbers may be compared."""
    config, node = plan.config, step.node
    predicted = plan[node.inputs["given"]].node.stage == "predict"
    return {
        "dataset": config["data"]["type"],
        **plan.dataset.card(),
        "split": node.config["split"],
        "images": len(plan.dataset.ids(node.config["split"])),
        "stage": node.inputs["given"],
        **(_prediction_card(config) if predicted else _cam_card(config, node.inputs["given"])),
        "threshold": chosen["threshold"],
        "threshold_choice": chosen["threshold_choice"],
        **_heldout_card(plan, chosen),
        "labels_at_inference": not predicted,
        "seed": config["seed"],
    }


def _cam_card(config: Mapping[str, Any], given: str) -> dict[str, CardValue]:
    crf = [
        section.get("preset", section["type"])
        for name in _chain(config, given)
        if (section := config["refine"][name])["type"] == "DenseCRF"
    ]
    shared: dict[str, CardValue] = {"crf": " + ".join(crf) or "none"}
    if config["import_cams"] is not None:
        return {**_imported(config), **shared}
    return {
        **_views(config["cam"]),
        **shared,
        "initial weights": _initial(config["classifier"]),
    }


def _prediction_card(config: Mapping[str, Any]) -> dict[str, CardValue]:
    test = config["segmenter"].get("test") or {}
    return {
        **_imported(config),
        **_views(test),
        "crf": test.get("crf") or "none",
        "initial weights": _initial(config["segmenter"]),
    }


def _imported(config: Mapping[str, Any]) -> dict[str, CardValue]:
    """Whose CAMs the experiment starts from, if they are not its own."""
    given = config["import_cams"]
    return {} if given is None else {"cams": f"imported ({given['format']})"}


def _views(settings: Mapping[str, Any]) -> dict[str, CardValue]:
    scales = ", ".join(str(scale) for scale in settings.get("scales", ())) or "1.0"
    return {"scales": scales, "flip": bool(settings.get("flip", False))}


def _heldout_card(plan: Plan, chosen: Mapping[str, Any]) -> dict[str, CardValue]:
    if chosen["threshold_choice"] != "heldout":
        return {}
    split = plan.config["splits"]["heldout"]
    return {"held out": f"{split} ({len(plan.dataset.ids(split))} images)"}


def _initial(section: Mapping[str, Any]) -> str:
    """What a network of `section` starts from; a file with its checksum, since names do not tell files apart."""
    from wsssbench.segmenters.settings import initial_weights

    start = {key: section[key] for key in ("backbone", "init") if section.get(key)}
    checksums = weight_files(start).values()
    return ", ".join([initial_weights(section), *(f"SHA-256 {digest}" for digest in checksums)])


def _chain(config: Mapping[str, Any], given: str) -> list[str]:
    """The refinements that an artefact has gone through, first to last."""
    if given == "label":
        given = f"refine.{config['label']['input']}"
    name = given.removeprefix("refine.")
    found: list[str] = []
    while name in config["refine"]:
        found.insert(0, name)
        name = config["refine"][name]["input"]
    return found
