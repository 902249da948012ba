"""The offers of the shell on TAB: names of components and plugins, kinds, and ``SLOT=COMPONENT``.

Nothing here imports torch. In bash an equals sign ends a word, so ``--set classifier.pooling=G`` arrives as three
words; `rejoin_words` puts them together before typer sees them.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, MutableMapping
from typing import TYPE_CHECKING

from wsssbench.errors import UserError

if TYPE_CHECKING:
    from wsssbench.registry import Registries

Offer = list[tuple[str, str]]  # what may be written, and one line about it

_SHELL = "_WSSSBENCH_COMPLETE"  # typer's; also set when a script is only shown or installed
_KEY = "_WSSSBENCH_COMPLETE_KEY"  # ours: what stands before the equals sign in bash


def component_names(registries: Registries) -> dict[str, str]:
    """Return every component with its summary."""
    return {c.name: c.summary for registry in registries for c in registry.components.values()}


def components(incomplete: str) -> Offer:
    """Return components whose names begin with `incomplete`."""
    registries = _registries()
    return [] if registries is None else _matching(component_names(registries).items(), incomplete)


def plugins_and_components(incomplete: str) -> Offer:
    """Return components and plugin packages whose names begin with `incomplete`."""
    from wsssbench.plugins import load

    registries = _registries()
    if registries is None:
        return []
    packages = {p.distribution: f"every component of {p.name}" for p in load().plugins}
    return _matching({**packages, **component_names(registries)}.items(), incomplete)


def kinds(incomplete: str) -> Offer:
    """Return kinds of components that begin with `incomplete`."""
    from wsssbench.registry import KINDS

    return _matching(((kind, f"a {contract}") for kind, contract in KINDS.items()), incomplete)


def executors(incomplete: str) -> Offer:
    """Return the places where the cells of a sweep may run that begin with `incomplete`."""
    where = {"here": "on this machine", "slurm": "jobs of a cluster", "local": "submitit, here"}
    return _matching({**where, "debug": "submitit, in this process"}.items(), incomplete)


def assignments(incomplete: str) -> Offer:
    """Return ``SLOT=COMPONENT`` for every slot of a config, where it begins with `incomplete`."""
    return _assigned(incomplete, _slots(), several=False)


def grids(incomplete: str) -> Offer:
    """Return ``AXIS=COMPONENT,COMPONENT``: the same for the axes of a sweep, which take several."""
    from wsssbench.stages import short_places

    slots = _slots()
    axes = {axis: slots[place] for axis, place in short_places().items()}
    return _assigned(incomplete, {**axes, **slots}, several=True)


def rejoin_words(environ: MutableMapping[str, str]) -> None:
    """Put ``key``, ``=``, ``value`` in bash's words together again, in place.

    Of the word that is being completed only the part after its last equals sign stays, since that is what bash
    replaces; the part before goes to a variable that `assignments` reads.
    """
    if environ.get(_SHELL) != "complete_bash":
        return
    try:
        words = shlex.split(environ["COMP_WORDS"])
        current = int(environ["COMP_CWORD"])
    except (KeyError, ValueError):  # an open quote, say: left to typer
        return
    if current >= len(words):  # an empty last word
        words.append("")
    before, last = _glued(words[:current], words[current])
    key, equals, value = last.rpartition("=")
    if equals:
        if key.startswith("-"):  # --set=classifier.pooling=G
            option, equals, key = key.partition("=")
            before.append(option)
        if key or equals:
            environ[_KEY] = key
        last = value
    environ["COMP_WORDS"] = shlex.join([*before, last]) if last else shlex.join(before)
    environ["COMP_CWORD"] = str(len(before))


def _glued(before: Iterable[str], last: str) -> tuple[list[str], str]:
    glued: list[str] = []
    for word in [*before, last]:
        if glued and (word == "=" or glued[-1].endswith("=")):
            glued[-1] += word
        else:
            glued.append(word)
    return glued[:-1], glued[-1]


def _registries() -> Registries | None:
    """Return the registries; None where plugins cannot be loaded at all: TAB is no place to complain."""
    from wsssbench.plugins import load

    try:
        return load().registries
    except UserError:
        return None


def _slots() -> Mapping[str, str]:
    """Return the kind of component by place of a config, without the places that have a name of the user's."""
    from wsssbench.stages import places

    every = {**places("slots"), **places("lists")}
    return {place: kind for place, kind in every.items() if "*" not in place}


def _assigned(incomplete: str, slots: Mapping[str, str], several: bool) -> Offer:
    """Return components after ``SLOT=``, or whole assignments as long as there is no slot yet."""
    registries = _registries()
    if registries is None:
        return []
    key = os.environ.get(_KEY)
    before, value = "", incomplete  # bash: `incomplete` is what follows the equals sign
    if key is None:
        key, equals, value = incomplete.partition("=")
        if not equals:
            whole = {f"{slot}=": kind for slot, kind in slots.items()}
            return _matching(
                (
                    (start + name, summary)
                    for start, kind in whole.items()
                    for name, summary in _of_kind(kind, registries).items()
                ),
                incomplete,
            )
        before = f"{key}="
    kind = slots.get(key.removeprefix("+"))
    if kind is None:
        return []
    given = value.rpartition(",")[0].split(",") if several and "," in value else []
    before += "".join(f"{name}," for name in given)
    offers = _of_kind(kind, registries).items()
    return _matching(((before + n, s) for n, s in offers if n not in given), incomplete)


def _of_kind(kind: str, registries: Registries) -> dict[str, str]:
    from wsssbench.stages import places

    known = {c.name: c.summary for c in registries[kind].components.values()}
    return {**known, "none": f"no {kind}"} if kind in places("lists").values() else known


def _matching(offers: Iterable[tuple[str, str]], incomplete: str) -> Offer:
    return sorted(offer for offer in offers if offer[0].startswith(incomplete))
