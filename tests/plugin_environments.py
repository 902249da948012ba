"""Processes that see plugins beside those of the running environment, which itself stays as it is."""

from __future__ import annotations

import os
import site
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def environment_with(folders: Iterable[Path], directory: Path) -> dict[str, str]:
    """The environment of a process that finds the packages in `folders` as if they were installed.

    That takes two small files for each, instead of pip's seconds.

    Args:
        folders: of packages, each with its ``pyproject.toml``.
        directory: an empty one, for their metadata.
    """
    paths = [str(directory)]
    for folder in folders:
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        points = project["entry-points"]["wsssbench"].items()
        info = directory / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        lines = ["[wsssbench]", *(f"{name} = {target}" for name, target in points)]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        paths.append(str(folder))
    paths += filter(None, [os.environ.get("PYTHONPATH")])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def make_venv(directory: Path) -> dict[str, str]:
    """Make a virtual environment that sees the packages of this one; the environment of processes that use it.

    Its `pip` downloads nothing: what packages depend on, and what builds them, is taken from here.
    """
    venv.create(directory, symlinks=True)  # pip is that of this environment
    bin_, python = directory / "bin", directory / "bin" / "python"
    (place,) = directory.glob("lib/python*/site-packages")
    # addsitedir, other than PYTHONPATH, also follows the .pth files of editable installations
    lines = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
    (place / "running_environment.pth").write_text("\n".join(lines) + "\n")
    # As pip writes them: spawned processes import the script again.
    for name, module, function in (
        ("wsssbench", "wsssbench.cli", "main"),
        ("pytest", "pytest", "console_main"),
    ):
        code = f"from {module} import {function}\nif __name__ == '__main__':\n    raise SystemExit({function}())\n"
        _script(bin_ / name, f"#!{python}\n{code}")
    options = "--no-deps --no-build-isolation --quiet --disable-pip-version-check"
    _script(bin_ / "pip", f'#!/bin/sh\nexec {python} -m pip "$@" {options}\n')
    return {
        **os.environ,
        "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(directory),
        "OMP_NUM_THREADS": "1",
    }


def _script(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)
