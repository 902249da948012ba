"""What ``wsssbench plugins check`` is asked to check: a package's folder, a plugin, a distribution or a component."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsssbench import plugin_files
from wsssbench.contract.package import PROJECT, FolderDistribution, loaded_package
from wsssbench.errors import UserError, unknown
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.plugins import Loaded, load
from wsssbench.registry import Component, Registries


@dataclass(frozen=True)
class Selection:
    """Components to check, the registries they are in, and the folder of their package if that was given."""

    components: tuple[Component, ...]
    registries: Registries
    folder: Path | None = None

    def parameters(self, settings: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The parameters of each component by name.

        Args:
            settings: ``Name.parameter=value``, or ``parameter=value`` for every component that has it.

        Raises:
            UserError: not of that form; a component or parameter that does not exist; a value of the wrong type.
        """
        config = {component.name: {"type": component.name} for component in self.components}
        for setting in settings:
            config = apply_overrides(config, self._spelled_out(setting))
        for component in self.components:
            self._check_types(component, config[component.name])
        return {
            name: {key: value for key, value in given.items() if key != "type"}
            for name, given in config.items()
        }

    def _spelled_out(self, setting: str) -> list[str]:
        """`setting` once for each component it concerns, which it then names."""
        key, equals, _ = setting.partition("=")
        first = key.strip().partition(".")[0]
        names = [component.name for component in self.components]
        if not equals or first in names:
            return [setting]
        having = [c.name for c in self.components if first in self._parameters(c)]
        if not having:
            every = {p for c in self.components for p in self._parameters(c)}
            raise UserError(f"--set {setting}: {unknown('parameter', first, every | set(names))}")
        return [f"{name}.{setting.strip()}" for name in having]

    def _parameters(self, component: Component) -> list[str]:
        try:
            return list(self.registries[component.kind].parameters(component.name))
        except Exception:  # a component that cannot be imported is what the checks report
            return []

    def _check_types(self, component: Component, given: dict[str, Any]) -> None:
        registry = self.registries[component.kind]
        if len(given) == 1:
            return
        known = registry.parameters(component.name)
        try:
            registry.resolve(given, "--set")
        except UserError as error:
            if any(f"parameter '{name}' (" in str(error) for name in known if name not in given):
                return  # another one is missing, which is not what was set
            raise


@contextmanager
def select(what: str) -> Iterator[Selection]:
    """The components that `what` means; a package in a folder is loaded while inside.

    Args:
        what: the folder of a package, a plugin file, an entry point's name, a distribution's name, or a component's
            name; empty for every plugin file that was named elsewhere.

    Raises:
        UserError: there is no such thing, or it cannot be loaded.
    """
    path = Path(what).expanduser()
    if not what or (path.suffix == ".py" and path.is_file()):
        if what:
            plugin_files.use([path])
        loaded, files = load(), plugin_files.modules().values()
        if not files:
            raise UserError("nothing to check: give a folder, a name or --plugin FILE.py")
        wanted = {str(path.resolve())} if what else {str(file) for file in files}
        yield Selection(_of_plugins(_called(loaded, wanted), loaded), loaded.registries)
        return
    if path.name == PROJECT and path.is_file():
        path = path.parent
    if not _is_path(what, path):
        loaded = load()
        yield Selection(_by_name(what, loaded), loaded.registries)
        return
    if not path.is_dir():
        problem = "is a file, not the folder of a package" if path.exists() else "does not exist"
        raise UserError(f"{path} {problem}: give the folder that has {PROJECT}")
    with loaded_package(path) as loaded:
        names = {point.name for point in FolderDistribution(path).points()}
        yield Selection(_of_plugins(names, loaded), loaded.registries, path.resolve())


def _called(loaded: Loaded, files: set[str]) -> set[str]:
    return {plugin.name for plugin in loaded.plugins if plugin.distribution in files}


def _is_path(what: str, path: Path) -> bool:
    separators = [s for s in (os.sep, os.altsep) if s]
    if any(s in what for s in separators) or what in (".", "..") or what.startswith("~"):
        return True
    return (path / PROJECT).is_file() or (path.exists() and what not in _names(load()))


def _of_plugins(names: set[str], loaded: Loaded) -> tuple[Component, ...]:
    return tuple(
        component
        for registry in loaded.registries
        for component in registry.components.values()
        if component.plugin in names
    )


def _by_name(what: str, loaded: Loaded) -> tuple[Component, ...]:
    plugins = [p for p in loaded.plugins if what in (p.name, p.distribution)]
    for plugin in plugins:
        if plugin.problem:
            raise UserError(
                f"plugin '{plugin.name}' of {plugin.distribution} cannot be loaded: {plugin.problem}"
            )
    if plugins:
        return _of_plugins({plugin.name for plugin in plugins}, loaded)
    components = tuple(loaded.registries.find(what))
    if not components:
        raise UserError(unknown("plugin, distribution or component", what, _names(loaded)))
    return components


def _names(loaded: Loaded) -> set[str]:
    plugins = {name for p in loaded.plugins for name in (p.name, p.distribution)}
    return plugins | {name for registry in loaded.registries for name in registry.components}
