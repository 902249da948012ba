"""A plugin's package in a folder: its entry points, and its modules made importable, whether it is installed or not."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from wsssbench.errors import UserError
from wsssbench.plugins import GROUP, Loaded, loaded_with

PROJECT = "pyproject.toml"
_OWN = "wsssbench"  # runs this very check, so it is never imported again


class FolderDistribution(Distribution):
    """The metadata of a package as its ``pyproject.toml`` in `folder` gives it.

    Raises:
        UserError: no such file, no TOML, or no entry point in the group ``wsssbench``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / PROJECT
        self.project = self._read()
        self.targets = self._entry_points()

    def points(self) -> tuple[EntryPoint, ...]:
        """Its entry points of our group."""
        return tuple(point for point in self.entry_points if point.group == GROUP)

    def read_text(self, filename: str) -> str | None:
        if filename == "METADATA":
            name = self.project.get("name") or self.folder.name
            version = self.project.get("version") or "dynamic"
            return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        if filename == "entry_points.txt":
            lines = [f"{name} = {target}" for name, target in self.targets.items()]
            return "\n".join([f"[{GROUP}]", *lines, ""])
        return None

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        return self.folder / path

    def _read(self) -> Mapping[str, Any]:
        try:
            content = tomllib.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(
                f"{self.folder} has no {PROJECT}: give the folder of a package that has one, or the name of an "
                "installed plugin or component"
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{self.file} is no TOML: {str(error).splitlines()[0]}") from error
        project = content.get("project", {})
        return project if isinstance(project, Mapping) else {}

    def _entry_points(self) -> dict[str, str]:
        groups = self.project.get("entry-points", {})
        targets = groups.get(GROUP) if isinstance(groups, Mapping) else None
        if not isinstance(targets, Mapping) or not targets:
            raise UserError(
                f"{self.file} has no entry point in the group '{GROUP}': add a table "
                f'[project.entry-points.{GROUP}] with a line like my_method = "my_package"'
            )
        return {str(name): str(target) for name, target in targets.items()}


@contextmanager
def loaded_package(folder: Path) -> Iterator[Loaded]:
    """Inside, the package in `folder` can be imported, and `wsssbench.plugins.load` has its plugins.

    They replace installed ones of the same names.

    Raises:
        UserError: what `FolderDistribution` raises, or a plugin that cannot be loaded.
    """
    distribution = FolderDistribution(folder)
    points = distribution.points()
    before = list(sys.path)
    for point in points:
        _make_importable(point.module.partition(".")[0], folder)
    try:
        with loaded_with(points) as all_plugins:
            names = {point.name for point in points}
            for plugin in all_plugins.plugins:
                if plugin.name in names and plugin.problem:
                    raise UserError(
                        f"plugin '{plugin.name}' of {folder} cannot be loaded: {plugin.problem}"
                    )
            yield all_plugins
    finally:
        sys.path[:] = before


def _make_importable(module: str, folder: Path) -> None:
    """Put the place of the top-level `module` below `folder` first on the path, forgetting one from elsewhere."""
    place = _place_of(module, folder)
    if place is None or module == _OWN:
        return  # importing it says what is wrong
    sys.path.insert(0, str(place))
    importlib.invalidate_caches()
    known = sys.modules.get(module)
    origins = [*getattr(known, "__path__", []), getattr(known, "__file__", None) or ""]
    if known is not None and not any(Path(o).resolve().is_relative_to(place) for o in origins):
        for name in [n for n in sys.modules if n == module or n.startswith(f"{module}.")]:
            del sys.modules[name]


def _place_of(module: str, folder: Path) -> Path | None:
    """The folder that holds the package or module: flat layout, src layout, or at most two levels down."""
    folder = folder.resolve()
    below = (p for pattern in ("*", "*/*") for p in sorted(folder.glob(pattern)))
    places = (p for p in below if p.is_dir() and not _hidden(p.relative_to(folder)))
    for place in (folder, folder / "src", *places):
        if (place / f"{module}.py").is_file() or (place / module / "__init__.py").is_file():
            return place
    return None


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
