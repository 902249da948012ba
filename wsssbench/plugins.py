"""Finding plugins: every package with an entry point in the group ``wsssbench``, through pluggy.

A plugin that cannot be imported or validated is recorded with its reason and never stops the others, nor the command:
also one that calls ``sys.exit()``. What it prints meanwhile is kept from the standard output, and recorded, too.
`WSSSBENCH_PLUGINS=core,aeft` limits what is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from wsssbench import hookspecs
from wsssbench.errors import UserError, contained, one_line, printing, raised, unknown
from wsssbench.registry import Registries

GROUP = "wsssbench"
_SHOWN = 100  # characters of what a plugin prints


@dataclass(frozen=True)
class Plugin:
    """One installed plugin.

    Attributes:
        name: of its entry point.
        distribution: the package that it is from.
        version: of that.
        problem: why it cannot be used; empty if it can.
        printed: what it prints while it is loaded, which it should not.
    """

    name: str
    distribution: str
    version: str
    problem: str = ""
    printed: str = ""

    @property
    def complaint(self) -> str:
        """What is wrong with it, in one line; empty if nothing is."""
        printed = f"it prints while it is imported: {self.printed!r}" if self.printed else ""
        return "; ".join(filter(None, (self.problem, printed)))


@dataclass(frozen=True)
class Loaded:
    """All plugins, their components and their hooks."""

    plugins: tuple[Plugin, ...]
    registries: Registries
    hooks: Any


_tried: Loaded | None = None  # with a package that is only tried out, see `loaded_with`


def load() -> Loaded:
    """Load every installed plugin, once per process. Worker processes call this first, too."""
    return _tried or _load_installed()


@lru_cache(maxsize=1)
def _load_installed() -> Loaded:
    return load_entry_points(tuple(entry_points(group=GROUP)))


@contextmanager
def loaded_with(points: tuple[EntryPoint, ...]) -> Iterator[Loaded]:
    """Inside, `load` also has the plugins behind `points`, whose package need not be installed."""
    global _tried
    before = _tried
    _tried = load_entry_points(tuple(entry_points(group=GROUP)), points)
    try:
        yield _tried
    finally:
        _tried = before


def load_entry_points(points: tuple[EntryPoint, ...], also: tuple[EntryPoint, ...] = ()) -> Loaded:
    """Load the plugins behind `points`, in the order of their names, ``core`` first.

    Args:
        points: limited by `WSSSBENCH_PLUGINS`.
        also: loaded in any case, in place of `points` of the same names.
    """
    wanted = _selection((*points, *also))
    instead = {point.name for point in also}
    chosen = [p for p in points if (wanted is None or p.name in wanted) and p.name not in instead]
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    registries = Registries()
    ordered = sorted([*chosen, *also], key=lambda p: (p.name != "core", p.name))
    plugins = [_load_one(point, manager, registries) for point in ordered]
    return Loaded(tuple(plugins), registries, manager.hook)


def _selection(points: tuple[EntryPoint, ...]) -> set[str] | None:
    value = os.environ.get("WSSSBENCH_PLUGINS")
    if value is None:
        return None
    wanted = {name.strip() for name in value.split(",") if name.strip()}
    known = {point.name for point in points}
    for name in wanted - known:
        raise UserError(f"WSSSBENCH_PLUGINS: {unknown('plugin', name, known)}")
    return wanted | {"core"}


def _load_one(point: EntryPoint, manager: pluggy.PluginManager, registries: Registries) -> Plugin:
    dist = point.dist
    name, version = (dist.name, dist.version) if dist else ("", "")
    problem = ""
    with printing() as output:
        try:
            with contained():
                module = point.load()
                manager.register(module, name=point.name)
                manager.check_pending()  # pluggy would ignore a misspelt hook
                if hasattr(module, "register"):
                    registries.register_from(point.name, name, version, module.register)
        except Exception as error:  # whatever a third party raises must not stop the others
            if manager.has_plugin(point.name):
                manager.unregister(name=point.name)
            problem = raised(error)
    return Plugin(point.name, name, version, problem, one_line(str(output), _SHOWN))
