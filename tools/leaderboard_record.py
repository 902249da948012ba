"""What the leaderboard keeps of a sweep: its comparison with everything that a reader asks for, as one JSON object.

    {"schema": "wsssbench.leaderboard/1", "title": str, "matrix": str, "base": str, "baseline": row | null,
     "confidence": float, "resamples": int, "seeds": [int, ...], "created": ISO 8601 of the newest run,
     "machine": {what: str}, "impossible": {row: why},
     "rows": [{"name": str, "seeds": {"done": [int, ...], "expected": [int, ...], "states": {seed: state}},
               "mAP": STAT | null, "passes": float | null,
               "cost": {"classifier_seconds": float | null, "all_seconds": float | null,
                        "peak_mib": float | null}}, ...],
     "rungs": [{"name": str, "protocol": {str: str | int | float | bool | null}, "remarks": [str, ...],
                "cells": {row: {metric: CELL}}}, ...]}

    CELL = {"mean": per cent, "std": float | null, "n": int, "values": {seed: per cent}, "thresholds": [float, ...],
            "rank": 0 | 1 | 2, "notes": [str, ...],
            "difference": {"mean": float, "std": float | null, "n": int, "low": float, "high": float,
                           "seeds": {"low": float, "high": float, "confidence": float} | null} | null}
    STAT = {"mean": float, "std": float | null, "n": int}

A difference is to the baseline; its `low` and `high` are over images, those of `seeds` over seeds. A sweep that is not
finished gives a record of what is there; a metric that a row does not have is left out. No path of the machine is kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from methods_index import passes

from wsssbench.contract import Rig
from wsssbench.errors import UserError
from wsssbench.plugins import load as load_plugins
from wsssbench.results.collection import Collection, Member, load
from wsssbench.results.compare import make_comparison
from wsssbench.results.comparison import Comparison, Score
from wsssbench.results.convergence import classifier_map
from wsssbench.results.layout import Options, RungNames
from wsssbench.results.metrics import METRICS, Stat
from wsssbench.results.protocol import protocol
from wsssbench.results.seed_means import mean_times, together
from wsssbench.results.sweep_record import Sweep, read_sweep

SCHEMA = "wsssbench.leaderboard/1"
CONFIDENCE, RESAMPLES = 0.95, 1000
_MACHINE = ("cpus", "python", "torch")
_PATH = re.compile(r"(?:^|[\s\"'(=])(?:/[\w.-]+){2,}|\b[A-Za-z]:\\|~/")


def record(directory: Path) -> dict[str, Any]:
    """The record of the sweep in `directory`, as far as it got.

    Raises:
        UserError: it is no sweep, nothing of it was scored, it is a trial, or a text in it has a path of this machine.
    """
    sweep, collection = read_sweep(directory), load([directory])
    if any(member.result.trial for member in collection.members):
        raise UserError(f"{directory} is a trial (--smoke or --limit): its numbers are no results")
    # Why a cell failed is the machine's business, and often has its paths.
    missing = tuple(
        one if one.state == "impossible" else replace(one, reason="") for one in collection.missing
    )
    collection = replace(collection, missing=missing)
    rungs = list(_rungs(collection))  # first: it refuses what was never scored
    newest = max(collection.members, key=lambda member: member.result.created).result
    found = {
        "schema": SCHEMA,
        "title": collection.title,
        "matrix": sweep.name,
        "base": Path(sweep.base).name,
        "baseline": collection.baseline or rungs[0]["baseline"],
        "confidence": CONFIDENCE,
        "resamples": RESAMPLES,
        "seeds": sorted({cell.seed for cell in sweep.cells}),
        "created": newest.created,
        "machine": {key: newest.environment[key] for key in _MACHINE if key in newest.environment},
        "impossible": {one.row: one.reason for one in missing if one.state == "impossible"},
        "rows": _rows(sweep, collection),
        "rungs": [{key: of for key, of in rung.items() if key != "baseline"} for rung in rungs],
    }
    for text in _texts(found):
        if _PATH.search(text):
            raise UserError(
                f"{directory}: {text!r:.200} has a path of this machine, which has no place in a leaderboard"
            )
    return found


def _rungs(collection: Collection) -> Iterator[dict[str, Any]]:
    names = RungNames(collection.members)
    for rung in names.titles or [None]:
        options = Options(rung=rung, resamples=RESAMPLES, confidence=CONFIDENCE)
        comparison = make_comparison(collection, options)
        cells: dict[str, dict[str, Any]] = {}
        for score in comparison.cells:
            if score.row and score.stat and score.metric in METRICS:
                cells.setdefault(score.row, {})[score.metric] = _cell(comparison, score)
        of_rung = [of[rung] for member in collection.members if rung in (of := names.of(member))]
        # What is missing is told by the rows.
        remarks = [
            one
            for one in comparison.remarks
            if "no result yet" not in one and "cannot run" not in one
        ]
        yield {
            "name": comparison.layout.rung,
            "baseline": comparison.baseline,
            "protocol": protocol(of_rung[0]),
            "remarks": remarks,
            "cells": cells,
        }


def _cell(comparison: Comparison, score: Score) -> dict[str, Any]:
    notes = dict.fromkeys((*score.notes, *score.difference_notes))
    cell = {**_stat(score.stat), "values": {str(seed): of for seed, of in score.values.items()}}
    cell |= {"thresholds": list(score.thresholds), "rank": score.rank}
    cell |= {"notes": [comparison.notes[note] for note in notes], "difference": None}
    if difference := score.difference:
        of = difference.seeds
        seeds = of and {"low": of.low, "high": of.high, "confidence": of.confidence}
        ends = {"low": difference.low, "high": difference.high}
        cell["difference"] = {**_stat(difference.stat), **ends, "seeds": seeds}
    return cell


def _rows(sweep: Sweep, collection: Collection) -> list[dict[str, Any]]:
    rows = []
    registries = load_plugins().registries
    with Rig(registries) as rig:
        for row in (one.name for one in sweep.rows if one.run):
            members = collection.of(row)
            cells = [cell for cell in sweep.cells if cell.row == row]
            states = {str(one.seed): one.state for one in collection.missing if one.row == row}
            seeds = {
                "done": [member.seed for member in members],
                "expected": [cell.seed for cell in cells],
            }
            rows.append(
                {
                    "name": row,
                    "seeds": {**seeds, "states": states},
                    "mAP": _stat(Stat.of(map(classifier_map, members))) or None,
                    "passes": _passes(rig, members[0]) if members else None,
                    "cost": _cost(members),
                }
            )
    return rows


def _cost(members: Sequence[Member]) -> dict[str, float | None]:
    """Mean wall seconds of training the classifiers and of everything, and the highest memory of a training, MiB."""
    times = mean_times(members)
    trainings = [of for node, of in times.items() if node.rpartition(".")[2] == "classify"]
    training, everything = together("training", trainings), together("all", times.values())
    peak = training.peak_mib
    return {
        "classifier_seconds": round(training.seconds, 1) if trainings else None,
        "all_seconds": round(everything.seconds, 1) if times else None,
        "peak_mib": round(peak) if math.isfinite(peak) else None,
    }


def _passes(rig: Rig, member: Member) -> float | None:
    """How often the classifier's training sees an image's pixels, as the index of methods counts.

    None for several rounds or chains, and for a component that says nothing about it.
    """
    config = member.config
    if (
        config.get("before")
        or config.get("rounds", 1) not in (1, None)
        or "classifier" not in config
    ):
        return None
    total = 1.0
    for kind, key in (("erasing", "erasing"), ("objective", "objectives")):
        for one in config["classifier"].get(key) or ():
            component = rig.registries[kind].components.get(one["type"])
            counted = passes(rig, component) if component else ""
            if not counted:
                return None
            total += float(counted) - 1
    return round(total, 2)


def _stat(stat: Stat | None) -> dict[str, Any]:
    return asdict(stat) if stat else {}


def _texts(value: Any) -> Iterator[str]:
    """Every text in `value`, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, of in value.items():
            yield from (str(key), *_texts(of))
    elif isinstance(value, Sequence):
        for of in value:
            yield from _texts(of)
