"""How the rows of a comparison were made: cost, protocol cards, configs, environments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from wsssbench.pages.words import card_lines, listed, memory
from wsssbench.progress import duration
from wsssbench.results.axes import ROW, Axes
from wsssbench.results.choice import Choice
from wsssbench.results.collection import Collection, Member
from wsssbench.results.run import CardValue

_EVALUATE = "evaluate"  # all evaluations together


@dataclass(frozen=True)
class Times:
    """Stages, and per row a (time, memory) in all and for each of them."""

    stages: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def stage_times(collection: Collection) -> Times | None:
    """Mean wall time and highest memory of every stage of every row."""
    found = {row: _times(collection.of(row)) for row in collection.rows if collection.of(row)}
    stages = tuple(dict.fromkeys(stage for of in found.values() for stage in of))
    if not stages:
        return None
    rows = []
    for row, of in found.items():
        cells = [
            (duration(of[stage][0]), memory(of[stage][1])) if stage in of else ("", "")
            for stage in stages
        ]
        everything = sum(seconds for seconds, _ in of.values() if math.isfinite(seconds))
        peak = max((mib for _, mib in of.values() if math.isfinite(mib)), default=math.nan)
        rows.append((row, ((duration(everything), memory(peak)), *cells)))
    return Times(stages, tuple(rows))


def _times(members: Sequence[Member]) -> dict[str, tuple[float, float]]:
    """Stage -> (mean seconds over the runs, highest MiB)."""
    found: dict[str, list[tuple[float, float]]] = {}
    for member in members:
        of_run: dict[str, tuple[float, float]] = {}
        for time in member.result.times:
            stage = _EVALUATE if time.node.startswith(_EVALUATE) else time.node
            seconds, mib = of_run.get(stage, (0.0, 0.0))
            of_run[stage] = (seconds + time.seconds, max(mib, time.peak_mib))
        for stage, cost in of_run.items():
            found.setdefault(stage, []).append(cost)
    return {
        stage: (fmean(seconds for seconds, _ in costs), max(mib for _, mib in costs))
        for stage, costs in found.items()
    }


def card_view(
    choice: Choice, paper: Mapping[str, CardValue], source: str
) -> tuple[list[str], list[tuple[str, list[str], bool]]]:
    """Heads and lines of the protocol cards of every row at the chosen rung, and of the paper's."""
    heads, cards = [], []
    for row, runs in choice.scored.items():
        seeds = [str(member.seed) for member, _ in runs]
        heads.append(row)
        cards.append({**runs[0][1].card, "seed": ", ".join(seeds)})
    if paper:
        heads.append(source or "paper")
        cards.append(dict(paper))
    return heads, card_lines(cards)


def differing_entries(
    collection: Collection, rows: Sequence[str]
) -> tuple[list[str], list[tuple[str, list[str]]]] | None:
    """The axes on which `rows` differ, and their values: (row, values)."""
    axes = Axes(collection)
    names = [name for name in axes.differing(rows) if name != ROW] if len(rows) > 1 else []
    if not names:
        return None
    values = [axes.values(name) for name in names]
    return names, [(row, [of.get(row, "") for of in values]) for row in rows]


def environments(collection: Collection) -> tuple[list[str], list[tuple[str, list[str], bool]]]:
    """Whose, and the lines, of the environments of all runs; equal ones are one column."""
    found: list[tuple[dict[str, str], list[Member]]] = []
    for member in collection.members:
        same = next((of for known, of in found if known == member.result.environment), None)
        if same is None:
            found.append((member.result.environment, [member]))
        else:
            same.append(member)
    whose = ["every run"] if len(found) == 1 else [listed(_names(of)) for _, of in found]
    return whose, card_lines([environment for environment, _ in found])


def configs(collection: Collection) -> list[tuple[str, Any]]:
    """(row and seed, text) of the config of the first run of every row."""
    firsts = [members[0] for row in collection.rows if (members := collection.of(row))]
    return [(f"{one.row}, seed {one.seed}", one.result.config_text) for one in firsts]


def _names(members: Sequence[Member]) -> list[str]:
    rows: dict[str, list[str]] = {}
    for member in members:
        rows.setdefault(member.row, []).append(str(member.seed))
    return [
        f"{row} (seed {seeds[0]})" if len(seeds) == 1 else f"{row} (seeds {', '.join(seeds)})"
        for row, seeds in rows.items()
    ]
