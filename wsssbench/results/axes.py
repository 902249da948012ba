"""Axes tell the rows of a comparison apart: those of a sweep, or any value of the configs.

axes = Axes(collection)
axes.values("pooling")              # {"plain": "Mean", "pyramid": "Bins(sides=(2, 4))"}
axes.select(["pooling=GPP"])        # the rows for which that holds
"""

from __future__ import annotations

from collections.abc import Sequence

from wsssbench.errors import UserError, unknown
from wsssbench.results.collection import Collection
from wsssbench.results.config_differences import ABSENT, differing_paths, texts
from wsssbench.results.run_files import config_at

ROW, SEED, RUNG, METRIC, CLASS = "row", "seed", "rung", "metric", "class"
NOT_OF_ROWS = (SEED, RUNG, METRIC, CLASS)  # axes inside a row, on which its own numbers lie


class Axes:
    """The axes of the rows of `collection`."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self._configs = {
            row: members[0].config for row in collection.rows if (members := collection.of(row))
        }
        self._named = tuple(dict.fromkeys(axis for of in collection.axes.values() for axis in of))

    def values(self, axis: str) -> dict[str, str]:
        """The value of every row on `axis`, as text; without the rows that have none, e.g. no run of ours.

        Args:
            axis: ``row``, an axis of the sweep, or a path in the configs such as ``classifier.pooling`` or, of
                the classifier, just ``pooling``.

        Raises:
            UserError: unknown axis.
        """
        if axis == ROW:
            return {row: row for row in self.collection.rows}
        if axis in self._named:
            return {row: of[axis] for row, of in self.collection.axes.items() if axis in of}
        for path in (axis, f"classifier.{axis}"):
            values = {row: config_at(config, path, ABSENT) for row, config in self._configs.items()}
            if any(value is not ABSENT for value in values.values()):
                return dict(zip(values, texts(list(values.values())), strict=True))
        configs = [] if self._named else self.differing(self.collection.rows)
        known = unknown("axis", axis, {*self._named, ROW, *NOT_OF_ROWS, *configs})
        raise UserError(f"{known}; or any path in the configs, e.g. classifier.pooling")

    def select(self, conditions: Sequence[str]) -> list[str]:
        """The rows for which all of `conditions`, ``axis=value``, hold; of one axis, any of its values.

        A component may be given by its name alone: ``pooling=GPP`` holds for ``GPP(bins=(2, 4))``, too.

        Raises:
            UserError: not of that form, an unknown axis or value, or nothing is left.
        """
        wanted: dict[str, list[str]] = {}
        for condition in conditions:
            axis, equals, value = condition.partition("=")
            if not equals or not axis.strip():
                raise UserError(f"--where {condition}: has to be of the form axis=value")
            wanted.setdefault(axis.strip(), []).append(value.strip())
        rows = list(self.collection.rows)
        for axis, given in wanted.items():
            matching = self._matching(axis, given)
            rows = [row for row in rows if row in matching]
        if not rows:
            raise UserError(f"--where {' --where '.join(conditions)}: no row is left")
        return rows

    def _matching(self, axis: str, given: Sequence[str]) -> set[str]:
        """The rows whose value on `axis` is one of `given`."""
        if axis in NOT_OF_ROWS:
            other = "name the runs of that seed" if axis == SEED else f"use --{axis}"
            raise UserError(f"--where {axis}=...: chooses among rows; {other}")
        values = self.values(axis)
        names = {row: (text, text.partition("(")[0]) for row, text in values.items()}
        for value in given:
            if not any(value in of for of in names.values()):
                known = unknown(f"value of {axis}", value, set(values.values()))
                raise UserError(f"--where {axis}={value}: {known}")
        return {row for row, of in names.items() if any(value in of for value in given)}

    def differing(self, rows: Sequence[str]) -> list[str]:
        """Names of the axes on which `rows` differ: the sweep's where these tell, else paths in the configs."""
        named = [
            axis
            for axis in self._named
            if len({self.collection.axes.get(row, {}).get(axis) for row in rows}) > 1
        ]
        if named:
            return named
        return differing_paths([self._configs[r] for r in rows if r in self._configs]) or [ROW]
