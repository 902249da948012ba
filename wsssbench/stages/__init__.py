"""The stages of an experiment: one file for each kind, which declares all that the toolkit asks about it.

The functions here answer from the source of those files: importing them imports torch, which takes seconds that the
completion of a shell and a comparison of finished runs do not have.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def places(attribute: str) -> dict[str, str]:
    """Return the places in a config that the kinds of stages declare -> the kind of component that stands there.

    Args:
        attribute: ``slots``, or ``lists``, whose places hold a list of components; see `StageKind`.
    """
    return {
        place: kind
        for slots in _declared(attribute)
        for place, kind in ast.literal_eval(slots).items()
    }


def short_places() -> dict[str, str]:
    """Return the short name that sweeps use, ``pooling``, of every place; the first place of a name counts."""
    short: dict[str, str] = {}
    for place in (*places("slots"), *places("lists")):
        if "." in place and "*" not in place:
            short.setdefault(place.rpartition(".")[2], place)
    return short


@cache
def short_name(node: str) -> str:
    """Return the name of a node as people say it: ``rw`` for ``refine.rw``."""
    for prefix in _declared("prefix"):
        node = node.removeprefix(ast.literal_eval(prefix))
    return node


def family(node: str) -> str:
    """Return the name under which the time of a node is told: all evaluations are one family."""
    return "evaluate" if ".evaluate." in f".{node}" else node


@cache
def _declared(attribute: str) -> list[ast.expr]:
    """Return the values that the classes of this room assign to `attribute`, as source."""
    return [
        line.value
        for path in sorted(Path(__file__).parent.glob("*.py"))
        for cls in ast.parse(path.read_bytes()).body
        for line in (cls.body if isinstance(cls, ast.ClassDef) else ())
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == attribute
    ]
