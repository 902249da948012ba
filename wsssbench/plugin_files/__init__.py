"""Plugins that are one file: named by ``--plugin FILE`` or in the environment, imported as modules of this package.

``--plugin`` adds to the environment variable, so that worker processes, ranks, cells of a sweep and jobs of a cluster
have the same files. As ``wsssbench.plugin_files.NAME`` their objects pickle to any process, and no folder of the
user's has to be on the path.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any

from wsssbench.errors import UserError

VARIABLE = "WSSSBENCH_PLUGIN_FILES"
_digests: dict[str, str] = {}  # of the sources that this process has loaded, by module


def use(files: Sequence[str | Path]) -> None:
    """Add plugin files for this process and those that it starts.

    Raises:
        UserError: a file does not exist, or is no Python file.
    """
    paths = [str(_checked(Path(file).expanduser())) for file in files]
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys([*_listed(), *paths]))


def modules() -> dict[str, Path]:
    """The full name of the module of every plugin file -> the file.

    Raises:
        UserError: as `use`, for a file that the variable names.
    """
    found: dict[str, Path] = {}
    for path in dict.fromkeys(_checked(Path(file).expanduser()) for file in _listed()):
        stem = re.sub(r"\W", "_", path.stem)
        names = [stem, *(f"{stem}_{number}" for number in range(2, len(found) + 2))]
        full = (f"{__name__}.{name}" for name in names)
        found[next(name for name in full if name not in found)] = path
    return found


def is_plugin_file(module: str) -> bool:
    """Is `module`, a full name, that of a plugin file?"""
    return module.startswith(f"{__name__}.")


def source(module: str) -> bytes:
    """The source of the plugin file whose module has the full name `module`, as it is on disk.

    Raises:
        UserError: it has changed since it was loaded: results would be taken for those of another code.
    """
    path = modules()[module]
    content = path.read_bytes()
    if _digests.get(module, digest(content)) != digest(content):
        raise UserError(f"plugin file {path} has changed since it was loaded: start Python again")
    return content


def digest(content: bytes) -> str:
    """12 hex digits that tell one source from another."""
    return hashlib.sha256(content).hexdigest()[:12]


def components(module: Any) -> dict[str, tuple[str, type]]:
    """The component classes that stand in a plugin file: name -> kind and class.

    These are the classes that derive from a contract and leave nothing abstract, but for names that begin with ``_``.
    """
    from wsssbench.registry import KINDS

    interfaces = sys.modules.get("wsssbench.interfaces")
    if interfaces is None:  # then nothing here can derive from them
        return {}
    kinds = {getattr(interfaces, contract): kind for kind, contract in KINDS.items()}
    return {
        name: (kinds[contracts[0]], cls)
        for name, cls in vars(module).items()
        if isinstance(cls, type) and cls.__module__ == module.__name__ and name[0] != "_"
        # of several contracts the one that says most, such as Erasing, which is an Objective
        if (contracts := [base for base in cls.__mro__ if base in kinds])
        and not inspect.isabstract(cls)
    }


def _listed() -> list[str]:
    return [file for file in os.environ.get(VARIABLE, "").split(os.pathsep) if file.strip()]


def _checked(path: Path) -> Path:
    if path.is_dir():
        raise UserError(
            f"plugin file {path}: is a folder; give a .py file, or install the package with 'pip install -e {path}'"
        )
    if not path.is_file():
        raise UserError(f"plugin file {path}: does not exist")
    if path.suffix != ".py":
        raise UserError(f"plugin file {path}: is no Python file, whose name ends in .py")
    return path.resolve()


class _Loader(SourceFileLoader):
    """Compiles the source each time: bytecode goes by seconds and sizes, which two quick changes may share."""

    def get_code(self, fullname: str) -> CodeType:
        content = self.get_data(self.path)
        _digests[fullname] = digest(content)
        code: CodeType = self.source_to_code(content, self.path)
        return code


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        file = modules().get(fullname) if is_plugin_file(fullname) else None
        if file is None:
            return None
        return spec_from_file_location(fullname, file, loader=_Loader(fullname, str(file)))


sys.meta_path.append(_Finder())
