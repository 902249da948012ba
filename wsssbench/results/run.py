"""What a run found out, as values, and the file ``metrics.json`` they are kept in.

``metrics.json`` is one object::

    {"schema": "wsssbench.metrics/2",
     "name": str, "run_id": str, "created": str (ISO 8601), "class_names": [str, ...],
     "rungs": [{"name": str, "node": str, "split": str,
                "chosen": POINT | null, "oracle": POINT | null,
                "iou": {class name: per cent | null}, "curve": [POINT, ...],
                "card": {str: str | int | float | bool | null}}, ...],
     "times": [{"node": str, "seconds": float, "peak_mib": float, "reused": bool}, ...],
     "training": [{"node": str, "series": str, "points": [[iteration, value], ...]}, ...],
     "reference": {rung name: per cent}, "environment": {str: str}, "config": str}

    POINT = {"threshold": float | null, "miou": per cent, "precision": per cent, "recall": per cent}

A number that is not finite is written as null, and a null of a POINT is read back as NaN. Pictures
are not in the file; the HTML report holds them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wsssbench.errors import UserError

SCHEMA = "wsssbench.metrics/2"

CardValue = str | int | float | bool | None


@dataclass(frozen=True)
class Point:
    """Scores at one background threshold, per cent; `threshold` is None where none is needed."""

    miou: float
    precision: float
    recall: float
    threshold: float | None = None


@dataclass(frozen=True)
class Rung:
    """One step of the ladder: how good the label maps are at one place of the experiment.

    Attributes:
        name: as people say it, e.g. ``"+ CRF"``.
        node: the pipeline's node whose artefacts were scored.
        split: the split scored on.
        chosen: the score at the threshold fixed beforehand, or of maps that need no threshold.
        oracle: the score at the threshold that is best on this split's pixel truth.
        iou: IoU per class name at `chosen`, per cent; None for a class that does not occur.
        curve: the score at every threshold, ascending; empty for maps that need no threshold.
        card: the protocol card: dataset, split, stage, scales, flip, crf, threshold,
            threshold_choice (``"fixed"``, ``"heldout"``, ``"otsu"``, ``"oracle"`` or ``"none"``),
            labels_at_inference, initial weights, seed; and what the data set adds.
    """

    name: str
    node: str
    split: str
    chosen: Point | None = None
    oracle: Point | None = None
    iou: dict[str, float | None] = field(default_factory=dict)
    curve: list[Point] = field(default_factory=list)
    card: dict[str, CardValue] = field(default_factory=dict)


@dataclass(frozen=True)
class StageTime:
    """What one node cost when it was made: wall `seconds`, and `peak_mib` (MiB) of memory.

    `reused` says that this run found it in the cache, so that the cost was an earlier run's.
    """

    node: str
    seconds: float
    peak_mib: float
    reused: bool = False


@dataclass(frozen=True)
class TrainingCurve:
    """One logged value of a training: `points` are (iteration, value), thinned by averaging neighbours."""

    node: str
    series: str
    points: list[tuple[float, float]]


def thinned(points: list[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most `most` (x, y) points: means of runs of neighbours."""
    parts = np.array_split(np.asarray(points, float), min(most, len(points)))
    return [(float(x), float(y)) for x, y in (part.mean(axis=0) for part in parts)]


@dataclass(frozen=True, eq=False)
class Layer:
    """What lies over a photo: a CAM's heat, (h, w) float in [0, 1], or a label map, (h, w) uint8.

    It may be smaller than the photo, but has its proportions.
    """

    title: str
    plane: np.ndarray


@dataclass(frozen=True, eq=False)
class GalleryRow:
    """One image: its photo (H, W, 3) uint8 RGB, and what was made of it."""

    id: str
    photo: np.ndarray
    layers: list[Layer]


@dataclass(frozen=True)
class RunResult:
    """All a report says about one run.

    Attributes:
        name: of the experiment.
        run_id: of this run of it.
        config_text: the resolved config.
        rungs: the ladder, from the CAM up.
        times: one entry per node, in the order they ran.
        gallery: pictures; not compared, not in ``metrics.json``.
        environment: versions and hardware, as shown.
        created: ISO 8601.
        reference: the mIoU a paper reports, per cent, by rung name; may be empty.
        class_names: the foreground classes; label-map value i + 1 belongs to ``class_names[i]``.
        training: what the trainings logged.
    """

    name: str
    run_id: str
    config_text: str
    rungs: list[Rung]
    times: list[StageTime]
    gallery: list[GalleryRow] = field(default_factory=list, compare=False)
    environment: dict[str, str] = field(default_factory=dict)
    created: str = ""
    reference: dict[str, float] = field(default_factory=dict)
    class_names: list[str] = field(default_factory=list)
    training: list[TrainingCurve] = field(default_factory=list)


