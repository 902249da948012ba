"""The stages of an experiment: one file for each kind, which declares all that the toolkit asks about it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def places(attribute: str) -> dict[str, str]:
    """The places in a config that the kinds of stages declare -> the kind of component that stands there.

    Read from the source, since shells complete these: importing the stages imports torch, which takes seconds.

    Args:
        attribute: ``slots``, or ``lists``, whose places hold a list of components; see `StageKind`.
    """
    found: dict[str, str] = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        for cls in ast.parse(path.read_bytes()).body:
            for line in cls.body if isinstance(cls, ast.ClassDef) else ():
                if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == attribute:
                    found.update(ast.literal_eval(line.value))
    return found


def short_places() -> dict[str, str]:
    """What sweeps call places of components for short, ``pooling``, -> the places; the first one of a name counts."""
    short: dict[str, str] = {}
    for place in (*places("slots"), *places("lists")):
        if "." in place and "*" not in place:
            short.setdefault(place.rpartition(".")[2], place)
    return short
