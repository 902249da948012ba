"""The numbers of an evaluation that a table can show, and their mean and spread over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from wsssbench.errors import UserError, unknown
from wsssbench.evaluation.bootstrap import Measure
from wsssbench.results.run import Evaluation, Point


@dataclass(frozen=True)
class Metric:
    """A number that an evaluation has.

    Attributes:
        title: as tables say it.
        choice: at which threshold: the fixed or selected one, or the best on the scored split's own masks; or
            ``boundary``: of the classes' boundaries.
        measure: which of the scores there.
        of_class: the class whose score it is, with ``miou`` its IoU; otherwise it is that of all classes.
    """

    title: str
    choice: Literal["chosen", "oracle", "boundary"]
    measure: Measure
    of_class: str = ""

    @property
    def paper(self) -> str:
        """The end of its key in ``Collection.paper``, behind the evaluation's name."""
        words = [self.of_class, "boundary" if self.choice == "boundary" else ""]
        words.append("" if self.measure == "miou" else self.measure)
        return "".join(f" {word}" for word in words if word)

    def of(self, evaluation: Evaluation) -> float:
        """The number, per cent; NaN if there is none."""
        if self.of_class:
            of_classes = {"miou": evaluation.iou, "precision": evaluation.precision}
            value = of_classes.get(self.measure, evaluation.recall).get(self.of_class)
            return math.nan if value is None else value
        scores = point(evaluation, self)
        return math.nan if scores is None else getattr(scores, self.measure)


METRICS = {
    "miou": Metric("mIoU", "chosen", "miou"),
    "precision": Metric("precision", "chosen", "precision"),
    "recall": Metric("recall", "chosen", "recall"),
    "oracle": Metric("oracle mIoU", "oracle", "miou"),
    "oracle-precision": Metric("oracle precision", "oracle", "precision"),
    "oracle-recall": Metric("oracle recall", "oracle", "recall"),
    "boundary": Metric("boundary IoU", "boundary", "miou"),
}
# Which of them classes have, and how it begins the key of a class's.
OF_CLASSES: Mapping[str, Measure] = {"iou": "miou", "precision": "precision", "recall": "recall"}


def class_key(name: str, measure: str = "miou") -> str:
    """The key of the metric that is the IoU, precision or recall of the class `name` at the chosen threshold."""
    (begin,) = (key for key, of in OF_CLASSES.items() if of == measure)
    return f"{begin}:{name}"


def class_title(measure: str) -> str:
    """How tables call the `measure` of a class."""
    return "IoU" if measure == "miou" else measure


def metric_at(key: str) -> Metric:
    """The metric of a key: one of `METRICS`, or of `class_key`."""
    begin, of_class, name = key.partition(":")
    if of_class:
        measure = OF_CLASSES[begin]
        return Metric(f"{class_title(measure)} of {name}", "chosen", measure, name)
    return METRICS[key]


def metric_named(name: str, evaluations: Iterable[Evaluation]) -> str:
    """The key of `METRICS` that shows `name` of `evaluations`: maps that need no threshold have no best one.

    Raises:
        UserError: there is no such metric.
    """
    if name not in METRICS:
        raise UserError(f"--metric: {unknown('metric', name, METRICS)}")
    needless = METRICS[name].choice == "oracle" and not any(one.oracle for one in evaluations)
    return METRICS[name].measure if needless else name


def point(evaluation: Evaluation, metric: Metric) -> Point | None:
    """The scores of `evaluation` at the threshold of `metric`; None if it has none.

    Maps that need no threshold have the same scores at "any" threshold.
    """
    if metric.choice == "boundary":
        return evaluation.boundary
    if metric.choice == "chosen" or (evaluation.chosen and evaluation.chosen.threshold is None):
        return evaluation.chosen
    return evaluation.oracle


def stored_choice(evaluation: Evaluation, metric: Metric) -> str:
    """Under which name the counts per image are kept of what `point` gives."""
    if metric.choice == "oracle" and not evaluation.oracle:
        return "chosen"
    return metric.choice


def as_scored(evaluation: Evaluation, metric: Metric) -> Evaluation:
    """`evaluation` with the card of the number that `point` gives: its threshold may not be the chosen one."""
    if metric.choice != "oracle" or evaluation.oracle is None:
        return evaluation
    card = {key: value for key, value in evaluation.card.items() if key != "held out"}
    return replace(evaluation, card={**card, "threshold_choice": "oracle"})


@dataclass(frozen=True)
class Stat:
    """Mean and sample standard deviation (None for one value) of `n` runs' numbers."""

    mean: float
    std: float | None
    n: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Stat | None:
        """The statistics of the finite `values`; None if there are none."""
        finite = [float(v) for v in values if v is not None and math.isfinite(v)]
        if not finite:
            return None
        std = statistics.stdev(finite) if len(finite) > 1 else None
        return cls(statistics.fmean(finite), std, len(finite))

    def __str__(self) -> str:
        return f"{self.mean:.1f}" if self.std is None else f"{self.mean:.1f} ± {self.std:.1f}"


def thresholds_of(points: Iterable[Point | None]) -> tuple[float, ...]:
    """The distinct thresholds of `points`, ascending; empty where none is needed."""
    return tuple(sorted({p.threshold for p in points if p and p.threshold is not None}))
