"""One rule merges what is given with what is there: for ``--set``, for the rows of a sweep and for ``before``.

A bare name keeps the parameters of a component of the same type (in a list: of the item of that type), ``Name()`` or
``dict(type="Name")`` has its defaults, a dict without a type is merged key by key, a list replaces, a component of
another type replaces, and None empties. A dict with ``_delete_=True`` replaces what is there, as in mmengine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wsssbench.stages import places

DELETE = "_delete_"


def merged(there: Any, value: Any, path: str) -> Any:
    """Return the new content of the place `path`, which had `there` and is given `value`; see the module."""
    if kind_in(places("lists"), path) is not None:
        return _merged_list(there if isinstance(there, (list, tuple)) else [], value, path)
    if component_kind(path) is not None and isinstance(value, str):
        default = kind_in(places("default_types"), path)
        same = isinstance(there, Mapping) and there.get("type", default) == value
        return there if same else {"type": value}
    if not isinstance(value, Mapping):
        return value
    if value.get(DELETE) is True:
        return {key: item for key, item in value.items() if key != DELETE}
    if "type" in value:
        return value
    result = dict(there) if isinstance(there, Mapping) else {}
    for key, item in value.items():
        place = f"{path}.{key}".lstrip(".")
        if item is None and key in result and is_named(place):
            del result[key]
        else:
            result[key] = merged(result.get(key), item, place)
    return result


def _merged_list(there: Sequence[Any], value: Any, path: str) -> list[Any]:
    if value is None:
        return []
    items = value if isinstance(value, (list, tuple)) else [value]
    typed = [item for item in there if isinstance(item, Mapping) and "type" in item]
    by_type = {item["type"]: item for item in typed if isinstance(item["type"], str)}
    return [
        merged(by_type.get(item) if isinstance(item, str) else None, item, f"{path}.{i}")
        for i, item in enumerate(items)
    ]


def difference(of: Any, base: Any, pinned: Any = None) -> Any:
    """Return what `merged` needs to make `of` out of `base`, two configs or parts of them.

    Args:
        pinned: an earlier difference: what it gives stays in it, even if the same is in `base` now.
    """
    if not isinstance(of, Mapping):
        return of
    if not isinstance(base, Mapping) or set(base) - set(of):
        return dict(of) if "type" in of else {DELETE: True, **of}
    if of.get("type") != base.get("type"):
        return dict(of)
    keep = pinned if isinstance(pinned, Mapping) else {}
    return {
        key: difference(item, base.get(key), keep.get(key))
        for key, item in of.items()
        if key not in base or base[key] != item or (key in keep and key != "type")
    }


def kind_in(patterns: Mapping[str, str], path: str) -> str | None:
    """Return what `patterns` say of `path`, such as the kind of component that stands there; None if nothing."""
    pattern = pattern_of(patterns, path)
    return patterns[pattern] if pattern else None


def component_kind(path: str) -> str | None:
    """Return the kind of component that stands at `path`, in a slot or in a list; None if none does."""
    return kind_in(places("slots"), path) or kind_in(places("lists"), path.rpartition(".")[0])


def is_named(path: str) -> bool:
    """Tell whether `path` is an entry that goes by a name of the user's, such as a refinement."""
    return "*" in pattern_of(places("slots"), path)


def pattern_of(patterns: Iterable[str], path: str) -> str:
    """Return the first of `patterns`, places with ``*`` for any name, that `path` fits; empty if none does."""
    parts = path.split(".")
    for pattern in patterns:
        names = pattern.split(".")
        if len(names) == len(parts) and all(
            a in ("*", b) for a, b in zip(names, parts, strict=True)
        ):
            return pattern
    return ""
