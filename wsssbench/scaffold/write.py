"""Writing a new plugin package from the templates."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import jinja2

from wsssbench.errors import UserError
from wsssbench.registry import KINDS
from wsssbench.scaffold.kinds import SCAFFOLDS
from wsssbench.scaffold.names import Names


def write_plugin(names: Names, kind: str, directory: Path) -> list[Path]:
    """Write the package of a new `kind` of component into `directory`, which is new or empty.

    Returns:
        The files, in the order in which to look at them.

    Raises:
        UserError: `directory` holds something already, or is a file.
    """
    _check_empty(directory)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wsssbench.scaffold"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    values = _values(names, kind)
    written = []
    for file, template in _files(names, kind).items():
        path = directory / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(environment.get_template(template).render(values), encoding="utf-8")
        written.append(path)
    return written


def next_commands(names: Names, kind: str, folder: str) -> list[str]:
    """What to do with the new package in `folder`: install it, check it, run it."""
    scaffold = SCAFFOLDS[kind]
    options = scaffold.options.format(component=names.component)
    return [
        f"pip install -e {shlex.quote(folder)}",
        f"wsssbench plugins check {shlex.quote(folder)} {scaffold.check}".rstrip(),
        f"wsssbench run configs/aeft_synthetic.py --smoke {options}",
    ]


def _files(names: Names, kind: str) -> dict[str, str]:
    """File -> template."""
    return {
        f"{names.module}/{kind}.py": f"{kind}/component.py.j2",
        f"{names.module}/__init__.py": "register.py.j2",
        f"tests/test_{names.module}.py": f"{kind}/test.py.j2",
        "pyproject.toml": "pyproject.toml.j2",
        "README.md": "README.md.j2",
    }


def _values(names: Names, kind: str) -> dict[str, Any]:
    scaffold = SCAFFOLDS[kind]
    return {
        "distribution": names.distribution,
        "module": names.module,
        "component": names.component,
        "kind": kind,
        "contract": KINDS[kind],
        "summary": scaffold.summary,
        "reference": scaffold.reference,
        "commands": next_commands(names, kind, names.distribution),
    }


def _check_empty(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory} is a file: choose another name, or another place with --out")
    if directory.is_dir() and any(directory.iterdir()):
        raise UserError(
            f"the folder {directory} is not empty, and nothing in it is overwritten: choose another name, or another "
            "place with --out"
        )
