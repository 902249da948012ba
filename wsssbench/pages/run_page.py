"""The page of one run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from wsssbench.files.images import voc_palette
from wsssbench.pages import thumbnails
from wsssbench.pages.charts import BarChart, Bars, bar_charts
from wsssbench.pages.confusion_chart import WIDE, confusion_chart
from wsssbench.pages.curves import Curve, curve_chart, small_chart
from wsssbench.pages.downloads import Download, csv_file, svg_file, table_file
from wsssbench.pages.gallery_view import GROUND_TRUTH, GalleryView, foreground, legend_of, titles_of
from wsssbench.pages.html import render_page
from wsssbench.pages.row_styles import RowStyle
from wsssbench.pages.scatter import Dot, scatter_chart
from wsssbench.pages.svg import finite
from wsssbench.pages.thumbnails import Thumbnail
from wsssbench.progress import Progress, duration
from wsssbench.results.formatting import number, trial_text
from wsssbench.results.ladder import aggregate, ladder_records, ladder_table
from wsssbench.results.protocol import side_by_side
from wsssbench.results.rounds import chains_table
from wsssbench.results.run import CardValue, Evaluation, RunResult, StageTime
from wsssbench.results.run_details import ClassScores, RunDetails, first_and_last
from wsssbench.results.seed_means import together

GALLERY_BYTES = 8_000_000  # of the page's 10 MB: many classes take room, too


@dataclass(frozen=True)
class ClassView:
    """The classes of one rung: a bar and a line per class, what they are taken for, and both as files."""

    evaluation: Evaluation
    classes: Sequence[ClassScores]
    confusion: Markup | None
    wide: bool
    files: Sequence[Download]


def render(
    result: RunResult,
    palette: np.ndarray | None = None,
    note: str = "",
    progress: Progress | None = None,
    details: RunDetails | None = None,
) -> str:
    """The page of a run as HTML text.

    Args:
        result: the run.
        palette: (256, 3) uint8 colours of the label values in the gallery; by default VOC's.
        note: why there are no pictures.
        progress: is told about the pictures.
        details: of classes and images.
    """
    palette = voc_palette() if palette is None else palette
    details = details or RunDetails()
    evaluations = result.evaluations
    cards = [one.card for one in evaluations]
    seeds = [f"seed {card['seed']}" for card in cards[:1] if card.get("seed") is not None]
    trial = [trial_text(result.trial)] if result.trial else []
    classes = [_class_view(result.name, one, details) for one in first_and_last(evaluations)]
    made = together("made in this run", (time for time in result.times if not time.reused))
    marks = [RowStyle(one.name, at, 0) for at, one in enumerate(evaluations, 1)]
    ladder = aggregate([result])
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
        table=ladder_table(ladder),
        chains=chains_table(result),
        marks=marks,
        bars=_ladder_bars(result),
        has_oracle=any(one.chosen and one.oracle for one in evaluations),
        has_paper=any(one.name in result.reference for one in evaluations),
        ladder_files=[csv_file(f"{result.name}-ladder", ladder_records(ladder))],
        curves=_curves(result),
        scatter=_scatter(result, marks),
        classes=[view for view in classes if view.classes],
        gallery=_gallery(result, palette, progress),
        picture_note=note,
        legend=legend_of(result.gallery, result.class_names, palette),
        training=training_charts(trainings, numbered=False),
        made=made,
        shares=_shares(result.times),
        cards=side_by_side(cards),
    )


def _class_view(name: str, one: Evaluation, details: RunDetails) -> ClassView:
    """What is known of the classes of a rung: of old runs, the IoU alone."""
    classes = details.classes.get(one.node) or [
        ClassScores(key, value if finite(value) else None) for key, value in one.iou.items()
    ]
    stem, matrix = f"{name}-{one.node}", details.confusion.get(one.node)
    files = [csv_file(f"{stem}-classes", map(vars, classes), "CSV of the table")]
    if matrix is None:
        return ClassView(one, classes, None, False, files)
    said = f"{one.name} on {one.split}: what the pixels of every class are predicted as"
    chart = confusion_chart(matrix, said)
    lines = ([key, *row] for key, row in zip(matrix.names, matrix.pixels.tolist(), strict=True))
    head = ["ground truth", *matrix.names, "ignored"]
    files.append(table_file(f"{stem}-confusion", head, lines, "CSV of the matrix"))
    files.append(svg_file(f"{stem}-confusion", chart, "SVG of the matrix"))
    return ClassView(one, classes, chart, len(matrix.names) > WIDE, files)


def _facts(result: RunResult, made: StageTime) -> list[tuple[str, str, str]]:
    """(number, what it is, remark) of the rungs that people ask for first, and the time."""
    scored = [(one, point) for one in result.evaluations if (point := one.best_known)]
    facts = []
    for place in sorted({0, max(0, len(scored) - 2), len(scored) - 1} if scored else ()):
        one, point = scored[place]
        remark = f"on {one.split}" + ("" if one.chosen else ", oracle threshold")
        facts.append((number(point.miou), f"{one.name}, mIoU", remark))
    for node, figures in result.figures.items():
        facts += [
            (number(v), f"{node}, {what}", "") for what, v in figures.items() if "mAP" in what
        ]
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


def _ladder_bars(result: RunResult) -> BarChart | None:
    """The bars of the ladder's lines."""
    groups = [
        Bars(
            one.name,
            (one.best_known.miou if one.best_known else None,),
            oracle=one.oracle.miou if one.chosen and one.oracle else None,
            paper=result.reference.get(one.name),
        )
        for one in result.evaluations
    ]
    return next(iter(bar_charts(groups, "mIoU at every rung", len(groups))), None)


