"""Means over the seeds of a row, for charts and tables of costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Literal

from wsssbench.results.collection import Member
from wsssbench.results.metrics import Metric, point
from wsssbench.results.run import Evaluation, StageTime, TrainingCurve, thinned
from wsssbench.stages import family

Points = list[tuple[float, float]]
_TRAINING_POINTS = 100  # per line: nearly as many as a small chart has pixels for


def mean_curve(evaluations: Iterable[Evaluation]) -> Points:
    """(threshold, mIoU) at the thresholds that all evaluations with a curve have; empty for fewer than two."""
    curves = [
        {
            p.threshold: p.miou
            for p in one.curve
            if p.threshold is not None and math.isfinite(p.miou)
        }
        for one in evaluations
        if one.curve
    ]
    shared = set.intersection(*map(set, curves)) if curves else set()
    points = [(at, fmean(curve[at] for curve in curves)) for at in sorted(shared)]
    return points if len(points) > 1 else []


def mean_scores(evaluations: Iterable[Evaluation], metric: Metric) -> tuple[float, float] | None:
    """(precision, recall) at the threshold of `metric`, per cent; None if no evaluation has both."""
    scores = [scores for one in evaluations if (scores := point(one, metric))]
    both = [s for s in scores if math.isfinite(s.precision) and math.isfinite(s.recall)]
    return (fmean(s.precision for s in both), fmean(s.recall for s in both)) if both else None


def mean_of_classes(
    evaluations: Sequence[Evaluation], of: Literal["iou", "precision", "recall"]
) -> dict[str, float | None]:
    """IoU, precision or recall per class, per cent, over the evaluations that have it."""
    series = [getattr(one, of) for one in evaluations]
    means: dict[str, float | None] = {}
    for name in dict.fromkeys(name for one in series for name in one):
        values = [one.get(name) for one in series]
        finite = [value for value in values if value is not None and math.isfinite(value)]
        means[name] = fmean(finite) if finite else None
    return means


def mean_trainings(members: Iterable[Member]) -> dict[tuple[str, str], Points]:
    """(stage, series) -> (iteration, value), over the seeds that logged the same iterations as the first."""
    logged: dict[tuple[str, str], list[TrainingCurve]] = {}
    for member in members:
        for curve in member.result.training:
            logged.setdefault((curve.node, curve.series), []).append(curve)
    means = {}
    for name, curves in logged.items():
        at = [x for x, _ in curves[0].points]
        same = [curve.points for curve in curves if [x for x, _ in curve.points] == at]
        points = [
            (x, fmean(y for _, y in of)) for x, of in zip(at, zip(*same, strict=True), strict=True)
        ]
        points = [(x, y) for x, y in points if math.isfinite(y)]
        if points:
            means[name] = thinned(points, _TRAINING_POINTS)
    return means


def mean_times(members: Iterable[Member]) -> dict[str, StageTime]:
    """Stage -> its mean seconds and highest memory over the runs; all evaluations are one stage."""
    costs: dict[str, list[StageTime]] = {}
    for member in members:
        of_run: dict[str, list[StageTime]] = {}
        for time in member.result.times:
            stage = family(time.node)
            of_run.setdefault(stage, []).append(time)
        for stage, times in of_run.items():
            costs.setdefault(stage, []).append(together(stage, times))
    return {
        stage: StageTime(stage, fmean(t.seconds for t in times), max(t.peak_mib for t in times))
        for stage, times in costs.items()
    }


def together(name: str, times: Iterable[StageTime]) -> StageTime:
    """Several stages as one: their time together, and the highest memory."""
    known = list(times)
    seconds = [time.seconds for time in known if math.isfinite(time.seconds)]
    peaks = [time.peak_mib for time in known if math.isfinite(time.peak_mib)]
    return StageTime(name, sum(seconds), max(peaks, default=math.nan))
