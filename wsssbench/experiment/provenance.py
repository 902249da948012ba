"""The origin of a result: the code that made it, and the environment it ran in."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import (
    PackageNotFoundError,
    distribution,
    entry_points,
    packages_distributions,
    version,
)
from pathlib import Path

from wsssbench import plugin_files
from wsssbench.plugins import GROUP

REPORTED = (
    *("torch", "torchvision", "onedl-mmengine", "onedl-mmcv", "onedl-mmsegmentation"),
    *("pydensecrf2", "numpy", "scipy", "pillow"),
)


_WORDING = frozenset(
    f"wsssbench.{name}"
    for name in (
        *("errors", "hookspecs", "plugins", "plugin_files", "progress", "registry"),
        *("interfaces.requirements", "parallel.plugin_errors"),
    )
)


def code_version(modules: Iterable[str]) -> dict[str, str]:
    """Identify the code of `modules`: per package its version, and a hash of the source when it is editable.

    The hash covers the modules and whatever they import from packages of our own or of plugins, so that a change in
    one refinement does not make a classifier look outdated. Modules that word, find and show things, and compute
    nothing, do not count: another sentence is no reason to train again. Plugin files always count by their content.

    Raises:
        UserError: a plugin file has changed since it was loaded.
    """
    result: dict[str, str] = {}
    sources: dict[str, list[Path]] = {}
    files = []
    files_named = os.environ.get(plugin_files.VARIABLE, "")
    for module in sorted(_closure(tuple(modules), files_named)):
        package = module.partition(".")[0]
        path = _file_of(module)
        if plugin_files.is_plugin_file(module):
            files.append(plugin_files.digest(plugin_files.source(module)))
            continue
        if path is not None:
            sources.setdefault(package, []).append(path)
    for package, paths in sources.items():
        release, editable = _distribution(package)
        digest = hashlib.sha256()
        for path in sorted(paths):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        result[package] = f"{release}+{digest.hexdigest()[:12]}" if editable else release
    return {**result, "plugin file": " ".join(sorted(files))} if files else result


@cache
def _distribution(package: str) -> tuple[str, bool]:
    """Return the version of the distribution that holds `package`, and whether its source may change under us."""
    # Editable installs list no files, but their entry points name their module. These come first, since the other way
    # looks at the files of everything that is installed.
    named = (p for p in entry_points(group=GROUP) if p.module.partition(".")[0] == package)
    names = [point.dist.name for point in named if point.dist is not None]
    names = names or list(packages_distributions().get(package, []))
    if not names:
        return "unknown", True
    dist = distribution(names[0])
    direct = dist.read_text("direct_url.json") or ""
    return dist.version, '"editable": true' in direct


@cache
def _closure(modules: tuple[str, ...], files_named: str = "") -> frozenset[str]:
    """Return `modules` and everything they import, statically, from the same top-level packages or wsssbench."""
    roots = {module.partition(".")[0] for module in modules} | {"wsssbench"}
    closure: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in closure or module in _WORDING or module.partition(".")[0] not in roots:
            continue
        if _is_file(module.rpartition(".")[0]):
            continue  # a class or a function; looking for a module of that name would import the file
        path = _file_of(module)
        if path is None:
            continue
        if plugin_files.is_plugin_file(
            module
        ):  # what lies beside it can be imported from its folder
            roots |= {other.stem for other in path.parent.glob("*.py")}
        closure.add(module)
        waiting.extend(_imports(module, path))
    return frozenset(closure)


@cache
def _imports(module: str, path: Path) -> tuple[str, ...]:
    return tuple(_imported(module, path))


def _imported(module: str, path: Path) -> Iterator[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in _run_by_importing(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _run_by_importing(node: ast.AST) -> Iterator[ast.AST]:
    """What is below `node`, less what only a type checker reads, and what a package's ``__getattr__`` imports.

    The second one is for those who ask the package for that name: ``wsssbench.run`` is no part of a classifier.
    """
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            continue  # most of a file; an import is a statement
        types_only = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        door = (
            isinstance(node, ast.Module)
            and isinstance(child, ast.FunctionDef)
            and child.name == "__getattr__"
        )
        if not (types_only or door):
            yield child
            yield from _run_by_importing(child)


def _is_file(module: str) -> bool:
    """Tell whether `module` is a file and no package, which has no modules in it."""
    path = _file_of(module) if module else None
    return path is not None and path.name != "__init__.py"


def _file_of(module: str) -> Path | None:
    if plugin_files.is_plugin_file(module):
        return plugin_files.modules().get(module)
    return _source(module)


@cache
def _source(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, AttributeError, ValueError):
        return None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def environment() -> dict[str, str]:
    """Return versions, machine and git commit of the current directory, for run.json."""
    facts = {"python": platform.python_version(), "platform": platform.platform()}
    facts["cpus"] = str(os.cpu_count())
    for name in ("wsssbench", *REPORTED):
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "not installed"
    facts["git commit"] = _git_commit()
    return facts


def _git_commit() -> str:
    try:
        commit = _git("rev-parse", "HEAD").strip()
    except (OSError, subprocess.SubprocessError):
        return "no git checkout"
    try:
        changes = _git(*_harmless(), "status", "--porcelain", "--ignore-submodules=all")
    except (OSError, ValueError, subprocess.SubprocessError):
        return f"{commit} (changes unknown)"
    return f"{commit} (with changes)" if changes.strip() else commit


def _harmless() -> list[str]:
    """Options of git over the settings of the checkout that name programs which looking for changes would start.

    The checkout may be a stranger's. Filters of the user's own (git-lfs) stay.

    Raises:
        ValueError: the name of a setting that no option can be about.
    """
    settings = {"core.fsmonitor": "false", "core.hooksPath": os.devnull}
    listed = _git("config", "--list", "--show-scope", "--name-only", "-z").split("\0")
    for scope, name in zip(listed[::2], listed[1::2], strict=False):
        if scope in ("local", "worktree") and name.lower().startswith("filter."):
            if "=" in name:
                raise ValueError(name)
            settings[name] = "false" if name.lower().endswith(".required") else ""
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _git(*arguments: str) -> str:
    """What git prints; it fetches nothing, asks nothing and writes nothing."""
    environment = {
        **os.environ,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "",
    }
    done = subprocess.run(
        ("git", "--no-pager", *arguments),
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=10,
        check=True,
        env=environment,
    )
    return done.stdout
