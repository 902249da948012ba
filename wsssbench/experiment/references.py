"""References: parameters of components that name a stage; its result replaces them before the work starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wsssbench.interfaces import Artefact
from wsssbench.plugins import load
from wsssbench.registry import artefact_class


@dataclass(frozen=True)
class Reference:
    """One place in a config that names a stage.

    Attributes:
        path: where it stands, e.g. ``classifier.erasing.0.guide``; also the role under which the stage is read.
        component: the component that has the parameter.
        target: the stage's name.
        artefact: what that stage has to make.
    """

    path: str
    component: str
    target: str
    artefact: type[Artefact]


def references(value: Any, path: str = "") -> Iterator[Reference]:
    """Yield every reference in `value`, a resolved config or a part of it."""
    if isinstance(value, Mapping):
        for key, artefact in _annotated(value).items():
            given = value.get(key)
            place = f"{path}.{key}".lstrip(".")
            if isinstance(given, str):
                yield Reference(place, value["type"], given, artefact)
            elif isinstance(given, (list, tuple)):
                for i, target in enumerate(given):
                    yield Reference(f"{place}.{i}", value["type"], target, artefact)
        for key, item in value.items():
            yield from references(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from references(item, f"{path}.{i}")


def replaced(value: Any, by: Callable[[Reference], Any]) -> Any:
    """Return `value` with whatever `by` says in the place of every reference."""
    new = {reference.path: by(reference) for reference in references(value)}
    return _put(value, "", new) if new else value


def _put(value: Any, path: str, new: Mapping[str, Any]) -> Any:
    if path in new:
        return new[path]
    if isinstance(value, Mapping):
        return {key: _put(item, f"{path}.{key}".lstrip("."), new) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_put(item, f"{path}.{i}", new) for i, item in enumerate(value))
    return value


def components(value: Any) -> Iterator[type]:
    """Yield the class of every component in `value`."""
    registries = load().registries
    if isinstance(value, Mapping):
        name = value.get("type")
        if isinstance(name, str):
            for component in registries.find(name):
                yield registries[component.kind].get(name)
        for item in value.values():
            yield from components(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from components(item)


def _annotated(value: Mapping[str, Any]) -> dict[str, type[Artefact]]:
    """Return the parameters of the component `value` that are annotated with an artefact class."""
    name = value.get("type")
    if not isinstance(name, str):
        return {}
    registries = load().registries
    return {
        key: artefact
        for component in registries.find(name)
        for key, parameter in registries[component.kind].parameters(name).items()
        if (artefact := artefact_class(parameter.annotation)) is not None
    }
