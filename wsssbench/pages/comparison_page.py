"""The page of several rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from markupsafe import Markup

from wsssbench.files.images import voc_palette
from wsssbench.pages import thumbnails
from wsssbench.pages.charts import BarChart, Bars, bar_charts, class_charts
from wsssbench.pages.curves import Curve, line_chart
from wsssbench.pages.downloads import svg_file, text_file
from wsssbench.pages.gallery_view import GalleryView, Pictures, legend_of, titles_of
from wsssbench.pages.html import render_page
from wsssbench.pages.row_styles import RowStyle, row_styles
from wsssbench.pages.run_page import summary, training_charts
from wsssbench.pages.scatter import Dot, scatter_chart
from wsssbench.progress import Progress
from wsssbench.results import seed_means
from wsssbench.results.axes import ROW, Axes
from wsssbench.results.collection import Collection, Member
from wsssbench.results.comparison import Comparison
from wsssbench.results.formats import comparison_table, csv_text, over_seeds_text
from wsssbench.results.formatting import interval, listed, signed
from wsssbench.results.image_pairs import ImagePair
from wsssbench.results.layout import Scored
from wsssbench.results.metrics import METRICS
from wsssbench.results.protocol import side_by_side
from wsssbench.results.run import Evaluation, StageTime
from wsssbench.results.selection import Selection

GALLERY_BYTES = 8_000_000  # of the page's 10 MB: rows have many charts
_TOGETHER = "together"
_COLUMN = 10  # rows per drawing of bars
Styles = Mapping[str, RowStyle]


@dataclass(frozen=True)
class ComparisonReport:
    """The values that the page of several rows shows.

    Attributes:
        collection: the rows and their runs.
        selection: the rung and the two rows that are looked at.
        tables: of the rung, and of all rungs if there are several.
        most: where A beats B most, of `image_pairs`.
        least: where it does least.
        pairs_problem: why there are none.
        pictures: of the gallery, and of `most` and `least`.
    """

    collection: Collection
    selection: Selection
    tables: Sequence[Comparison]
    most: Sequence[ImagePair] = ()
    least: Sequence[ImagePair] = ()
    pairs_problem: str = ""
    pictures: Pictures = field(default_factory=Pictures)

    @property
    def pairs(self) -> dict[str, Sequence[ImagePair]]:
        """Heading -> the images below it."""
        a, b = self.selection.a, self.selection.b
        return {f"Where {a} beats {b} most": self.most, f"Where {a} beats {b} least": self.least}


def render(
    report: ComparisonReport, palette: np.ndarray | None = None, progress: Progress | None = None
) -> str:
    """The page of several rows as HTML text; `palette` and `progress` as of `run_page.render`."""
    palette = voc_palette() if palette is None else palette
    collection, selection = report.collection, report.selection
    of_rows = {row: runs for row in collection.rows if (runs := collection.of(row))}
    evaluations = {row: [e for _, e in runs] for row, runs in selection.scored.items()}
    styles = row_styles(list(of_rows), selection.ranked, selection.pair)
    pair = selection.pair or [*evaluations][:1]
    iou = {row: seed_means.mean_of_classes(evaluations[row], "iou") for row in pair}
    classes, absent = class_charts(list(iou.values()), [styles[row].css for row in iou])
    rates = {}  # old results have none
    for of in ("precision", "recall"):
        series = [seed_means.mean_of_classes(evaluations[row], of) for row in pair]
        rates[of], _ = class_charts(series, [styles[row].css for row in pair], of)
    scores = {
        row: seed_means.mean_scores(of_row, selection.metric) for row, of_row in evaluations.items()
    }
    dots = [Dot(styles[row], *mean) for row, mean in scores.items() if mean]
    trainings: dict[tuple[str, str], list[Curve]] = {}
    for row, runs in of_rows.items():
        for name, points in seed_means.mean_trainings(runs).items():
            trainings.setdefault(name, []).append(Curve(styles[row], points))
    curves = _threshold_curves(selection, evaluations, styles)
    said = f"{selection.rung}: precision and recall, per cent"
    scatter = scatter_chart(dots, said) if dots else None
    pairs, gallery = _galleries(report, palette, progress)
    members = collection.members
    class_names = next((m.result.class_names for m in members if m.result.class_names), [])
    return render_page(
        "comparison.html.j2",
        report=report,
        collection=collection,
        selection=selection,
        title=collection.title,
        facts=_facts(report),
        summary=summary([one.card for of in evaluations.values() for one in of], class_names),
        created=max((member.result.created for member in members), default=""),
        styles=styles,
        shown=[styles[row] for row in selection.scored],
        tables=[comparison_table(table) for table in report.tables],
        files=[
            text_file(f"{collection.title}-{name}", csv_text(table))
            for name, table in zip((selection.rung, "every-rung"), report.tables, strict=False)
        ],
        bars=_bars(report.tables, selection.rung),
        curves=curves,
        dots=dots,
        scatter=scatter,
        drawings={
            name: [svg_file(f"{collection.title}-{name}", chart)]
            for name, chart in (("thresholds", curves[1] if curves else None), ("scatter", scatter))
            if chart
        },
        class_styles=[styles[row] for row in iou if iou[row]],
        classes=classes,
        rates={of: charts for of, charts in rates.items() if charts},
        absent=absent,
        pairs=pairs,
        gallery=gallery,
        legend=legend_of(report.pictures.all, class_names, palette),
        training=training_charts(trainings, numbered=True),
        times=_times(of_rows),
        cards=_cards(report),
        differing=_differing(collection, list(of_rows)),
        environments=_environments(collection),
        configs={
            f"{row}, seed {runs[0].seed}": runs[0].result.config_text
            for row, runs in of_rows.items()
        },
    )


def _facts(report: ComparisonReport) -> list[tuple[str, str, str]]:
    """(number, what it is, remark): the highest row, the one beside it, their difference, how many there are."""
    selection, collection = report.selection, report.collection
    top = selection.ranked[0] if selection.ranked else None
    other = next((row for row in selection.pair if row != top), None)
    ranks = (cell.rank for cell in report.tables[0].cells if cell.row == top)
    facts = []
    for row, what in (
        (top, "best" if next(ranks, 0) == 1 else "highest"),
        (other, "compared with"),
    ):
        if row and (stat := selection.stat(row)):
            remark = f"{selection.rung} {selection.metric.title}"
            if stat.std is not None:
                remark += f" ± {stat.std:.1f} (n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{stat.n})"
            facts.append((f"{stat.mean:.1f}", f"{what}: {row}", remark))
    facts += _difference(report)
    runs, expected = len(collection.members), len(collection.members) + len(collection.missing)
    seeds = [str(seed) for seed in sorted({member.seed for member in collection.members})]
    there = f"{runs} runs" if runs == expected else f"{runs} of {expected} runs there"
    remark = f"{there}, {'seed' if len(seeds) == 1 else 'seeds'} {listed(seeds)}"
    return [*facts, (str(len(collection.rows)), "rows", remark)]


def _difference(report: ComparisonReport) -> list[tuple[str, str, str]]:
    """A minus the baseline, as the table has it."""
    for table in report.tables:
        for score in table.cells:
            wanted = (report.selection.a, table.layout.rung, table.layout.metric)
            difference = score.difference
            if (score.row, score.rung, score.metric) != wanted or difference is None:
                continue
            n, remarks = difference.stat.n, []
            if difference.low is not None and difference.high is not None:
                ends = interval(difference.low, difference.high)
                remarks.append(f"{100 * table.options.confidence:g} % interval over images {ends}")
            if seeds := over_seeds_text(difference):
                remarks.append(f"over seeds {seeds}")
            elif n == 1:
                remarks.append("one seed: it may be chance")
            if score.stat and n < score.stat.n:
                remarks.append(f"over the {n} {'seed' if n == 1 else 'seeds'} both have")
            title = f"{score.row} minus {table.baseline}"
            return [(signed(difference.stat.mean), title, ", ".join(remarks))]
    return []


def _bars(tables: Sequence[Comparison], rung: str) -> dict[str, list[BarChart]]:
    """Rung -> the rows' bars: of `rung` and of every other one with published numbers."""
    of_rungs: dict[str, dict[str, Bars]] = {}
    for table in tables:
        for score in table.cells:
            if score.metric == table.layout.metric and (score.stat or score.paper is not None):
                value, spread = (score.stat.mean, score.stat.std) if score.stat else (None, None)
                one = Bars(score.row or "", (value,), paper=score.paper, spread=spread)
                of_rungs.setdefault(score.rung, {}).setdefault(one.label, one)
    title = METRICS[tables[0].layout.metric].title
    return {
        name: bar_charts(list(groups.values()), f"{title} of {name}", _COLUMN)
        for name, groups in of_rungs.items()
        if name == rung or any(one.paper for one in groups.values())
    }


