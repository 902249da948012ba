"""What is said below a comparison about the whole of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wsssbench.results.collection import Collection, Missing
from wsssbench.results.ladder import thresholds_text
from wsssbench.results.measures import METRICS

if TYPE_CHECKING:
    from wsssbench.results.compare import Cell, Comparison

MOST_NAMED = 4  # cells without results that are named one by one
_CHOICES = {
    "heldout": "the threshold that is best on the pixel truth of the held-out split {held}",
    "otsu": "the threshold by Otsu's criterion, without pixel truth",
    "oracle": "the threshold that is best on the pixel truth of the same split",
}


def remarks(comparison: Comparison, collection: Collection) -> list[str]:
    """Spread, thresholds, the interval, the paper, and what is missing; one sentence each."""
    return [
        *_spread(comparison),
        *_thresholds(comparison.cells),
        *_interval(comparison),
        *_paper(comparison, collection),
        *_missing(comparison, collection),
    ]


def nothing_scored(collection: Collection) -> str:
    """The sentence for a collection without any number of ours."""
    if collection.members:
        return f"{collection.title}: no run was scored; their data sets have no masks"
    return f"{collection.title}: no run has finished yet; {_states(collection.missing)}"


def _spread(comparison: Comparison) -> list[str]:
    counts = [cell.stat.n for cell in comparison.cells if cell.stat]
    if max(counts, default=1) < 2:
        return []
    if comparison.kind == "pivot":
        return [f"mean ± sample standard deviation over n = {max(counts)} seeds"]
    return ["mean ± sample standard deviation over n seeds"]


def _thresholds(cells: Sequence[Cell]) -> list[str]:
    """Where the thresholds of each rung that needs one are from; a row that differs has a note about it."""
    found: dict[str, str] = {}
    for cell in cells:
        if not cell.thresholds:
            continue
        choice = str(cell.card.get("threshold_choice"))
        text = _CHOICES.get(
            choice, f"the threshold {thresholds_text(cell.thresholds)}, fixed beforehand"
        )
        oracle = METRICS[cell.metric].choice == "oracle"
        name = f"{cell.rung}, oracle" if oracle else cell.rung
        found.setdefault(name, f"{name}: at {text.format(held=cell.card.get('held out', ''))}")
    return list(found.values())


def _interval(comparison: Comparison) -> list[str]:
    differences = [cell.difference for cell in comparison.cells if cell.difference]
    if not differences:
        return []
    what = (
        "the number"
        if comparison.kind == "pivot"
        else f"{comparison.rung} {METRICS[comparison.metric].title}"
    )
    text = f"vs. {comparison.baseline}: {what} minus that of {comparison.baseline}, over the seeds both have"
    if any(difference.low is not None for difference in differences):
        text += (
            f"; in brackets the {100 * comparison.confidence:g} % interval of {comparison.resamples} bootstrap "
            "resamples of the images: it covers the choice of images, not that of seeds"
        )
    return [text]


def _paper(comparison: Comparison, collection: Collection) -> list[str]:
    if all(cell.paper is None for cell in comparison.cells):
        return []
    source = collection.paper_source or "as published"
    return [f"paper: {source}" + ("" if collection.paper_card else ", by the paper's own protocol")]


def _missing(comparison: Comparison, collection: Collection) -> list[str]:
    rows = {cell.row for cell in comparison.cells}
    missing = [one for one in collection.missing if one.row in rows]
    impossible = {one.row: one.reason for one in missing if one.state == "impossible"}
    said = [f"{row} cannot run: {reason}" for row, reason in impossible.items()]
    waiting = [one for one in missing if one.state != "impossible"]
    if waiting:
        total = len(missing) + sum(member.row in rows for member in collection.members)
        have = "has" if len(waiting) == 1 else "have"
        failed = any(one.state == "failed" for one in waiting)
        said.append(
            f"{len(waiting)} of {total} cells {have} no result yet: {_states(waiting)}; give the same "
            f"'wsssbench sweep' command again{', with --retry for what failed' if failed else ''}"
        )
    return said


def _states(missing: Iterable[Missing]) -> str:
    """``GPP seed 1 (failed: out of memory), ... and 3 more``."""
    named = [
        f"{one.row} seed {one.seed} ({one.state}{': ' + one.reason if one.reason else ''})"
        for one in missing
    ]
    more = len(named) - MOST_NAMED
    return ", ".join(named[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
