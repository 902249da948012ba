"""The option ``--plugin FILE`` of every command that builds components."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

Files = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        metavar="FILE.py",
        help="a plugin that is one file; may be given several times",
    ),
]


def with_plugin_files(command: Callable[..., None]) -> Callable[..., None]:
    """Return `command` with the option ``--plugin``, whose files are there before it begins."""

    @functools.wraps(command)
    def run(*arguments: Any, plugin: list[Path] | None, **options: Any) -> None:
        from wsssbench import plugin_files

        plugin_files.use(plugin or [])
        command(*arguments, **options)

    signature = inspect.signature(command, eval_str=True)
    added = inspect.Parameter(
        "plugin", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Files
    )
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), added]
    )
    run.__annotations__ = {**command.__annotations__, "plugin": Files}
    return run
