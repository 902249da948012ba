"""What the annotation of a parameter says: its text, the ranges of its numbers, and which values it takes.

A range stands beside the parameter, ``lr: Annotated[float, Field(gt=0, le=10)]``, with pydantic's `Field` or anything
of `annotated_types`; that of the items of a list stands at the items.
"""

from __future__ import annotations

import inspect
import math
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_WORDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_EDGE = (
    1e-6  # of the width of a range, from an end that does not belong to it to a number that does
)


@dataclass(frozen=True)
class Limits:
    """The range of a number; None where it has no end.

    Attributes:
        whole: the number is an int.
        low: smallest one, or, with `above`, what it has to be greater than.
        high: largest one, or, with `below`, what it has to be less than.
    """

    whole: bool
    low: float | None
    high: float | None
    above: bool = False
    below: bool = False

    def inside(self) -> Iterator[float]:
        """Yield numbers at the ends of the range that belong to it."""
        low, high = self.low or 0, self.high or 0
        step = 1 if self.whole else (abs(high - low) or 1) * _EDGE
        if self.low is not None:
            yield low + step * self.above
        if self.high is not None:
            yield high - step * self.below

    def outside(self) -> Iterator[float]:
        """Yield the numbers next to the ends that do not belong to it."""
        for end, belongs, away in (
            (self.low, not self.above, -1),
            (self.high, not self.below, 1),
        ):
            if end is not None:
                next_one = end + away if self.whole else math.nextafter(end, away * math.inf)
                yield next_one if belongs else end


def type_text(annotation: Any) -> str:
    """`annotation` as one would write it; of ``Annotated[float, Field(ge=0)]`` the type and the range."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        constraints = list(_constraints(parts[1:]))
        limits = [f"{_WORDS[name]} {value}" for name, value in constraints if name in _WORDS]
        text = " ".join([type_text(parts[0]), " and ".join(limits)]).strip()
        least = [f"of at least {value}" for name, value in constraints if name == "min_length"]
        return " ".join([text, *least])
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(type_text, parts))
    if origin in (tuple, list, dict) and parts:
        inner = ["..." if part is Ellipsis else type_text(part) for part in parts]
        return f"{origin.__name__}[{', '.join(inner)}]"
    text = re.sub(
        r"\b(typing|wsssbench\.interfaces\.\w+)\.", "", inspect.formatannotation(annotation)
    )
    return "None" if annotation is type(None) else text


def ranges(annotation: Any) -> Iterator[Limits]:
    """Yield the range of every number in `annotation`, also of those in lists, in its order."""
    plain, constraints = _plain(annotation)
    if plain in (int, float):
        limits = dict(_constraints(constraints))
        yield Limits(
            plain is int,
            limits.get("ge", limits.get("gt")),
            limits.get("le", limits.get("lt")),
            "gt" in limits,
            "lt" in limits,
        )
    elif typing.get_origin(plain) is not typing.Literal:
        for part in typing.get_args(plain):
            yield from ranges(part)


def trials(annotation: Any, default: Any) -> Iterator[tuple[Any, bool]]:
    """Yield values for a parameter that differ from `default` in one number, and whether its range has that number."""
    plain, constraints = _plain(annotation)
    if plain in (int, float):
        for limits in ranges(annotation):
            yield from ((_number(value, limits), True) for value in limits.inside())
            yield from ((_number(value, limits), False) for value in limits.outside())
            yield from ((value, False) for value in (math.nan, math.inf))
    elif typing.get_origin(plain) is tuple:
        parts = typing.get_args(plain)
        if parts[-1:] == (Ellipsis,):
            items = default if isinstance(default, tuple) else ()
            for value, legal in trials(parts[0], items[-1] if items else None):
                yield (*items[:-1], value), legal
            if items and "min_length" in dict(_constraints(constraints)):
                yield (), False
        elif isinstance(default, tuple) and len(default) == len(parts):
            for i, part in enumerate(parts):
                for value, legal in trials(part, default[i]):
                    yield (*default[:i], value, *default[i + 1 :]), legal
    elif typing.get_origin(plain) in (typing.Union, types.UnionType):
        for part in typing.get_args(plain):
            yield from trials(part, default)


def _number(value: float, limits: Limits) -> float:
    return int(value) if limits.whole else float(value)


def has_stray_bool(annotation: Any, value: Any) -> bool:
    """Is a bool in `value` where `annotation` has a number? Python takes it for one."""
    if not isinstance(value, (bool, list, tuple, Mapping)):
        return False
    choices = list(_choices(annotation))
    if isinstance(value, bool):
        return not any(choice in (bool, Any) for choice in choices)
    return any(
        has_stray_bool(part, item)
        for choice in choices
        for part, item in _items(choice, value)
        if part is not Any
    )


def takes_text(annotation: Any, value: Any) -> bool:
    """Does `annotation` take text, and not the number, bool or None that `value` is?"""
    choices = list(_choices(annotation))
    if str not in choices or Any in choices:
        return False
    own = {int: (int, float), float: (float,), bool: (bool,), type(None): (type(None),)}
    return type(value) in own and not any(choice in own[type(value)] for choice in choices)


def takes_none(annotation: Any) -> bool:
    """May a value of `annotation` be None?"""
    return type(None) in _choices(annotation)


def part_of(annotation: Any, key: str) -> Any:
    """Return the annotation of the item `key` of a value: of a dict by its key, of a list by its index in digits."""
    for choice in _choices(annotation):
        origin, parts = typing.get_origin(choice), typing.get_args(choice)
        if origin is dict and parts:
            return parts[1]
        if origin in (tuple, list) and parts and key.isascii() and key.isdigit():
            fixed = origin is tuple and parts[-1] is not Ellipsis
            if not fixed or int(key) < len(parts):
                return parts[int(key)] if fixed else parts[0]
    return Any


def is_list(annotation: Any) -> bool:
    """Does it take any number of items, and nothing that is a single value but None?"""
    choices = [choice for choice in _choices(annotation) if choice is not type(None)]
    return bool(choices) and all(
        typing.get_origin(choice) is tuple and typing.get_args(choice)[-1:] == (Ellipsis,)
        for choice in choices
    )


def _choices(annotation: Any) -> Iterator[Any]:
    """Yield what `annotation` allows, one plain type after the other."""
    plain, _ = _plain(annotation)
    if typing.get_origin(plain) in (typing.Union, types.UnionType):
        for part in typing.get_args(plain):
            yield from _choices(part)
    else:
        yield plain


def _items(annotation: Any, value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (annotation, item) for what is in `value`, a list or a dict."""
    if isinstance(value, Mapping):
        entries: Iterable[tuple[str, Any]] = value.items()
    elif isinstance(value, (list, tuple)):
        entries = ((str(i), item) for i, item in enumerate(value))
    else:
        return
    for key, item in entries:
        yield part_of(annotation, str(key)), item


def _plain(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return `annotation` without what is written beside it, and that."""
    if typing.get_origin(annotation) is typing.Annotated:
        plain, *beside = typing.get_args(annotation)
        return plain, tuple(beside)
    return annotation, ()


def _constraints(beside: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of pydantic's and annotated_types' constraints."""
    for constraint in beside:
        for one in getattr(constraint, "metadata", [constraint]):
            for name in (*_WORDS, "min_length"):
                if getattr(one, name, None) is not None:
                    yield name, getattr(one, name)
