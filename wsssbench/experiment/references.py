"""References: parameters of components that name a stage; its result replaces them before the work starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from wsssbench.interfaces import Artefact, Photos
from wsssbench.plugins import load
from wsssbench.registry import Component, Parameter, signature_parameters, takes_none
from wsssbench.stages import places


@dataclass(frozen=True)
class Reference:
    """One place in a config that names a stage.

    Attributes:
        path: where it stands, e.g. ``classifier.erasing.0.guide``; also the role under which the stage is read.
        component: the component that has the parameter.
        target: the stage's name.
        artefacts: what that stage has to make, one of them.
        optional: the parameter may be None.
    """

    path: str
    component: str
    target: str
    artefacts: tuple[type[Artefact | Photos], ...]
    optional: bool = False

    @property
    def is_photos(self) -> bool:
        """Are the images of a split read, and not what a stage made? Then `target` is the split."""
        return Photos in self.artefacts


# Places of sections that are no components -> the class whose fields are their keys.
Plain = Mapping[str, type]


def references(value: Any, path: str = "", plain: Plain | None = None) -> Iterator[Reference]:
    """Yield every reference in `value`, a resolved config or a part of it.

    Args:
        path: where `value` stands.
        plain: sections that may have references, too, such as ``classifier.init``.
    """
    if isinstance(value, Mapping):
        for key, parameter in _annotated(value, path, plain or {}).items():
            given = value.get(key)
            place = f"{path}.{key}".lstrip(".")
            several = list(enumerate(given)) if isinstance(given, (list, tuple)) else []
            single = [("", given)] if isinstance(given, str) else []
            for at, target in (*single, *((f".{i}", one) for i, one in several)):
                yield Reference(
                    f"{place}{at}",
                    str(value.get("type", path)),
                    target,
                    parameter.artefacts,
                    takes_none(parameter.annotation),
                )
        for key, item in value.items():
            yield from references(item, f"{path}.{key}".lstrip("."), plain)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from references(item, f"{path}.{i}", plain)


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


def components(value: Any, path: str = "") -> Iterator[type]:
    """Yield the class of every component in `value`."""
    if isinstance(value, Mapping):
        for component in _meant(value, path):
            yield load().registries[component.kind].get(component.name)
        for key, item in value.items():
            yield from components(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for i, item in enumerate(value):
            yield from components(item, f"{path}.{i}")


def _annotated(value: Mapping[str, Any], path: str, plain: Plain) -> dict[str, Parameter]:
    """Return the parameters of the component or plain section `value` that are annotated with an artefact class."""
    found = [load().registries[one.kind].parameters(one.name) for one in _meant(value, path)]
    if not found and path in plain:
        found = [signature_parameters(plain[path])]
    return {key: one for parameters in found for key, one in parameters.items() if one.artefacts}


@cache
def _lists() -> dict[str, str]:
    """Return the last part of each place that holds a list of components -> their kind."""
    return {place.rpartition(".")[2]: kind for place, kind in places("lists").items()}


def _meant(value: Mapping[str, Any], path: str) -> list[Component]:
    """Return the component that `value` gives at `path`; two kinds may each have one of that name.

    Nodes have components under the name of their kind, or in a list under the name that its place has; a data set is
    all of one.
    """
    name = value.get("type")
    found = load().registries.find(name) if isinstance(name, str) else []
    kind = next((part for part in reversed(path.split(".")) if not part.isdigit()), "")
    kind = _lists().get(kind, kind) or "dataset"
    return [component for component in found if component.kind == kind] or found