def to_json(result: RunResult) -> str:
    """`result` without its pictures as the text of a ``metrics.json``."""
    document = {
        "schema": SCHEMA,
        "name": result.name,
        "run_id": result.run_id,
        "created": result.created,
        "class_names": list(result.class_names),
        "rungs": [_rung_to_dict(rung) for rung in result.rungs],
        "times": [
            {
                "node": time.node,
                "seconds": _number(time.seconds),
                "peak_mib": _number(time.peak_mib),
                "reused": bool(time.reused),
            }
            for time in result.times
        ],
        "training": [
            {
                "node": curve.node,
                "series": curve.series,
                "points": [[_number(x), _number(y)] for x, y in curve.points],
            }
            for curve in result.training
        ],
        "reference": {name: _number(value) for name, value in result.reference.items()},
        "environment": dict(result.environment),
        "config": result.config_text,
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> RunResult:
    """The run a ``metrics.json`` describes, with an empty gallery.

    Raises:
        UserError: `text` is not a ``metrics.json`` of this schema.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise UserError(
            f"metrics.json: not valid JSON ({error}); run the experiment again"
        ) from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise UserError(
            f"metrics.json: schema {schema!r} is not {SCHEMA!r}; "
            "read it with the version of wsssbench that wrote it, or run the experiment again"
        )
    try:
        return _result_from_dict(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        detail = f"no entry {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"metrics.json: {detail}; run the experiment again") from None


def _result_from_dict(document: Mapping[str, Any]) -> RunResult:
    return RunResult(
        name=document["name"],
        run_id=document["run_id"],
        config_text=document["config"],
        rungs=[_rung_from_dict(rung) for rung in document["rungs"]],
        times=[
            StageTime(
                time["node"], _float(time["seconds"]), _float(time["peak_mib"]), time["reused"]
            )
            for time in document["times"]
        ],
        environment=dict(document["environment"]),
        created=document["created"],
        reference={name: _float(value) for name, value in document["reference"].items()},
        class_names=list(document["class_names"]),
        training=[
            TrainingCurve(
                curve["node"],
                curve["series"],
                [(_float(x), _float(y)) for x, y in curve["points"]],
            )
            for curve in document["training"]
        ],
    )


def _rung_to_dict(rung: Rung) -> dict[str, Any]:
    return {
        "name": rung.name,
        "node": rung.node,
        "split": rung.split,
        "chosen": _point_to_dict(rung.chosen),
        "oracle": _point_to_dict(rung.oracle),
        "iou": {name: _number(value) for name, value in rung.iou.items()},
        "curve": [_point_to_dict(point) for point in rung.curve],
        "card": {key: _plain(value) for key, value in rung.card.items()},
    }


def _rung_from_dict(rung: Mapping[str, Any]) -> Rung:
    return Rung(
        name=rung["name"],
        node=rung["node"],
        split=rung["split"],
        chosen=None if rung["chosen"] is None else _point_from_dict(rung["chosen"]),
        oracle=None if rung["oracle"] is None else _point_from_dict(rung["oracle"]),
        iou={name: None if v is None else float(v) for name, v in rung["iou"].items()},
        curve=[_point_from_dict(point) for point in rung["curve"]],
        card=dict(rung["card"]),
    )


def _point_to_dict(point: Point | None) -> dict[str, float | None] | None:
    if point is None:
        return None
    return {
        "threshold": _number(point.threshold),
        "miou": _number(point.miou),
        "precision": _number(point.precision),
        "recall": _number(point.recall),
    }


def _point_from_dict(point: Mapping[str, Any]) -> Point:
    threshold = point["threshold"]
    return Point(
        miou=_float(point["miou"]),
        precision=_float(point["precision"]),
        recall=_float(point["recall"]),
        threshold=None if threshold is None else float(threshold),
    )


def _number(value: float | None) -> float | None:
    """`value` as JSON can hold it: a plain float, None if it is not finite."""
    return None if value is None or not math.isfinite(value) else float(value)


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _plain(value: Any) -> CardValue:
    """A card's value without numpy, and None for a float JSON cannot hold."""
    value = value.item() if isinstance(value, np.generic) else value
    return _number(value) if isinstance(value, float) else value