def _curves(result: RunResult) -> list[tuple[Evaluation, Markup, list[Download]]]:
    """The evaluations that have a threshold curve, with its drawing and its files."""
    curves = []
    for one in result.evaluations:
        if sum(point.threshold is not None for point in one.curve) > 1:
            title = (
                f"{one.name}: mIoU, precision and recall at {len(one.curve)} background thresholds; "
                "the numbers are in the table below"
            )
            choice = str(one.card.get("threshold_choice", "fixed"))
            chart = curve_chart(one.curve, one.chosen, one.oracle, title, choice)
            stem = f"{result.name}-{one.node}-thresholds"
            curves.append(
                (one, chart, [csv_file(stem, map(vars, one.curve)), svg_file(stem, chart)])
            )
    return curves


def _scatter(result: RunResult, styles: Sequence[RowStyle]) -> tuple[Markup, list[Download]] | None:
    """Precision and recall of every rung; a line goes from the rung that it was made from, on the same images."""
    dots = [
        (one, Dot(style, point.precision, point.recall))
        for one, style in zip(result.evaluations, styles, strict=True)
        if (point := one.best_known) and finite(point.precision) and finite(point.recall)
    ]
    made = {(one.node, one.split): dot for one, dot in dots}
    joined = [
        (made[one.after, one.split], dot) for one, dot in dots if (one.after, one.split) in made
    ]
    if not dots:
        return None
    chart = scatter_chart([dot for _, dot in dots], "Precision and recall, per cent", joined)
    return chart, [svg_file(f"{result.name}-precision-recall", chart)]


def _gallery(result: RunResult, palette: np.ndarray, progress: Progress | None) -> GalleryView:
    thumbs = thumbnails.fit(result.gallery, GALLERY_BYTES, palette, progress)
    titles = titles_of(result.gallery)
    # From the first thing that the run made to the last; the mask is the first title after the photo, if it is there.
    made = [place for place, title in enumerate(titles) if place and title != GROUND_TRUTH]
    left, right = (made[0], made[-1]) if made else (0, 0)
    if left == right:
        left = max(0, right - 1)
    groups: dict[str, list[Thumbnail]] = {}
    for row, thumb in zip(result.gallery, thumbs, strict=False):
        groups.setdefault(row.group, []).append(thumb)
    numbers = {row.id: row.numbers for row in result.gallery if row.numbers}
    left_out = len(result.gallery) - len(thumbs)
    # Of every split one group is to be seen at first: the headings begin with it.
    openly = {heading.partition(":")[0]: heading for heading in reversed(groups)}
    folded = frozenset(groups) - frozenset(openly.values())
    return GalleryView("gallery", titles, left, right, "strip", groups, numbers, left_out, folded)


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
