"""In what configs differ, and their values as short texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wsssbench.results.formatting import MISSING, card_value
from wsssbench.results.run_files import config_at

ABSENT = object()  # what stands for a value that a config does not have
NAMED_BY = 3  # paths at most that name a variant
_NOT_METHOD = ("name", "seed", "reference", "smoke")  # entries of a config that make no method


def variant_names(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What tells each of `configs` from the others, e.g. ``classifier.pooling=GAP``; empty where too much does."""
    paths = differing_paths(configs)
    if not 0 < len(paths) <= NAMED_BY:
        return [""] * len(configs)
    columns = [texts([config_at(config, path, ABSENT) for config in configs]) for path in paths]
    return [
        ", ".join(f"{path}={value}" for path, value in zip(paths, values, strict=True))
        for values in zip(*columns, strict=True)
    ]


def differing_paths(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Paths at which some of `configs` differ from the first; of different components the path of the component."""
    return list(dict.fromkeys(p for config in configs[1:] for p in _differing(configs[0], config)))


def texts(values: Sequence[Any]) -> list[str]:
    """Values of configs as short texts: of a component, the name and those parameters in which `values` differ.

    Example:
        ``[{"type": "Mean"}, {"type": "Bins", "sides": (2,)}, {"type": "Bins", "sides": (4,)}]`` gives ``Mean``,
        ``Bins(sides=(2,))``, ``Bins(sides=(4,))``; an empty list gives ``none``.
    """
    components: dict[str, list[Mapping[str, Any]]] = {}
    for value in values:
        for component in _components(value):
            components.setdefault(str(component["type"]), []).append(component)
    varying = {
        kind: [
            key
            for key in dict.fromkeys(key for one in same for key in one)
            if any(one.get(key, ABSENT) != same[0].get(key, ABSENT) for one in same)
        ]
        for kind, same in components.items()
    }
    return [_text(value, varying) for value in values]


def _components(value: Any) -> list[Mapping[str, Any]]:
    """The components in a config's value: itself, or those of a list or of a section of sections."""
    parts: Iterable[Any] = value if isinstance(value, list | tuple) else ()
    if isinstance(value, Mapping):
        parts = [value] if "type" in value else value.values()
    return [part for part in parts if isinstance(part, Mapping) and "type" in part]


def _text(value: Any, varying: Mapping[str, Sequence[str]]) -> str:
    if value is ABSENT:
        return MISSING
    if isinstance(value, list | tuple | Mapping) and not value:
        return "none"
    texts = []
    for component in _components(value):
        kind = str(component["type"])
        shown = ", ".join(f"{k}={component[k]!r}" for k in varying[kind] if k in component)
        texts.append(f"{kind}({shown})" if shown else kind)
    if texts:
        return " + ".join(texts)
    return card_value(value) if value is None or isinstance(value, bool | str) else repr(value)


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], path: str = "") -> list[str]:
    """Paths at which two configs differ; of different components the path of the component alone."""
    paths = []
    for key in dict.fromkeys([*one, *other]):
        a, b = one.get(key, ABSENT), other.get(key, ABSENT)
        if a == b or (not path and key in _NOT_METHOD):
            continue
        here = f"{path}{key}"
        inside = (
            isinstance(a, Mapping) and isinstance(b, Mapping) and a.get("type") == b.get("type")
        )
        paths += _differing(a, b, f"{here}.") if inside else [here]
    return paths