def _threshold_curves(
    selection: Selection, evaluations: Mapping[str, Sequence[Evaluation]], styles: Styles
) -> tuple[Evaluation, Markup] | None:
    """The rung and its chart of mIoU by threshold, a line per row.

    The rung is the selected one, or the first that has curves.
    """
    if not any(one.curve for of_row in evaluations.values() for one in of_row):
        evaluations = {row: _with_curves(runs) for row, runs in selection.scored.items()}
    points = {row: seed_means.mean_curve(of_row) for row, of_row in evaluations.items()}
    curves = [Curve(styles[row], of_row) for row, of_row in points.items() if of_row]
    if not curves:
        return None
    shown = next(one for of_row in evaluations.values() for one in of_row if one.curve)
    peaks = [(one.style.title, *max(one.points, key=lambda xy: xy[1])) for one in curves]
    said = "; ".join(f"{title} at best {y:.1f} at {x:g}" for title, x, y in peaks)
    title = f"{shown.name}: mIoU by background threshold, one line per row: {said}"
    return shown, line_chart(curves, "background threshold", "mIoU, per cent", title)


def _with_curves(runs: Iterable[Scored]) -> list[Evaluation]:
    """The first evaluation of every run that has a curve."""
    curves = ([e for e in member.result.evaluations if len(e.curve) > 1] for member, _ in runs)
    return [of_run[0] for of_run in curves if of_run]


