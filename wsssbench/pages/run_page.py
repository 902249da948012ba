"""The page of one run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from wsssbench.files.images import voc_palette
from wsssbench.pages import thumbnails
from wsssbench.pages.charts import BarChart, Bars, bar_charts
from wsssbench.pages.curves import Curve, curve_chart, small_chart
from wsssbench.pages.gallery_view import GROUND_TRUTH, GalleryView, foreground, legend_of, titles_of
from wsssbench.pages.html import render_page
from wsssbench.pages.row_styles import RowStyle
from wsssbench.pages.scatter import Dot, scatter_chart
from wsssbench.pages.svg import finite
from wsssbench.progress import Progress, duration
from wsssbench.results.formatting import number, trial_text
from wsssbench.results.ladder import aggregate, ladder_table
from wsssbench.results.protocol import side_by_side
from wsssbench.results.run import CardValue, Evaluation, RunResult, StageTime
from wsssbench.results.seed_means import together

GALLERY_BYTES = 9_000_000  # of the page's 10 MB
_COLUMN = 12  # classes per chart; more go into a second one beside it


def render(
    result: RunResult,
    palette: np.ndarray | None = None,
    note: str = "",
    progress: Progress | None = None,
) -> str:
    """The page of a run as HTML text.

    Args:
        result: the run.
        palette: (256, 3) uint8 colours of the label values in the gallery; by default VOC's.
        note: why there are no pictures.
        progress: is told about the pictures.
    """
    palette = voc_palette() if palette is None else palette
    evaluations = result.evaluations
    cards = [one.card for one in evaluations]
    seeds = [f"seed {card['seed']}" for card in cards[:1] if card.get("seed") is not None]
    trial = [trial_text(result.trial)] if result.trial else []
    with_classes = [one for one in evaluations if one.iou]
    first_and_last = with_classes if len(with_classes) < 2 else [with_classes[0], with_classes[-1]]
    classes, absent = class_charts([one.iou for one in first_and_last])
    made = together("made in this run", (time for time in result.times if not time.reused))
    dots, way = _dots(evaluations)
    trainings = {
        (one.node, one.series): [Curve(RowStyle(one.series, 0, 0), one.points)]
        for one in result.training
    }
    return render_page(
        "run.html.j2",
        result=result,
        title=result.name,
        facts=_facts(result, made),
        summary=[*trial, *summary(cards, result.class_names), *seeds, f"run {result.run_id}"],
        table=ladder_table(aggregate([result])),
        ladder_charts=_ladder_charts(result),
        has_oracle=any(one.chosen and one.oracle for one in evaluations),
        has_paper=any(one.name in result.reference for one in evaluations),
        curves=_curves(evaluations),
        dots=dots,
        scatter=scatter_chart(dots, "Precision and recall, per cent", way) if dots else None,
        class_evaluations=first_and_last,
        classes=classes,
        absent=absent,
        gallery=_gallery(result, palette, progress),
        picture_note=note,
        legend=legend_of(result.gallery, result.class_names, palette),
        training=training_charts(trainings, numbered=False),
        made=made,
        shares=_shares(result.times),
        cards=side_by_side(cards),
    )


def class_charts(
    series: Sequence[Mapping[str, float | None]], looks: Sequence[str] = ("s0", "s1")
) -> tuple[list[BarChart], list[str]]:
    """IoU per class of each of `series` (class -> per cent), and the classes that have no number.

    There is one chart, or two beside each other. `looks` are the style sheet's classes of the series.
    """
    names = dict.fromkeys(name for iou in series for name in iou)
    groups = [Bars(name, tuple(iou.get(name) for iou in series)) for name in names]
    shown = [group for group in groups if any(map(finite, group.values))]
    absent = [group.label for group in groups if not any(map(finite, group.values))]
    return bar_charts(shown, "IoU per class", _COLUMN, looks), absent


def _facts(result: RunResult, made: StageTime) -> list[tuple[str, str, str]]:
    """(number, what it is, remark) of the rungs that people ask for first, and the time."""
    scored = [(one, point) for one in result.evaluations if (point := one.best_known)]
    facts = []
    for place in sorted({0, max(0, len(scored) - 2), len(scored) - 1} if scored else ()):
        one, point = scored[place]
        remark = f"on {one.split}" + ("" if one.chosen else ", oracle threshold")
        facts.append((number(point.miou), f"{one.name}, mIoU", remark))
    if result.times:
        reused = sum(time.reused for time in result.times)
        remark = f"{reused} of {len(result.times)} stages reused" if reused else "every stage made"
        facts.append((duration(made.seconds), "this run", remark))
    return facts


def _shares(times: Sequence[StageTime]) -> list[float]:
    """Each stage's time in per cent of the longest."""
    seconds = [time.seconds if math.isfinite(time.seconds) else 0.0 for time in times]
    longest = max(seconds, default=0.0) or 1.0
    return [round(100 * value / longest, 1) for value in seconds]


