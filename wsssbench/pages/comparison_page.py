"""What the page of several rows shows, for the template ``page/comparison.html.j2``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from wsssbench.pages import comparison_charts as charts
from wsssbench.pages import thumbnails
from wsssbench.pages.gallery_view import (
    GalleryView,
    Pictures,
    foreground,
    legend_of,
    shots_of,
    titles_of,
)
from wsssbench.pages.keys import RowKey, row_keys
from wsssbench.pages.provenance_views import (
    card_view,
    configs,
    differing_entries,
    environments,
    stage_times,
)
from wsssbench.pages.run_page import absent_classes, class_charts
from wsssbench.pages.words import listed, signed
from wsssbench.progress import Progress
from wsssbench.results.choice import Choice
from wsssbench.results.collection import Collection
from wsssbench.results.compare import Comparison
from wsssbench.results.formats import grid
from wsssbench.results.image_pairs import ImagePair
from wsssbench.results.ladder import Stat

GALLERY_BYTES = 8_000_000  # of the page's 10 MB: rows have many charts


@dataclass(frozen=True)
class Report:
    """What a page is made of.

    Attributes:
        collection: the rows and their runs.
        choice: the rung and the two rows that are looked at.
        tables: of the rung, and of all rungs if there are several.
        most: where A beats B most, of `image_pairs`.
        least: where it does least.
        pairs_problem: why there are none.
        pictures: of the gallery, and of `most` and `least`.
    """

    collection: Collection
    choice: Choice
    tables: Sequence[Comparison]
    most: Sequence[ImagePair] = ()
    least: Sequence[ImagePair] = ()
    pairs_problem: str = ""
    pictures: Pictures = field(default_factory=Pictures)


def context(
    report: Report, palette: np.ndarray, progress: Progress | None = None
) -> dict[str, Any]:
    """The names that the template uses; `palette` is (256, 3) uint8, the colours of the label values."""
    collection, choice = report.collection, report.choice
    rows = [row for row in collection.rows if collection.of(row)]
    always = [row for row in (choice.b, choice.a) if row]
    keys = row_keys(rows, choice.ranked, always)
    shown = [keys[row] for row in choice.scored]
    classes = [(row, charts.mean_iou(choice, row)) for row in _pair(choice)]
    galleries = _galleries(report, palette, progress)
    pictures = [row for part in _parts(report.pictures) for row in part]
    return {
        "title": collection.title,
        "facts": _facts(report),
        "summary": _summary(report),
        "created": max((member.result.created for member in collection.members), default=""),
        "choice": choice,
        "keys": keys,
        "shown": shown,
        "tables": [grid(table) for table in report.tables],
        "missing": collection.missing,
        "bars": charts.bars(report.tables, choice.rung),
        "paper_source": collection.paper_source,
        "curves": charts.threshold_curves(choice, keys),
        "scatter": charts.scatter(choice, keys),
        "class_rows": _class_rows(choice, keys),
        "classes": class_charts(classes, [keys[row].css for row, _ in classes]),
        "absent": absent_classes(classes),
        "pairs": galleries[0],
        "pair_lines": _pair_lines(report),
        "pairs_problem": report.pairs_problem,
        "gallery": galleries[1],
        "picture_notes": report.pictures.notes,
        "legend": legend_of(pictures, _class_names(collection), palette),
        "training": charts.trainings(collection, keys),
        "times": stage_times(collection),
        "cards": card_view(choice, collection.paper_card, collection.paper_source),
        "differing": differing_entries(collection, rows),
        "environments": environments(collection),
        "configs": configs(collection),
    }


def _pair(choice: Choice) -> list[str]:
    """B and A, or the only row."""
    pair = [row for row in (choice.b, choice.a) if row]
    return pair or list(choice.scored)[:1]


def _class_rows(choice: Choice, keys: Mapping[str, RowKey]) -> list[RowKey]:
    return [keys[row] for row in _pair(choice) if charts.mean_iou(choice, row)]


def _class_names(collection: Collection) -> list[str]:
    return next((m.result.class_names for m in collection.members if m.result.class_names), [])


def _summary(report: Report) -> list[str]:
    collection = report.collection
    cards = [rung.card for runs in report.choice.scored.values() for _, rung in runs]
    words = list(dict.fromkeys(str(card["dataset"]) for card in cards if card.get("dataset")))
    names = _class_names(collection)
    return [*words[:1], *([f"{len(foreground(names))} classes"] if names else [])]


def _facts(report: Report) -> list[tuple[str, str, str]]:
    """(number, what it is, remark): the best row, the one beside it, their difference, how many there are."""
    choice, collection = report.choice, report.collection
    best = choice.ranked[0] if choice.ranked else None
    other = next((row for row in (choice.b, choice.a) if row and row != best), None)
    facts = []
    for row, what in ((best, "best"), (other, "compared with")):
        stat = choice.stat(row) if row else None
        if stat:
            remark = f"{choice.rung} {choice.metric.title}{_spread(stat)}"
            facts.append((f"{stat.mean:.1f}", f"{what}: {row}", remark))
    if difference := _difference(report):
        facts.append(difference)
    runs = len(collection.members)
    expected = runs + len(collection.missing)
    seeds = [str(seed) for seed in sorted({member.seed for member in collection.members})]
    there = f"{runs} runs" if runs == expected else f"{runs} of {expected} runs there"
    said = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {listed(seeds)}"
    facts.append((str(len(collection.rows)), "rows", f"{there}, {said}"))
    return facts


def _spread(stat: Stat) -> str:
    return (
        ""
        if stat.std is None
        else f" ± {stat.std:.1f} (n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{stat.n})"
    )


def _difference(report: Report) -> tuple[str, str, str] | None:
    """A minus the baseline, as the table has it."""
    for table in report.tables:
        for cell in table.cells:
            wanted = (report.choice.a, table.rung, table.metric)
            found = cell.difference
            if (cell.row, cell.rung, cell.metric) != wanted or found is None:
                continue
            seeds = "seed" if found.stat.n == 1 else "seeds"
            fewer = cell.stat is not None and found.stat.n < cell.stat.n
            remark = f"over the {found.stat.n} {seeds} both have" if fewer else ""
            if found.low is not None and found.high is not None:
                interval = f"[{found.low:.1f}, {found.high:.1f}]".replace("-", "−")
                remark = f"{100 * table.confidence:g} % interval over images {interval}" + (
                    f", {remark}" if fewer else ""
                )
            return signed(found.stat.mean), f"{cell.row} minus {table.baseline}", remark
    return None


def _parts(pictures: Pictures) -> tuple[Sequence[Any], ...]:
    return pictures.most, pictures.least, pictures.gallery


def _galleries(
    report: Report, palette: np.ndarray, progress: Progress | None
) -> tuple[GalleryView, GalleryView]:
    """The images where A and B differ most, and those that are spread evenly."""
    choice, parts = report.choice, _parts(report.pictures)
    every = [row for part in parts for row in part]
    thumbs = thumbnails.fit(every, GALLERY_BYTES, palette, progress)
    titles = titles_of(every, list(choice.scored))
    left, right = (titles.index(row) if row in titles else 0 for row in (choice.b, choice.a))
    if choice.a is None and len(titles) > 1:
        left, right = len(titles) - 2, len(titles) - 1
    ends = np.cumsum([0, *(len(part) for part in parts)]).tolist()
    most, least, gallery = (thumbs[start:end] for start, end in pairwise(ends))
    numbers = {pair.id: _numbers(pair) for pair in (*report.most, *report.least)}
    headings = _pair_headings(choice)
    pairs = tuple(
        (heading, shots_of(part, titles, numbers))
        for heading, part in zip(headings, (most, least), strict=True)
    )
    left_out = len(every) - len(thumbs)
    return (
        GalleryView("pairs", titles, left, right, "slider", pairs),
        GalleryView(
            "gallery", titles, left, right, "slider", (("", shots_of(gallery, titles)),), left_out
        ),
    )


def _pair_headings(choice: Choice) -> tuple[str, str]:
    return f"Where {choice.a} beats {choice.b} most", f"Where {choice.a} beats {choice.b} least"


def _pair_lines(report: Report) -> list[tuple[str, list[tuple[str, ...]]]]:
    """(heading, [(image id, B, A, A - B)]) for a page without pictures."""
    return [
        (heading, [(p.id, f"{p.b:.1f}", f"{p.a:.1f}", signed(p.difference)) for p in part])
        for heading, part in zip(
            _pair_headings(report.choice), (report.most, report.least), strict=True
        )
    ]


def _numbers(pair: ImagePair) -> tuple[tuple[str, str], ...]:
    return (("", signed(pair.difference)), (f"{pair.b:.1f} → {pair.a:.1f}", ""))