def _times(of_rows: Mapping[str, Sequence[Member]]) -> dict[str, dict[str, StageTime | None]]:
    """Row -> stage -> its cost, all stages together first; empty if nothing is known."""
    costs = {row: seed_means.mean_times(runs) for row, runs in of_rows.items()}
    stages = dict.fromkeys(stage for of in costs.values() for stage in of)
    return {
        row: {_TOGETHER: seed_means.together(_TOGETHER, of.values()), **dict.fromkeys(stages), **of}
        for row, of in costs.items()
        if stages
    }


def _cards(report: ComparisonReport) -> tuple[list[str], list[tuple[str, list[str], bool]]]:
    """Heads and lines of the protocol cards of every row at the selected rung, and of the paper's."""
    cards = {
        row: {**runs[0].evaluation.card, "seed": ", ".join(str(one.member.seed) for one in runs)}
        for row, runs in report.selection.scored.items()
    }
    heads, of_rows = list(cards), list(cards.values())
    if paper := report.collection.paper_card:
        heads.append(report.collection.paper_source or "paper")
        of_rows.append(dict(paper))
    return heads, side_by_side(of_rows)


def _differing(
    collection: Collection, rows: Sequence[str]
) -> tuple[list[str], dict[str, list[str]]] | None:
    """The axes on which `rows` differ, and each row's values on them."""
    axes = Axes(collection)
    names = [name for name in axes.differing(rows) if name != ROW] if len(rows) > 1 else []
    values = [axes.values(name) for name in names]
    return (names, {row: [of.get(row, "") for of in values] for row in rows}) if names else None


def _environments(collection: Collection) -> tuple[list[str], list[tuple[str, list[str], bool]]]:
    """Heads and lines of the environments of all runs; equal ones are one column."""
    groups: dict[frozenset[tuple[str, str]], list[Member]] = {}
    for member in collection.members:
        groups.setdefault(frozenset(member.result.environment.items()), []).append(member)
    heads = [listed(f"{one.row} (seed {one.seed})" for one in of) for of in groups.values()]
    environments = [of[0].result.environment for of in groups.values()]
    return ["every run"] if len(heads) == 1 else heads, side_by_side(environments)


def _galleries(
    report: ComparisonReport, palette: np.ndarray, progress: Progress | None
) -> tuple[GalleryView, GalleryView]:
    """The images where A and B differ most, and those that are spread evenly."""
    selection, pictures = report.selection, report.pictures
    thumbs = thumbnails.fit(pictures.all, GALLERY_BYTES, palette, progress)
    titles = titles_of(pictures.all, list(selection.scored))
    left, right = (titles.index(row) if row in titles else 0 for row in (selection.b, selection.a))
    if selection.a is None and len(titles) > 1:
        left, right = len(titles) - 2, len(titles) - 1
    most = len(pictures.most)
    of_pairs = most + len(pictures.least)
    parts = (thumbs[:most], thumbs[most:of_pairs])
    numbers = {
        pair.id: [("", signed(pair.difference)), (f"{pair.b:.1f} → {pair.a:.1f}", "")]
        for pair in (*report.most, *report.least)
    }
    groups = dict(zip(report.pairs, parts, strict=True))
    pairs = GalleryView("pairs", titles, left, right, "slider", groups, numbers)
    left_out = len(pictures.all) - len(thumbs)
    groups = {"": thumbs[of_pairs:]}
    return pairs, replace(pairs, name="gallery", groups=groups, numbers={}, left_out=left_out)
