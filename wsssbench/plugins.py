"""Finding plugins: packages with an entry point in the group ``wsssbench``, through pluggy, and single files.

A package that cannot be imported or validated is recorded with its reason and never stops the others, nor the command:
also one that calls ``sys.exit()``. What it prints meanwhile is kept from the standard output, and recorded, too. A file
(see `wsssbench.plugin_files`) was asked for by name, so its fault is the user's to mend. `WSSSBENCH_PLUGINS=core,aeft`
limits which packages are loaded.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from wsssbench import hookspecs, plugin_files
from wsssbench.errors import UserError, contained, one_line, printing, raised, unknown
from wsssbench.registry import Registries

GROUP = "wsssbench"
_SHOWN = 100  # characters of what a plugin prints


@dataclass(frozen=True)
class Plugin:
    """One plugin: a package, or a file, whose name, path and digest of the content stand here.

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
    """Load every installed plugin and every plugin file, once per process. Worker processes call this first, too.

    Raises:
        UserError: a plugin file that cannot be loaded.
    """
    return _tried or _load_installed(os.environ.get(plugin_files.VARIABLE, ""))


@lru_cache(maxsize=1)
def _load_installed(_: str) -> Loaded:
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
    plugins += [_load_file(*file, manager, registries) for file in plugin_files.modules().items()]
    return Loaded(tuple(plugins), registries, manager.hook)


def _selection(points: tuple[EntryPoint, ...]) -> set[str] | None:
    value = os.environ.get("WSSSBENCH_PLUGINS")
    if value is None:
        return None
    wanted = {name.strip() for name in value.split(",") if name.strip()}
    known = {point.name for point in points}
    for name in wanted - known:
        if name.endswith(".py"):
            raise UserError(
                f"WSSSBENCH_PLUGINS names installed plugins, not files: put {name} into {plugin_files.VARIABLE}"
            )
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


def _load_file(
    name: str, path: Path, manager: pluggy.PluginManager, registries: Registries
) -> Plugin:
    """Load a plugin file; its ``register`` hook, or each component class in it by its own name.

    Raises:
        UserError: it cannot be loaded, or has neither a component nor a hook.
    """
    version = plugin_files.digest(path.read_bytes())
    known = sys.modules.get(name)
    if known is not None and Path(str(known.__file__)) != path:
        del sys.modules[name]
    try:
        with contained(), printing() as output:
            module: Any = importlib.import_module(name)
            manager.register(module, name=name)
            manager.check_pending()
            found = plugin_files.components(module)
            own = getattr(module, "register", lambda every: _register(every, module, found))
            registries.register_from(path.name, str(path), version, own)
    except Exception as error:  # whatever its code raises
        sys.modules.pop(name, None)
        raise UserError(f"plugin file {path} cannot be loaded: {_reason(error, path)}") from error
    if not (found or manager.get_hookcallers(module)):
        raise UserError(
            f"plugin file {path} has no component: define a class that derives from one of wsssbench.interfaces "
            "(Pooling, Refinement, ...), or a 'register' hook"
        )
    return Plugin(path.name, str(path), version, printed=one_line(str(output), _SHOWN))


def _register(registries: Registries, module: Any, found: dict[str, tuple[str, type]]) -> None:
    for name, (kind, cls) in found.items():
        lines = (cls.__doc__ or "").strip().splitlines()
        summary = lines[0].rstrip(".") if lines else "without a docstring"
        registries[kind].add(name, f"{module.__name__}:{name}", summary=summary)


def _reason(error: BaseException, path: Path) -> str:
    """What went wrong in the file `path`, and in which of its lines."""
    text = raised(error)
    raised_at = (error.__cause__ or error).__traceback__
    own = [f.lineno for f in traceback.extract_tb(raised_at) if f.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else own[-1] if own else None
    return f"{text} (line {line})" if line else text
