"""What the page of one run shows, for the template ``page/run.html.j2``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from wsssbench.pages import thumbnails
from wsssbench.pages.charts import Bars, axis_top, bar_chart
from wsssbench.pages.curves import Line, curve_chart, small_chart
from wsssbench.pages.gallery_view import (
    GalleryView,
    foreground,
    legend_of,
    shots_of,
    titles_of,
)
from wsssbench.pages.keys import RowKey
from wsssbench.pages.scatter import Dot, scatter_chart
from wsssbench.pages.words import card_lines, number
from wsssbench.progress import Progress, duration
from wsssbench.results import tables
from wsssbench.results.ladder import aggregate
from wsssbench.results.run import Point, Rung, RunResult, StageTime

GALLERY_BYTES = 9_000_000  # of the page's 10 MB
_COLUMN = 12  # classes per chart; more go into a second one beside it


@dataclass(frozen=True)
class CurveView:
    """A threshold curve: its rung's name and split, the drawing, and the points for the table."""

    name: str
    split: str
    chart: Markup
    points: Sequence[Point]


def context(
    result: RunResult, palette: np.ndarray, note: str = "", progress: Progress | None = None
) -> dict[str, Any]:
    """The names that the template uses.

    Args:
        result: the run.
        palette: (256, 3) uint8 colours of the label values.
        note: why there are no pictures.
        progress: is told about the pictures.
    """
    ladder = aggregate([result])
    classes = [(rung.name, rung.iou) for rung in _class_rungs(result)]
    return {
        "result": result,
        "title": result.name,
        "facts": _facts(result),
        "summary": _summary(result),
        "columns": tables.columns(ladder),
        "rows": tables.rows(ladder),
        "notes": tables.notes(ladder),
        "ladder_chart": _ladder_chart(result),
        "has_oracle": any(rung.chosen and rung.oracle for rung in result.rungs),
        "has_paper": any(row.paper is not None for row in ladder.rows),
        "curves": _curves(result),
        "scatter": _scatter(result),
        "classes": class_charts(classes),
        "absent": absent_classes(classes),
        "class_rungs": _class_rungs(result),
        "gallery": _gallery(result, palette, progress),
        "picture_note": note,
        "legend": legend_of(result.gallery, result.class_names, palette),
        "training": _training(result),
        "times": result.times,
        "fresh": _fresh(result.times),
        "shares": _shares(result.times),
        "cards": card_lines([rung.card for rung in result.rungs]),
    }


