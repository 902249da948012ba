"""``wsssbench plugins``: the installed plugins and their components."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsssbench.cli import check_plugin, complete, describe_component, new_plugin
from wsssbench.cli.console import make_console
from wsssbench.cli.plugin_option import with_plugin_files

if TYPE_CHECKING:
    from wsssbench.registry import Registry

app = typer.Typer(help="Installed plugins and their components.", no_args_is_help=True)
app.command("describe")(with_plugin_files(describe_component.describe))
app.command("check", epilog=check_plugin.EXAMPLES)(with_plugin_files(check_plugin.check))
app.command("new", epilog=new_plugin.EXAMPLES)(new_plugin.new)


@app.command("list")
@with_plugin_files
def list_(
    kind: Annotated[
        str, typer.Option(help="only this kind, e.g. pooling", autocompletion=complete.kinds)
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Every component by kind: name, one line, paper, plugin and version. Broken plugins with the reason."""
    from wsssbench.plugins import load

    loaded = load()
    registries = [loaded.registries[kind]] if kind else list(loaded.registries)
    if as_json:
        shown = [c for registry in registries for c in registry.components.values()]
        facts = {
            "components": [dataclasses.asdict(component) for component in shown],
            "broken": [dataclasses.asdict(plugin) for plugin in loaded.plugins if plugin.complaint],
        }
        print(json.dumps(facts, indent=1, ensure_ascii=False))
        return
    console = make_console()
    for registry in registries:
        console.print(registry.kind, style="underline")
        console.print(_table(registry))
    for plugin in loaded.plugins:
        if plugin.complaint:
            console.print(
                f"broken plugin '{plugin.name}' of {plugin.distribution} {plugin.version}: {plugin.complaint}",
                style="red",
                markup=False,
            )


def _table(registry: Registry) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for options in ({"no_wrap": True, "min_width": 20}, {"ratio": 1}, {"no_wrap": True}):
        table.add_column(**options)
    for component in sorted(registry.components.values(), key=lambda c: c.name):
        what = Text(component.summary)
        if component.reference:
            what.append(f"\n{component.reference}", style="dim")
        origin = Text(f"{component.plugin} {component.version}", style="dim")
        table.add_row(Text("  " + component.name, style="bold"), what, origin)
    return table
