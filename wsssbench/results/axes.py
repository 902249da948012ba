"""What tells the rows of a comparison apart: a sweep's axes, or any value of the configs.

axes = Axes(collection)
axes.values("pooling")              # {"plain": "Mean", "pyramid": "Bins(sides=(2, 4))"}
axes.select(["pooling=GPP"])        # the rows for which that holds
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wsssbench.errors import UserError, unknown
from wsssbench.results.collection import Collection
from wsssbench.results.ladder import MISSING

ROW, SEED, RUNG, METRIC = "row", "seed", "rung", "metric"
NOT_OF_ROWS = (SEED, RUNG, METRIC)  # axes inside a row, on which its own numbers lie
_NOT_METHOD = ("name", "seed", "reference", "smoke")  # entries of a config that make no method
_ABSENT = object()


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
        if axis in self._named:
            return {row: of[axis] for row, of in self.collection.axes.items() if axis in of}
        if axis == ROW:
            return {row: row for row in self.collection.rows}
        for path in (axis, f"classifier.{axis}"):
            found = {row: _at(config, path) for row, config in self._configs.items()}
            if any(value is not _ABSENT for value in found.values()):
                return dict(zip(found, texts(list(found.values())), strict=True))
        raise UserError(
            f"{unknown('axis', axis, self._suggested())}; or any path in the configs, "
            "e.g. classifier.pooling"
        )

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
            found = self._matching(axis, given)
            rows = [row for row in rows if row in found]
        if not rows:
            raise UserError(f"--where {' --where '.join(conditions)}: no row is left")
        return rows

    def _matching(self, axis: str, given: Sequence[str]) -> set[str]:
        if axis in NOT_OF_ROWS:
            other = "name the runs of that seed" if axis == SEED else f"use --{axis}"
            raise UserError(f"--where {axis}=...: chooses among rows; {other}")
        values = self.values(axis)
        for value in given:
            if not any(_matches(text, value) for text in values.values()):
                raise UserError(
                    f"--where {axis}={value}: {unknown(f'value of {axis}', value, set(values.values()))}"
                )
        return {row for row, text in values.items() if any(_matches(text, v) for v in given)}

    def differing(self, rows: Sequence[str]) -> list[str]:
        """Names of the axes on which `rows` differ: the sweep's where these tell, else paths in the configs."""
        named = [
            axis
            for axis in self._named
            if len({self.collection.axes.get(row, {}).get(axis) for row in rows}) > 1
        ]
        if named:
            return named
        configs = [self._configs[row] for row in rows if row in self._configs]
        paths = (path for config in configs[1:] for path in _differing(configs[0], config))
        return list(dict.fromkeys(paths)) or [ROW]

    def _suggested(self) -> list[str]:
        configs = [] if self._named else self.differing(self.collection.rows)
        return [*dict.fromkeys([*self._named, ROW, SEED, RUNG, METRIC, *configs])]


def texts(values: Sequence[Any]) -> list[str]:
    """Values of configs as short texts: of a component, the name and those parameters in which `values` differ.

    Example:
        ``[{"type": "Mean"}, {"type": "Bins", "sides": (2,)}, {"type": "Bins", "sides": (4,)}]`` gives ``Mean``,
        ``Bins(sides=(2,))``, ``Bins(sides=(4,))``; an empty list gives ``none``.
    """
    components: dict[str, list[Mapping[str, Any]]] = {}
    for value in values:
        for component in _components(value):
            components.setdefault(component["type"], []).append(component)
    varying = {
        kind: [
            key
            for key in dict.fromkeys(key for one in found for key in one)
            if any(one.get(key, _ABSENT) != found[0].get(key, _ABSENT) for one in found)
        ]
        for kind, found in components.items()
    }
    return [_text(value, varying) for value in values]


def _components(value: Any) -> Iterable[Mapping[str, Any]]:
    """The components in a config's value: itself, or those of a list or of a section of sections."""
    if isinstance(value, Mapping):
        parts = [value] if "type" in value else list(value.values())
    else:
        parts = list(value) if isinstance(value, list | tuple) else []
    return [part for part in parts if isinstance(part, Mapping) and "type" in part]


def _text(value: Any, varying: Mapping[str, Sequence[str]]) -> str:
    if value is _ABSENT:
        return MISSING
    if value is None or (isinstance(value, list | tuple | Mapping) and not value):
        return "none"
    components = list(_components(value))
    if components:
        return " + ".join(_component(one, varying[one["type"]]) for one in components)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else repr(value)


def _component(component: Mapping[str, Any], keys: Sequence[str]) -> str:
    shown = ", ".join(f"{key}={component[key]!r}" for key in keys if key in component)
    return f"{component['type']}({shown})" if shown else str(component["type"])


def _matches(text: str, wanted: str) -> bool:
    return wanted in (text, text.partition("(")[0])


def _at(config: Any, path: str) -> Any:
    """What `config` has at the dotted `path`; a part of it may be the index in a list."""
    for part in path.split("."):
        if isinstance(config, Mapping) and part in config:
            config = config[part]
        elif isinstance(config, list | tuple) and part.isdigit() and int(part) < len(config):
            config = config[int(part)]
        else:
            return _ABSENT
    return config


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], path: str = "") -> list[str]:
    """Paths at which two configs differ; of different components the path of the component alone."""
    found = []
    for key in dict.fromkeys([*one, *other]):
        a, b = one.get(key, _ABSENT), other.get(key, _ABSENT)
        if a == b or (not path and key in _NOT_METHOD):
            continue
        here = f"{path}{key}"
        inside = (
            isinstance(a, Mapping) and isinstance(b, Mapping) and a.get("type") == b.get("type")
        )
        found += _differing(a, b, f"{here}.") if inside else [here]
    return found
