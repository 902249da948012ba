"""Marks on the scores of a comparison: whose protocol differs, who has not converged, which is best, what the paper
reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wsssbench.results.axes import NOT_OF_ROWS
from wsssbench.results.comparison import Score
from wsssbench.results.convergence import unconverged
from wsssbench.results.layout import Layout, Place, Runs
from wsssbench.results.metrics import metric_at
from wsssbench.results.protocol import card_differences, mixed_protocols, paper_differences
from wsssbench.results.run import Evaluation
from wsssbench.results.separation import Separation, separate
from wsssbench.results.table import Footnotes

Scores = dict[Place, Score]


def with_ranks(
    runs: Runs, layout: Layout, scores: Scores, confidence: float, footnotes: Footnotes
) -> tuple[Scores, dict[str, Separation]]:
    """`scores` with their ranks and the notes that say what keeps a number from being compared.

    And heading -> what can be said about the order in that column, or line, where rows compete.
    """
    marked = dict(scores)
    separations: dict[str, Separation] = {}
    not_converged = unconverged(runs.collection)
    most = max((score.stat.n for score in scores.values() if score.stat), default=0)
    for heading, group in _groups(layout):
        base = _base(runs, group)
        competing: dict[str, Place] = {}
        for place in group:
            score = scores[place]
            said = _protocol_notes(runs, place, base)
            if score.stat and not said:
                competing[place.row or ""] = place
            if score.stat and place.row in not_converged:
                said.append(not_converged[place.row])
            if score.stat and place.seed is None:
                n, all_runs = score.stat.n, len(runs.collection.of(place.row or ""))
                if n < all_runs:
                    said.append(f"only {n} of {all_runs} runs have this number")
                elif layout.kind == "pivot" and n < most:
                    said.append(f"n = {n}")
            marked[place] = replace(score, notes=footnotes.numbers(said))
        values = {row: scores[place].values for row, place in competing.items()}
        if separation := separate(values, confidence):
            separations[heading] = separation
            for row, rank in separation.ranks.items():
                marked[competing[row]] = replace(marked[competing[row]], rank=rank)
    return marked, separations


def with_paper(runs: Runs, layout: Layout, scores: Scores, footnotes: Footnotes) -> Scores:
    """`scores` with the paper's numbers, and with a note where its protocol is another than the baseline's there.

    The paper's number belongs to the metric that was asked for: mIoU, or mIoU at the best threshold.
    """
    collection = runs.collection
    base = {place: _base(runs, group) for _, group in _groups(layout) for place in group}
    filled = dict(scores)
    for place, score in scores.items():
        metric = metric_at(place.metric)
        paper = collection.paper.get(place.row or "", {}).get(place.rung + metric.paper)
        asked = place.seed is None and metric.choice == metric_at(layout.metric).choice
        if paper is None or not asked:
            continue
        said = []
        if compared := base[place]:
            row, evaluation = compared
            config = collection.of(row)[0].config
            if different := paper_differences(collection.paper_card, evaluation, config):
                said = [f"the paper's protocol differs: {'; '.join(different)}"]
        filled[place] = replace(score, paper=paper, paper_notes=footnotes.numbers(said))
    return filled


def _groups(layout: Layout) -> list[tuple[str, list[Place]]]:
    """Heading and places that compete: one column, or line, as far as it shows the same metric of the same rung and
    seed."""
    lines = [places for _, places in layout.lines]
    if layout.corner in NOT_OF_ROWS:
        along = list(zip((name for name, _ in layout.lines), lines, strict=True))
    else:
        along = list(zip(layout.columns, zip(*lines, strict=True), strict=False))
    groups: list[tuple[str, list[Place]]] = []
    for heading, places in along:
        kinds: dict[tuple[str, str, int | None], list[Place]] = {}
        for place in dict.fromkeys(places):
            kinds.setdefault((place.rung, place.metric, place.seed), []).append(place)
        groups += [(heading, group) for group in kinds.values()]
    return groups


def _base(runs: Runs, group: Sequence[Place]) -> tuple[str, Evaluation] | None:
    """The row whose protocol counts in `group`, and its evaluation: the baseline, or the first that has runs."""
    for place in [replace(group[0], row=runs.baseline), *group]:
        if place.row is not None and (evaluations := runs.evaluations(place)):
            return place.row, evaluations[0]
    return None


def _protocol_notes(runs: Runs, place: Place, base: tuple[str, Evaluation] | None) -> list[str]:
    evaluations = runs.evaluations(place)
    if not evaluations or base is None:
        return []
    said = []
    if place.row != base[0] and (phrases := card_differences(base[1], evaluations[0])):
        said.append(f"protocol differs from {base[0]}: {'; '.join(phrases)}")
    return said + mixed_protocols(evaluations)