def class_charts(
    series: Sequence[tuple[str, Mapping[str, float | None]]], looks: Sequence[str] = ("s0", "s1")
) -> list[Markup]:
    """IoU per class of each of `series` (name, class -> per cent), in one chart or two beside each other.

    Classes that have no number are left out. `looks` are the style sheet's classes of the series.
    """
    names = [name for name, there in _occurring(series).items() if there]
    groups = [Bars(name, tuple(iou.get(name) for _, iou in series)) for name in names]
    per_column = len(groups) if len(groups) <= _COLUMN else -(-len(groups) // 2)
    top = axis_top(groups)
    charts = []
    for start in range(0, len(groups), per_column or 1):
        part = groups[start : start + per_column]
        said = "; ".join(
            f"{group.label} {', '.join(number(value) for value in group.values)}" for group in part
        )
        title = f"IoU per class, per cent: {said}"
        charts.append(Markup(bar_chart(part, title, top, looks=looks)))
    return charts


def absent_classes(series: Sequence[tuple[str, Mapping[str, float | None]]]) -> str:
    """The sentence about the classes that `class_charts` leaves out; empty if there are none."""
    names = [name for name, there in _occurring(series).items() if not there]
    if not names:
        return ""
    return f"Not in the truth, and so without a number: {', '.join(names)}."


def _occurring(series: Sequence[tuple[str, Mapping[str, float | None]]]) -> dict[str, bool]:
    """Class -> whether any of `series` has a number for it."""
    names = dict.fromkeys(name for _, iou in series for name in iou)
    return {
        name: any((v := iou.get(name)) is not None and math.isfinite(v) for _, iou in series)
        for name in names
    }


def _best_known(rung: Rung) -> Point | None:
    return rung.chosen or rung.oracle


def _facts(result: RunResult) -> list[tuple[str, str, str]]:
    """(number, what it is, remark) of the rungs that people ask for first, and the time."""
    scored = [rung for rung in result.rungs if _best_known(rung)]
    picked = (
        [scored[i] for i in sorted({0, max(0, len(scored) - 2), len(scored) - 1})] if scored else []
    )
    facts = []
    for rung in picked:
        point = _best_known(rung)
        remark = f"on {rung.split}" + ("" if rung.chosen else ", oracle threshold")
        facts.append((number(point.miou if point else None), f"{rung.name}, mIoU", remark))
    if result.times:
        reused = sum(time.reused for time in result.times)
        remark = f"{reused} of {len(result.times)} stages reused" if reused else "every stage made"
        facts.append((duration(_fresh(result.times).seconds), "this run", remark))
    return facts


def _fresh(times: Sequence[StageTime]) -> StageTime:
    """The stages that this run made, as one: their time together, and the highest memory."""
    fresh = [time for time in times if not time.reused]
    return StageTime(
        "made in this run",
        sum(time.seconds for time in fresh),
        max((time.peak_mib for time in fresh), default=math.nan),
    )


def _shares(times: Sequence[StageTime]) -> list[float]:
    """Each stage's time in per cent of the longest."""
    seconds = [time.seconds if math.isfinite(time.seconds) else 0.0 for time in times]
    longest = max(seconds, default=0.0) or 1.0
    return [round(100 * value / longest, 1) for value in seconds]


def _summary(result: RunResult) -> list[str]:
    """What was run on what, in a few words each."""
    cards = [rung.card for rung in result.rungs]
    words = [str(card["dataset"]) for card in cards[:1] if card.get("dataset") is not None]
    if result.class_names:
        words.append(f"{len(foreground(result.class_names))} classes")
    words += [f"seed {card['seed']}" for card in cards[:1] if card.get("seed") is not None]
    return [*words, f"run {result.run_id}"]


def _ladder_chart(result: RunResult) -> Markup:
    groups = [
        Bars(
            rung.name,
            (point.miou if (point := _best_known(rung)) else None,),
            oracle=rung.oracle.miou if rung.chosen and rung.oracle else None,
            paper=result.reference.get(rung.name),
        )
        for rung in result.rungs
    ]
    values = ", ".join(f"{group.label} {number(group.values[0])}" for group in groups)
    return Markup(bar_chart(groups, f"mIoU at every rung, per cent: {values}"))


def _curves(result: RunResult) -> list[CurveView]:
    return [
        CurveView(
            rung.name,
            rung.split,
            Markup(
                curve_chart(
                    rung.curve,
                    rung.chosen,
                    rung.oracle,
                    f"{rung.name}: mIoU, precision and recall at {len(rung.curve)} background "
                    f"thresholds; the numbers are in the table below",
                    str(rung.card.get("threshold_choice", "fixed")),
                )
            ),
            rung.curve,
        )
        for rung in result.rungs
        if sum(point.threshold is not None for point in rung.curve) > 1
    ]


def _scatter(result: RunResult) -> Markup | None:
    """Precision and recall of the rungs, those of the first one's split joined in their order."""
    dots, splits = [], []
    for place, rung in enumerate(result.rungs):
        point = _best_known(rung)
        if point and math.isfinite(point.precision) and math.isfinite(point.recall):
            key = RowKey(rung.name, place + 1, 0)
            dots.append(Dot(key, point.precision, point.recall))
            splits.append(rung.split)
    if not dots:
        return None
    said = "; ".join(f"{d.key.name} {d.precision:.1f}, {d.recall:.1f}" for d in dots)
    joined = [dot for dot, split in zip(dots, splits, strict=True) if split == splits[0]]
    return Markup(scatter_chart(dots, f"Precision and recall, per cent: {said}", joined))


def _class_rungs(result: RunResult) -> list[Rung]:
    """The first and the last rung that have the classes' IoU."""
    scored = [rung for rung in result.rungs if rung.iou]
    return scored if len(scored) < 2 else [scored[0], scored[-1]]


def _gallery(result: RunResult, palette: np.ndarray, progress: Progress | None) -> GalleryView:
    thumbs = thumbnails.fit(result.gallery, GALLERY_BYTES, palette, progress)
    titles = titles_of(result.gallery)
    # From the first thing that the run made to the last; the truth is the first title after the photo, if it is there.
    made = [place for place, title in enumerate(titles) if place and title != "truth"]
    left, right = (made[0], made[-1]) if made else (0, 0)
    if left == right:
        left = max(0, right - 1)
    return GalleryView(
        "gallery",
        titles,
        left,
        right,
        "strip",
        (("", shots_of(thumbs, titles)),),
        len(result.gallery) - len(thumbs),
    )


def _training(result: RunResult) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """(stage, [(what was logged, its chart)]) of every training."""
    found: dict[str, list[tuple[str, Markup]]] = {}
    for curve in result.training:
        points = [(x, y) for x, y in curve.points if math.isfinite(y)]
        if points:
            (first, start), (last, end) = points[0], points[-1]
            said = (
                f"{curve.node}, {curve.series} by iteration: {start:.4g} at {first:g}, "
                f"{end:.4g} at {last:g}"
            )
            chart = small_chart([Line(RowKey(curve.series, 0, 0), points)], said, False)
            found.setdefault(curve.node, []).append((curve.series, Markup(chart)))
    return list(found.items())
