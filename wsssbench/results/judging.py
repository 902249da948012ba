"""What a comparison's cells have to say about each other: whose protocol differs, who is best, what the paper did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from wsssbench.results.axes import NOT_OF_ROWS
from wsssbench.results.differences import Difference
from wsssbench.results.ladder import card_differences
from wsssbench.results.layout import Layout, Place
from wsssbench.results.measures import METRICS, paper_differences
from wsssbench.results.run import Rung
from wsssbench.results.scored_runs import Runs

if TYPE_CHECKING:
    from wsssbench.results.compare import Cell


def judged(
    runs: Runs, layout: Layout, cells: Mapping[Place, Cell], notes: list[str]
) -> dict[Place, Cell]:
    """`cells` with their ranks, and with the notes that say what keeps a number from being compared.

    Args:
        notes: what is said is added here.
    """
    found = dict(cells)
    most = max((cell.stat.n for cell in cells.values() if cell.stat), default=0)
    for group in _groups(layout):
        base = _base(runs, group)
        competing = []
        for place in group:
            cell = cells[place]
            said = _protocol_notes(runs, place, base)
            if cell.stat and not said:
                competing.append(place)
            said += _count_notes(runs, layout, place, cell, most)
            found[place] = replace(cell, notes=_indices(notes, said))
        means = [cell.stat.mean for place in competing if (cell := cells[place]).stat]
        for place, rank in zip(competing, ranks(means), strict=True):
            found[place] = replace(found[place], rank=rank)
    return found


def ranks(values: Sequence[float]) -> list[int]:
    """1 for the highest of `values`, 2 for the next, else 0; equal with one decimal is equal. Two have to compete."""
    shown = [float(f"{value:.1f}") for value in values]
    places = {value: rank for rank, value in enumerate(sorted(set(shown), reverse=True)[:2], 1)}
    return [places.get(value, 0) if len(shown) > 1 else 0 for value in shown]


def with_differences(
    cells: Mapping[Place, Cell],
    differences: Mapping[Place, tuple[Difference | None, str]],
    baseline: str | None,
    notes: list[str],
) -> dict[Place, Cell]:
    """`cells` with their differences to the baseline, and with a note where one is not what it seems to be."""
    filled = dict(cells)
    for place, (difference, problem) in differences.items():
        cell = cells[place]
        said = [problem] if problem else []
        if difference and cell.stat and difference.stat.n < cell.stat.n:
            said.append(f"over the {difference.stat.n} of {cell.stat.n} seeds that both have")
        indices = _indices(notes, [f"vs. {baseline}: {one}" for one in said])
        filled[place] = replace(cell, difference=difference, difference_notes=indices)
    return filled


def with_paper(
    runs: Runs, layout: Layout, cells: Mapping[Place, Cell], notes: list[str]
) -> dict[Place, Cell]:
    """`cells` with the paper's numbers, and with a note where its protocol is another than the baseline's there.

    The paper's number belongs to the figure that was asked for: mIoU, or mIoU at the best threshold.
    """
    collection = runs.collection
    choice = METRICS[layout.metric].choice
    base = {
        place: found
        for group in _groups(layout)
        for found in [_base(runs, group)]
        for place in group
    }
    filled = dict(cells)
    for place, cell in cells.items():
        metric = METRICS[place.metric]
        paper = collection.paper.get(place.row or "", {}).get(place.rung + metric.paper)
        if paper is None or place.seed is not None or metric.choice != choice:
            continue
        said = []
        if (found := base[place]) is not None:
            config = next(iter(collection.of(found[0] or ""))).config
            different = paper_differences(collection.paper_card, found[1], config)
            said = [f"the paper's protocol differs: {'; '.join(different)}"] if different else []
        filled[place] = replace(cell, paper=paper, paper_notes=_indices(notes, said))
    return filled


def _groups(layout: Layout) -> list[list[Place]]:
    """Places that compete: one column, or line, as far as it shows the same figure of the same rung and seed."""
    lines = [places for _, places in layout.lines]
    found: list[list[Place]] = []
    for along in lines if layout.corner in NOT_OF_ROWS else zip(*lines, strict=True):
        kinds: dict[tuple[str, str, int | None], list[Place]] = {}
        for place in dict.fromkeys(along):
            kinds.setdefault((place.rung, place.metric, place.seed), []).append(place)
        found += kinds.values()
    return found


def _base(runs: Runs, group: Iterable[Place]) -> tuple[str | None, Rung] | None:
    """The row whose protocol counts in `group`, and its rung: the baseline, or the first that has runs."""
    places = list(group)
    for place in [replace(places[0], row=runs.baseline), *places]:
        if rungs := runs.rungs(place):
            return place.row, rungs[0]
    return None


def _protocol_notes(runs: Runs, place: Place, base: tuple[str | None, Rung] | None) -> list[str]:
    rungs = runs.rungs(place)
    if not rungs or base is None:
        return []
    said = []
    if place.row != base[0] and (phrases := card_differences(base[1], rungs[0])):
        said.append(f"protocol differs from {base[0]}: {'; '.join(phrases)}")
    if phrases := [phrase for rung in rungs[1:] for phrase in card_differences(rungs[0], rung)]:
        said.append(
            f"averaged over runs of different protocols: {'; '.join(dict.fromkeys(phrases))}"
        )
    return said


def _count_notes(runs: Runs, layout: Layout, place: Place, cell: Cell, most: int) -> list[str]:
    if cell.stat is None or place.seed is not None:
        return []
    all_runs = len(runs.collection.of(place.row or ""))
    if cell.stat.n < all_runs:
        return [f"only {cell.stat.n} of {all_runs} runs have this number"]
    return [f"n = {cell.stat.n}"] if layout.kind == "pivot" and cell.stat.n < most else []


def _indices(notes: list[str], said: Iterable[str]) -> tuple[int, ...]:
    """The indices of what is `said`, after adding to `notes` what was not there yet."""
    said = list(said)
    notes.extend(note for note in said if note not in notes)
    return tuple(notes.index(note) for note in said)
