"""The sentences below a comparison that are about the whole of it."""

from __future__ import annotations

from collections.abc import Iterable

from wsssbench.results.collection import Collection, Missing
from wsssbench.results.comparison import Comparison
from wsssbench.results.formatting import listed, thresholds_text, trial_text
from wsssbench.results.metrics import metric_at
from wsssbench.results.protocol import threshold_origin
from wsssbench.results.separation import MIN_SEEDS

MOST_NAMED = 4  # cells without results that are named one by one


def remarks(comparison: Comparison, collection: Collection) -> list[str]:
    """Spread, thresholds, the interval, the paper, and what is missing; one sentence each."""
    trials = dict.fromkeys(member.result.trial for member in collection.members)
    said = [trial_text(trial) for trial in trials if trial]
    counts = [cell.stat.n for cell in comparison.cells if cell.stat]
    if max(counts, default=1) > 1:
        n = f"n = {max(counts)}" if comparison.layout.kind == "pivot" else "n"
        said.append(f"mean ± sample standard deviation over {n} seeds")
    said += [*_order(comparison), *_thresholds(comparison), *_interval(comparison)]
    if any(cell.paper is not None for cell in comparison.cells):
        own = "" if collection.paper_card else ", by the paper's own protocol"
        said.append(f"paper: {collection.paper_source or 'as published'}{own}")
    return said + _missing(comparison, collection)


def nothing_scored(collection: Collection) -> str:
    """The sentence for a collection without any number of ours."""
    if collection.members:
        return f"{collection.title}: no run was scored; their data sets have no masks"
    return f"{collection.title}: no run has finished yet; {_states(collection.missing)}"


def _order(comparison: Comparison) -> list[str]:
    """Why nothing is marked as the best of a column, or by which test something is."""
    headings: dict[str, list[str]] = {}  # by reason
    for heading, separation in comparison.separations.items():
        headings.setdefault(separation.reason, []).append(heading)
    marked = headings.pop("", [])
    everywhere = not marked and len(headings) == 1
    if len(headings) > MOST_NAMED:
        every = [heading for of in headings.values() for heading in of]
        headings = {"--format json has the interval of each": every}
    said = [
        f"not separable{'' if everywhere else f' ({listed(of)})'}: {reason}"
        for reason, of in headings.items()
    ]
    if marked:
        said.append(
            f"marked as best: the paired {100 * comparison.options.confidence:g} % interval over seeds against every "
            "other row, corrected for their number (Holm), excludes 0"
        )
    return said


def _thresholds(comparison: Comparison) -> list[str]:
    """The origin of the thresholds of each rung that needs one; a row that differs has a note about it."""
    origins: dict[str, str] = {}
    for cell in comparison.cells:
        if cell.thresholds:
            oracle = metric_at(cell.metric).choice == "oracle"
            name = f"{cell.rung}, oracle" if oracle else cell.rung
            fixed = f"at the threshold {thresholds_text(cell.thresholds)}, fixed beforehand"
            origins.setdefault(name, f"{name}: {threshold_origin(cell.card) or fixed}")
    return list(origins.values())


def _interval(comparison: Comparison) -> list[str]:
    differences = [cell.difference for cell in comparison.cells if cell.difference]
    if not differences:
        return []
    layout, options = comparison.layout, comparison.options
    of_rung = f"{layout.rung} {metric_at(layout.metric).title}"
    what = "the number" if layout.kind == "pivot" else of_rung
    base = comparison.baseline
    text = f"vs. {base}: {what} minus that of {base}, over the seeds both have"
    said = [text]
    if any(difference.low is not None for difference in differences):
        said[0] += (
            f"; in brackets the {100 * options.confidence:g} % interval of {options.resamples} bootstrap "
            "resamples of the images: it covers the choice of images, not that of seeds"
        )
    return said + _seeds(comparison)


def _seeds(comparison: Comparison) -> list[str]:
    """What covers the choice of seeds, and where nothing does."""
    rows: dict[int, dict[str, None]] = {}  # seeds in common with the baseline -> rows
    found = [(cell.row or "", cell.difference) for cell in comparison.cells if cell.difference]
    for row, difference in found:
        rows.setdefault(difference.stat.n, {})[row] = None
    said = []
    if any(difference.seeds for _, difference in found):
        said.append(
            f"over seeds: the paired t interval of the same difference, {MIN_SEEDS} seeds at least, each row's level "
            f"corrected for the number of rows compared with {comparison.baseline} (Holm): the chance that any row "
            f"gets an interval without 0 though it is no different is {100 * (1 - comparison.options.confidence):.3g} "
            "% at most"
        )
    named = {n: "" if len(rows) == 1 else f" ({listed(of)})" for n, of in rows.items()}
    if 1 in rows:
        images = any(difference.low is not None for _, difference in found)
        covers = "; the interval covers images only" if images else ""
        said.append(f"one seed{named[1]}: the difference may be chance{covers}")
    if 2 in rows:
        said.append(
            f"two seeds{named[2]}: too few for an interval over seeds, which needs {MIN_SEEDS}"
        )
    return said


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
