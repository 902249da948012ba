"""The results of a run, as values, and the file ``metrics.json`` that keeps them.

``metrics.json`` is one object::

    {"schema": "wsssbench.metrics/2",
     "name": str, "run_id": str, "created": str (ISO 8601), "class_names": [str, ...],
     "rungs": [{"name": str, "node": str, "split": str,
                "chosen": POINT | null, "oracle": POINT | null,
                "boundary": POINT | null, "iou": {class name: per cent | null},
                "precision": {class name: per cent | null}, "recall": {class name: per cent | null},
                "curve": [POINT, ...],
                "card": {str: str | int | float | bool | null}, "after": str, "chain": str}, ...],
     "times": [{"node": str, "seconds": float, "peak_mib": float, "reused": bool}, ...],
     "training": [{"node": str, "series": str, "points": [[iteration, value], ...]}, ...],
     "figures": {node: {what: float | null}}, "artefacts": {node: what it is},
     "reference": {rung name: per cent}, "environment": {str: str}, "config": str}

    POINT = {"threshold": float | null, "miou": per cent, "precision": per cent, "recall": per cent}

A number that is not finite is written as null, and a null of a POINT is read back as NaN. Pictures
are not in the file; the HTML report holds them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BeforeValidator, ConfigDict

from wsssbench.errors import UserError
from wsssbench.files.records import checked, parse_json

FILE = "metrics.json"
SCHEMA = "wsssbench.metrics/2"
SMOKE = "smoke"  # the `trial` of a run on a handful of images, with tiny trainings
LARGEST = 1e15  # no number of a run is near it

CardValue = str | int | float | bool | None


def _in_range(value: float) -> float:
    if not abs(value) <= LARGEST:
        raise ValueError(f"{value:g} is not a number between -{LARGEST:g} and {LARGEST:g}")
    return value


def _check_card(card: dict[str, CardValue]) -> dict[str, CardValue]:
    for key in ("seed", "images"):
        count = card.get(key)
        if count is not None and not (type(count) is int and 0 <= count < 2**63):
            raise ValueError(f"{key} {count!r} is not a whole number from 0")
    for value in card.values():
        if isinstance(value, int | float):
            _in_range(value)
    return card


def _check_node(name: str) -> str:
    if not name or set(name) & set("/\\\0"):  # it names files
        raise ValueError(f"{name!r} is not the name of a stage")
    return name


# A number that may be missing: NaN in Python, null in the file.
Number = Annotated[
    float,
    BeforeValidator(lambda value: math.nan if value is None else value),
    AfterValidator(lambda value: value if math.isnan(value) else _in_range(value)),
]
Finite = Annotated[float, AfterValidator(_in_range)]
Node = Annotated[str, AfterValidator(_check_node)]
Card = Annotated[dict[str, CardValue], AfterValidator(_check_card)]
_ARRAYS = ConfigDict(arbitrary_types_allowed=True)


@dataclass(frozen=True)
class Point:
    """Scores at one background threshold, per cent; `threshold` is None where none is needed."""

    miou: Number
    precision: Number
    recall: Number
    threshold: Finite | None = None


@dataclass(frozen=True)
class Evaluation:
    """How good the label maps are at one place of the experiment: one rung of the ladder.

    Attributes:
        name: as people say it, e.g. ``"+ CRF"``.
        node: the pipeline's node whose artefacts were scored.
        split: the split that they were scored on.
        chosen: the score at the threshold fixed beforehand, or of maps that need no threshold.
        oracle: the score at the threshold that is best on the masks of this split.
        iou: IoU per class name at `chosen`, per cent; None for a class that does not occur.
        boundary: the score of the classes' boundaries at `chosen`, see `wsssbench.evaluation.boundary`; None for maps
            other than label maps, and in results from before it was measured.
        precision: per class name, like `iou`; empty in results from before it was kept.
        recall: per class name, likewise.
        curve: the score at every threshold, ascending; empty for maps that need no threshold.
        card: the protocol card: dataset, split, stage, scales, flip, crf, threshold,
            threshold_choice (``"fixed"``, ``"heldout"``, ``"otsu"``, ``"oracle"`` or ``"none"``),
            labels_at_inference, initial weights, seed; and what the data set adds.
        after: the node of the rung that it was made from; empty for the first, and if it is not known.
        chain: what its chain is called, ``"round 1"``; empty for the experiment itself.
    """

    name: str
    node: Node
    split: str
    chosen: Point | None = None
    oracle: Point | None = None
    iou: dict[str, Finite | None] = field(default_factory=dict)
    curve: list[Point] = field(default_factory=list)
    card: Card = field(default_factory=dict)
    after: str = ""
    chain: str = ""
    boundary: Point | None = None
    precision: dict[str, Finite | None] = field(default_factory=dict)
    recall: dict[str, Finite | None] = field(default_factory=dict)

    @property
    def best_known(self) -> Point | None:
        """The score at the chosen threshold, or at the best one where none was chosen."""
        return self.chosen or self.oracle


@dataclass(frozen=True)
class StageTime:
    """The cost of one node when it was made: wall `seconds`, and `peak_mib` (MiB) of memory.

    `reused` says that this run found it in the cache, so that the cost was an earlier run's.
    """

    node: str
    seconds: Number
    peak_mib: Number
    reused: bool = False


@dataclass(frozen=True)
class TrainingCurve:
    """One logged value of a training: `points` are (iteration, value), thinned by averaging neighbours."""

    node: str
    series: str
    points: list[tuple[Finite, Number]]


def thinned(points: list[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most `most` (x, y) points: means of runs of neighbours."""
    parts = np.array_split(np.asarray(points, float), min(most, len(points)))
    return [(float(x), float(y)) for x, y in (part.mean(axis=0) for part in parts)]


