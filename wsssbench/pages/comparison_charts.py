"""The charts of the page of several rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from markupsafe import Markup

from wsssbench.pages.charts import Bars, axis_top, bar_chart, needs_room
from wsssbench.pages.curves import Line, line_chart, small_chart
from wsssbench.pages.keys import RowKey
from wsssbench.pages.scatter import Dot, scatter_chart
from wsssbench.pages.words import number
from wsssbench.results.choice import Choice
from wsssbench.results.collection import Collection, Member
from wsssbench.results.compare import Comparison
from wsssbench.results.measures import METRICS, point
from wsssbench.results.run import Rung, TrainingCurve, thinned

_COLUMN = 10  # rows per drawing of bars
_TRAINING_POINTS = 100  # per line: as many as a small chart has pixels for, nearly


@dataclass(frozen=True)
class BarView:
    """The bars of a rung, in one drawing or in two beside each other.

    Attributes:
        rung: its title.
        spread: any row has a standard deviation.
        published: a paper has numbers for it.
        charts: the drawings.
    """

    rung: str
    spread: bool
    published: bool
    charts: tuple[Markup, ...]


def bars(tables: Sequence[Comparison], rung: str) -> list[BarView]:
    """The rows' figures at `rung` and at every other one with published numbers."""
    found: dict[str, dict[str, Bars]] = {}
    for table in tables:
        for cell in table.cells:
            if cell.metric == table.metric and (cell.stat or cell.paper is not None):
                value, spread = (cell.stat.mean, cell.stat.std) if cell.stat else (None, None)
                one = Bars(cell.row or "", (value,), paper=cell.paper, spread=spread)
                found.setdefault(cell.rung, {}).setdefault(one.label, one)
    published = [title for title, of in found.items() if any(one.paper for one in of.values())]
    title = METRICS[tables[0].metric].title
    return [
        BarView(
            name,
            any(one.spread is not None for one in of.values()),
            name in published,
            _bar_charts(list(of.values()), f"{title} of {name}"),
        )
        for name in dict.fromkeys([rung, *published])
        if (of := found.get(name))
    ]


def _bar_charts(groups: Sequence[Bars], title: str) -> tuple[Markup, ...]:
    per_column = len(groups) if len(groups) <= _COLUMN else -(-len(groups) // 2)
    top = axis_top(groups)
    above = any(needs_room(group) for group in groups)
    charts = []
    for start in range(0, len(groups), per_column):
        part = groups[start : start + per_column]
        values = "; ".join(
            f"{one.label} {number(one.values[0])}"
            + (f", paper {number(one.paper)}" if one.paper is not None else "")
            for one in part
        )
        charts.append(Markup(bar_chart(part, f"{title}, per cent: {values}", top, above)))
    return tuple(charts)


def threshold_curves(choice: Choice, keys: Mapping[str, RowKey]) -> tuple[str, str, Markup] | None:
    """(rung, split, chart) of mIoU by threshold of every row, mean over seeds.

    The rung is the chosen one, or the first that has curves.
    """
    found = {row: [rung for _, rung in runs] for row, runs in choice.scored.items()}
    if not any(rung.curve for rungs in found.values() for rung in rungs):
        found = {
            row: [first for m, _ in runs if (first := _first_with_curve(m))]
            for row, runs in choice.scored.items()
        }
    lines = [Line(keys[row], points) for row, rungs in found.items() if (points := _mean(rungs))]
    if not lines:
        return None
    shown = next(rung for rungs in found.values() for rung in rungs if rung.curve)
    peaks = (max(one.points, key=lambda xy: xy[1]) for one in lines)
    said = "; ".join(
        f"{one.key.title} at best {y:.1f} at {x:g}"
        for one, (x, y) in zip(lines, peaks, strict=True)
    )
    title = f"{shown.name}: mIoU by background threshold, one line per row: {said}"
    chart = line_chart(lines, "background threshold", "mIoU, per cent", title)
    return shown.name, shown.split, Markup(chart)


def scatter(choice: Choice, keys: Mapping[str, RowKey]) -> Markup | None:
    """Mean precision and recall of every row."""
    dots = []
    for row, runs in choice.scored.items():
        points = [found for _, rung in runs if (found := point(rung, choice.metric))]
        there = [p for p in points if math.isfinite(p.precision) and math.isfinite(p.recall)]
        if there:
            means = fmean(p.precision for p in there), fmean(p.recall for p in there)
            dots.append(Dot(keys[row], *means))
    if not dots:
        return None
    said = "; ".join(f"{d.key.title} {d.precision:.1f}, {d.recall:.1f}" for d in dots)
    title = f"{choice.rung}: precision and recall, per cent: {said}"
    return Markup(scatter_chart(dots, title))


def mean_iou(choice: Choice, row: str) -> dict[str, float | None]:
    """IoU per class of a row, mean over the seeds that have it."""
    rungs = [rung for _, rung in choice.scored.get(row, ())]
    names = dict.fromkeys(name for rung in rungs for name in rung.iou)
    found: dict[str, float | None] = {}
    for name in names:
        values = [v for rung in rungs if (v := rung.iou.get(name)) is not None and math.isfinite(v)]
        found[name] = fmean(values) if values else None
    return found


def trainings(
    collection: Collection, keys: Mapping[str, RowKey]
) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """(stage, [(what was logged, its chart)]) with a line per row."""
    lines: dict[str, dict[str, list[Line]]] = {}
    for row, key in keys.items():
        for (node, series), points in _trainings(collection.of(row)).items():
            lines.setdefault(node, {}).setdefault(series, []).append(Line(key, points))
    return [
        (
            node,
            [
                (series, Markup(small_chart(of, _training_title(node, series, of), True)))
                for series, of in of_node.items()
            ],
        )
        for node, of_node in lines.items()
    ]


def _trainings(members: Sequence[Member]) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """(stage, series) -> its course, mean over the seeds that logged the same iterations as the first."""
    found: dict[tuple[str, str], list[TrainingCurve]] = {}
    for member in members:
        for curve in member.result.training:
            found.setdefault((curve.node, curve.series), []).append(curve)
    courses = {}
    for name, curves in found.items():
        at = [x for x, _ in curves[0].points]
        same = [curve for curve in curves if [x for x, _ in curve.points] == at]
        values = zip(*([y for _, y in curve.points] for curve in same), strict=True)
        points = [
            (x, fmean(ys)) for x, ys in zip(at, values, strict=True) if all(map(math.isfinite, ys))
        ]
        if points:
            courses[name] = thinned(points, _TRAINING_POINTS)
    return courses


def _training_title(node: str, series: str, lines: Sequence[Line]) -> str:
    ends = "; ".join(f"{one.key.title} {one.points[-1][1]:.4g}" for one in lines)
    return f"{node}, {series} by iteration; at the end: {ends}"


def _first_with_curve(member: Member) -> Rung | None:
    return next((rung for rung in member.result.rungs if len(rung.curve) > 1), None)


def _mean(rungs: Sequence[Rung]) -> list[tuple[float, float]]:
    """(threshold, mIoU), mean over `rungs`, at the thresholds that all with a curve have."""
    curves = [
        {
            p.threshold: p.miou
            for p in rung.curve
            if p.threshold is not None and math.isfinite(p.miou)
        }
        for rung in rungs
        if rung.curve
    ]
    if not curves:
        return []
    shared = [at for at in curves[0] if all(at in curve for curve in curves)]
    points = [(at, fmean(curve[at] for curve in curves)) for at in sorted(shared)]
    return points if len(points) > 1 else []
