"""``wsssbench plugins check``: test the components of a package against the contracts of their kinds."""

from __future__ import annotations

import os
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsssbench.cli import complete
from wsssbench.cli.console import ConsoleProgress, log_noise, make_console
from wsssbench.errors import UserError
from wsssbench.progress import duration

if TYPE_CHECKING:
    from rich.console import Console

    from wsssbench.contract import Finding
    from wsssbench.contract.selection import Selection

EXAMPLES = """Exit code 1 if a check failed.

Examples:

  wsssbench plugins check ./my_method

  wsssbench plugins check my_pooling.py

  wsssbench plugins check GPP

  wsssbench plugins check my_data --set root=photos --split train
"""
STYLES = {"ok": "green", "FAILED": "red", "skipped": "yellow"}


def check(
    what: Annotated[
        str,
        typer.Argument(
            metavar="PATH|NAME",
            help="the folder of a package, installed or not; a plugin of one file; or a plugin, distribution or "
            "component. Default: what --plugin names",
            autocompletion=complete.plugins_and_components,
        ),
    ] = "",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="[NAME.]KEY=VALUE", help="a parameter, e.g. one without a default"
        ),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="of a data set; default: train, val and other usual ones"
        ),
    ] = None,
) -> None:
    """Run the contract test on every component of a package: shapes, gradients, odd sizes, pickling, documentation."""
    console = make_console()
    began = time.monotonic()
    with log_noise(Path(os.devnull), ConsoleProgress(console)):
        from wsssbench.contract.selection import select

        with select(what) as selection:
            findings = _check(selection, set_ or [], split or [], console)
    counts = {state: sum(f.state == state for f in findings) for state in ("failed", "skipped")}
    components = {(f.kind, f.component) for f in findings}
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    console.print(
        f"{_counted(len(components), 'component')}, {_counted(len(findings), 'check')}, "
        f"{counts['failed']} failed{skipped} ({duration(time.monotonic() - began)})",
        style="red" if counts["failed"] else "green",
    )
    if counts["failed"]:
        raise typer.Exit(1)


def _check(
    selection: Selection, settings: list[str], splits: list[str], console: Console
) -> list[Finding]:
    from wsssbench.contract import Rig, check_component

    parameters = selection.parameters(settings)
    if splits and not any(component.kind == "dataset" for component in selection.components):
        raise UserError(f"--split {splits[0]}: there is no data set among what is checked")
    if not selection.components:
        console.print("it registers no component, so there is nothing to check")
    findings = []
    with Rig(selection.registries, selection.folder) as rig:
        for component in selection.components:
            console.print(f"{component.kind} {component.name}", style="bold", markup=False)
            of_component = check_component(
                component,
                selection.registries,
                parameters[component.name],
                splits=splits,
                rig=rig,
            )
            _show(of_component, console)
            findings += of_component
    return findings


def _show(findings: list[Finding], console: Console) -> None:
    """The checks that are well in one paragraph, every other one with its sentence."""
    well = [finding.check for finding in findings if finding.state == "ok"]
    if well:
        _line("ok", ", ".join(well), console)
    alike: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.state != "ok":  # one mistake may break several checks
            alike.setdefault(finding.required or finding.check, []).append(finding)
    for first, *others in alike.values():
        state = "FAILED" if first.state == "failed" else "skipped"
        also = f" (also {', '.join(other.check for other in others)})" if others else ""
        _line(state, f"{first.check}{also}: {first.sentence}", console)


def _line(state: str, text: str, console: Console) -> None:
    wrapped = textwrap.wrap(
        text,
        max(40, min(console.width, 120) - 10),
        break_long_words=False,
        break_on_hyphens=False,
    )
    console.print(f"  {state:<7} ", style=STYLES[state], end="")
    console.print(("\n" + " " * 10).join(wrapped), markup=False)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