@dataclass(frozen=True, eq=False)
class Layer:
    """A picture that lies over a photo: a CAM's heat, (h, w) float in [0, 1], or a label map, (h, w) uint8.

    It may be smaller than the photo, but has its proportions. A `part` shows one class of another layer.
    """

    __pydantic_config__ = _ARRAYS
    title: str
    plane: np.ndarray
    part: bool = False


@dataclass(frozen=True, eq=False)
class GalleryRow:
    """One image: its photo (H, W, 3) uint8 RGB, and what was made of it.

    Attributes:
        group: the heading that it is shown under; may be empty.
        numbers: what is said about it, (what, number).
    """

    __pydantic_config__ = _ARRAYS
    id: str
    photo: np.ndarray
    layers: list[Layer]
    group: str = ""
    numbers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RunResult:
    """All that a report says about one run.

    Attributes:
        name: of the experiment.
        run_id: of this run of it.
        config_text: the resolved config.
        evaluations: the ladder, from the CAM up.
        times: one entry per node, in the order they ran.
        gallery: pictures; not compared, not in ``metrics.json``.
        environment: versions and hardware, as shown.
        created: ISO 8601.
        reference: the mIoU that a paper reports, per cent, by the evaluation's name; may be empty.
        class_names: the foreground classes; label-map value i + 1 belongs to ``class_names[i]``.
        training: what the trainings logged.
        figures: what stages found out about their own results, by node, e.g. the classifier's mAP.
        artefacts: what it left beside figures: node -> in words, e.g. ``pseudo-label``; the links to it are in the
            run's folder ``artefacts``.
        trial: why its numbers are no results: ``smoke``, or ``limit50`` of the first 50 images; empty for a real run.
    """

    name: str
    run_id: str
    config_text: str
    evaluations: list[Evaluation]
    times: list[StageTime]
    gallery: list[GalleryRow] = field(default_factory=list, compare=False)
    environment: dict[str, str] = field(default_factory=dict)
    created: str = ""
    reference: dict[str, Number] = field(default_factory=dict)
    class_names: list[str] = field(default_factory=list)
    training: list[TrainingCurve] = field(default_factory=list)
    figures: dict[str, dict[str, Number]] = field(default_factory=dict)
    trial: str = ""
    artefacts: dict[Node, str] = field(default_factory=dict)


_FILE_NAMES = {"evaluations": "rungs", "config_text": "config"}  # keys that differ from the fields


def to_json(result: RunResult) -> str:
    """`result` without its pictures as the text of a ``metrics.json``."""
    fields = {key: value for key, value in vars(result).items() if key != "gallery"}
    document = {"schema": SCHEMA, **{_FILE_NAMES.get(k, k): _plain(v) for k, v in fields.items()}}
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str | bytes, where: str = FILE) -> RunResult:
    """The run that a ``metrics.json`` describes, with an empty gallery.

    Raises:
        UserError: `text` is not a ``metrics.json`` of this schema; the error names `where` and the entry.
    """
    try:
        document = parse_json(text)
    except ValueError as error:
        raise UserError(f"{where}: {error}; run the experiment again") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise UserError(
            f"{where}: schema {schema!r} is not {SCHEMA!r}; "
            "read it with the version of wsssbench that wrote it, or run the experiment again"
        )
    of_file = {key: value for key, value in document.items() if key not in ("schema", "gallery")}
    fields = {key: of_file.pop(name) for key, name in _FILE_NAMES.items() if name in of_file}
    try:
        return checked(RunResult, {**of_file, **fields}, _FILE_NAMES)
    except ValueError as error:
        raise UserError(f"{where}: {error}; run the experiment again") from None


def read_run(directory: Path) -> RunResult:
    """The run whose ``metrics.json`` is in `directory`.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    path = directory / FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; run the experiment again") from None
    return from_json(content, str(path))


def _plain(value: Any) -> Any:
    """`value` as JSON holds it: plain dicts, lists and numbers, null for what is not finite."""
    if is_dataclass(value):
        return {key: _plain(of) for key, of in vars(value).items()}
    if isinstance(value, Mapping):
        return {key: _plain(of) for key, of in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(of) for of in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
