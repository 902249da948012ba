"""The runs behind every place of a comparison's table."""

from __future__ import annotations

from dataclasses import replace

from wsssbench.results.collection import Collection
from wsssbench.results.differences import Scored
from wsssbench.results.layout import Place, Rungs
from wsssbench.results.measures import METRICS, as_scored, point
from wsssbench.results.run import Rung


class Runs:
    """The scored runs of `collection` by place.

    Args:
        baseline: the row that others are compared with, if there is one.
    """

    def __init__(self, collection: Collection, rungs: Rungs, baseline: str | None) -> None:
        self.collection, self.baseline = collection, baseline
        self._of = {
            row: [(member, rungs.of(member)) for member in collection.of(row)]
            for row in collection.rows
        }

    def at(self, place: Place) -> dict[int, Scored]:
        """By seed, those of `place` that have its figure."""
        found = {}
        for member, rungs in self._of.get(place.row or "", ()):
            rung = rungs.get(place.rung)
            if place.seed in (None, member.seed) and rung and point(rung, METRICS[place.metric]):
                found[member.seed] = Scored(member, rung)
        return found

    def of_baseline(self, place: Place) -> dict[int, Scored]:
        """The baseline's, where it has what `place` shows."""
        return self.at(replace(place, row=self.baseline)) if self.baseline else {}

    def rungs(self, place: Place) -> list[Rung]:
        """The rungs of `place`, with the cards of the numbers that it shows."""
        return [as_scored(one.rung, METRICS[place.metric]) for one in self.at(place).values()]
