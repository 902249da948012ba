"""Methods beside each other: mean and spread over seeds, paired differences, the paper's numbers.

    comparison = make_comparison(load([Path("work/sweeps/table1_gpp")]), Options(metric="oracle"))
    for line in comparison.lines:
        print(line.name, [cell.stat for cell in line.cells])

`wsssbench.results.formats` makes texts of it. Only rows of one protocol compete for the best of a column:
a row whose protocol card differs from the baseline's gets a note instead.
"""

from __future__ import annotations

import math
from dataclasses import replace

from wsssbench.errors import UserError, unknown
from wsssbench.progress import Progress, Silent
from wsssbench.results.axes import Axes
from wsssbench.results.collection import Collection
from wsssbench.results.comparison import Comparison, Line, Score
from wsssbench.results.differences import Sides, differences, over_seeds
from wsssbench.results.layout import Layout, Options, Place, RungNames, Runs, lay_out
from wsssbench.results.marks import with_paper, with_ranks
from wsssbench.results.metrics import Stat, metric_at, point, thresholds_of
from wsssbench.results.notes import nothing_scored, remarks
from wsssbench.results.table import Footnotes


def make_comparison(
    collection: Collection, options: Options, progress: Progress | None = None
) -> Comparison:
    """The comparison of the rows of `collection` that `options` ask for.

    Raises:
        UserError: nothing was scored; an unknown rung, metric, row or axis; several rows in one cell.
    """
    names = RungNames(collection.members)
    if not names.titles:
        raise UserError(nothing_scored(collection))
    layout = lay_out(collection, Axes(collection), names, options)
    baseline = _baseline(collection, layout, options.baseline)
    runs = Runs(collection, names, baseline)
    sides = _sides(runs, layout, options.baseline is not None)
    compared = differences(
        sides,
        options.resamples,
        options.confidence,
        progress or Silent(),
    )
    found = {place: one for place, (one, _) in compared.items() if one}
    found = over_seeds(found, sides, options.confidence)
    footnotes = Footnotes()
    scores = {place: _score(runs, place) for place in layout.places}
    scores, separations = with_ranks(runs, layout, scores, options.confidence, footnotes)
    for place, (_, problems) in compared.items():
        numbers = footnotes.numbers(f"vs. {baseline}: {problem}" for problem in problems)
        scores[place] = replace(
            scores[place], difference=found.get(place), difference_notes=numbers
        )
    scores = with_paper(runs, layout, scores, footnotes)
    lines = []
    for name, places in layout.lines:
        n = None if layout.kind == "pivot" else len(collection.of(places[0].row or ""))
        lines.append(Line(name, tuple(scores[place] for place in places), n))
    comparison = Comparison(
        collection.title,
        layout,
        options,
        tuple(lines),
        baseline if any(score.difference for score in scores.values()) else None,
        tuple(footnotes.texts),
        separations=separations,
    )
    return replace(comparison, remarks=tuple(remarks(comparison, collection)))


def _baseline(collection: Collection, layout: Layout, wanted: str | None) -> str | None:
    """The row to compare with: the named one, the collection's, or the first of the table that has runs."""
    there = [row for row in collection.rows if collection.of(row)]
    if wanted is not None:
        if wanted not in collection.rows:
            raise UserError(f"--baseline: {unknown('row', wanted, there)}")
        if wanted not in there:
            raise UserError(
                f"--baseline {wanted}: has no results yet; with results: {', '.join(there)}"
            )
        return wanted
    if collection.baseline in there:
        return collection.baseline
    return next((place.row for place in layout.places if place.row in there), None)


def _sides(runs: Runs, layout: Layout, named: bool) -> dict[Place, Sides]:
    """Both sides of every difference: at one rung, or in every cell of a pivot if the baseline was `named`."""
    choice = metric_at(layout.metric).choice
    sides: dict[Place, Sides] = {}
    for place in layout.places:
        of_rung = place.rung == layout.rung and metric_at(place.metric).choice == choice
        if place.row != runs.baseline and (named if layout.kind == "pivot" else of_rung):
            ours, theirs = runs.at(place), runs.of_baseline(place)
            if ours and theirs:
                sides[place] = (ours, theirs)
    return sides


def _score(runs: Runs, place: Place) -> Score:
    """The number of `place`, without what depends on its neighbours."""
    metric = metric_at(place.metric)
    evaluations = {seed: one.evaluation for seed, one in runs.at(place).items()}
    values = {
        seed: value for seed, one in evaluations.items() if math.isfinite(value := metric.of(one))
    }
    return Score(
        place.row,
        place.rung,
        place.metric,
        values=values,
        stat=Stat.of(values.values()),
        thresholds=thresholds_of(point(one, metric) for one in evaluations.values()),
        card=next((one.card for one in runs.evaluations(place)), {}),
    )
