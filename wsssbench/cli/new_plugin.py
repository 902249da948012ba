"""``wsssbench plugins new``: a package of one's own with a component that works from the start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsssbench.cli import complete
from wsssbench.cli.console import make_console
from wsssbench.errors import UserError, unknown

EXAMPLES = """Examples:

  wsssbench plugins new my-pooling --kind pooling

  wsssbench plugins new my-erasing --kind erasing --out ~/plugins
"""


def new(
    name: Annotated[str, typer.Argument(help="of the package, e.g. my-pooling")],
    kind: Annotated[
        str,
        typer.Option(
            help="of component: pooling, erasing, objective, augmentation, refinement, ...",
            autocompletion=complete.kinds,
        ),
    ] = "",
    out: Annotated[Path, typer.Option(metavar="DIR", help="where to make its folder")] = Path(),
) -> None:
    """A small complete plugin: a component that works, its tests, what pip needs. Then replace the maths."""
    from wsssbench.plugins import load
    from wsssbench.registry import KINDS
    from wsssbench.scaffold.names import check_free, names_of
    from wsssbench.scaffold.write import next_commands, write_plugin

    if not kind:
        raise UserError(f"--kind is missing: what is {name} to be? One of {', '.join(KINDS)}")
    if kind not in KINDS:
        raise UserError(f"--kind: {unknown('kind of component', kind, KINDS)}")
    names = names_of(name)
    check_free(names, load())
    folder = out.expanduser() / names.distribution
    written = write_plugin(names, kind, folder)
    lines = [f"{kind} {names.component}, written to {folder}:"]
    lines += [f"  {path.relative_to(folder)}" for path in written]
    lines += ["next:", *(f"  {command}" for command in next_commands(names, kind, str(folder)))]
    make_console().print("\n".join(lines), markup=False)