def summary(cards: Sequence[Mapping[str, CardValue]], class_names: Sequence[str]) -> list[str]:
    """The data set of the first of `cards` that names one, and the number of classes."""
    words = [str(card["dataset"]) for card in cards if card.get("dataset")][:1]
    return [*words, *([f"{len(foreground(class_names))} classes"] if class_names else [])]


def _ladder_charts(result: RunResult) -> list[BarChart]:
    groups = [
        Bars(
            one.name,
            (one.best_known.miou if one.best_known else None,),
            oracle=one.oracle.miou if one.chosen and one.oracle else None,
            paper=result.reference.get(one.name),
        )
        for one in result.evaluations
    ]
    return bar_charts(groups, "mIoU at every rung")


def _curves(evaluations: Sequence[Evaluation]) -> list[tuple[Evaluation, Markup]]:
    """The evaluations that have a threshold curve, with its drawing."""
    curves = []
    for one in evaluations:
        if sum(point.threshold is not None for point in one.curve) > 1:
            title = (
                f"{one.name}: mIoU, precision and recall at {len(one.curve)} background thresholds; "
                "the numbers are in the table below"
            )
            choice = str(one.card.get("threshold_choice", "fixed"))
            chart = curve_chart(one.curve, one.chosen, one.oracle, title, choice)
            curves.append((one, chart))
    return curves


def _dots(evaluations: Sequence[Evaluation]) -> tuple[list[Dot], list[Dot]]:
    """Precision and recall of every rung, and those of the first one's split, which a line joins."""
    dots = [
        (Dot(RowStyle(one.name, place, 0), point.precision, point.recall), one.split)
        for place, one in enumerate(evaluations, 1)
        if (point := one.best_known) and finite(point.precision) and finite(point.recall)
    ]
    return [dot for dot, _ in dots], [dot for dot, split in dots if split == dots[0][1]]


def _gallery(result: RunResult, palette: np.ndarray, progress: Progress | None) -> GalleryView:
    thumbs = thumbnails.fit(result.gallery, GALLERY_BYTES, palette, progress)
    titles = titles_of(result.gallery)
    # From the first thing that the run made to the last; the mask is the first title after the photo, if it is there.
    made = [place for place, title in enumerate(titles) if place and title != GROUND_TRUTH]
    left, right = (made[0], made[-1]) if made else (0, 0)
    if left == right:
        left = max(0, right - 1)
    left_out = len(result.gallery) - len(thumbs)
    return GalleryView("gallery", titles, left, right, "strip", {"": thumbs}, left_out=left_out)


def training_charts(
    curves: Mapping[tuple[str, str], Sequence[Curve]], numbered: bool
) -> dict[str, dict[str, Markup]]:
    """Stage -> what was logged -> its chart; `curves` by (stage, what was logged)."""
    charts: dict[str, dict[str, Markup]] = {}
    for (stage, series), lines in curves.items():
        drawn = [(one, one.finite) for one in lines if one.finite]
        if drawn:
            said = "; ".join(
                f"{one.style.title} {points[0][1]:.4g}, {points[-1][1]:.4g}"
                for one, points in drawn
            )
            title = f"{stage}, {series} by iteration, at the beginning and at the end: {said}"
            chart = small_chart([one for one, _ in drawn], title, numbered)
            charts.setdefault(stage, {})[series] = chart
    return charts
