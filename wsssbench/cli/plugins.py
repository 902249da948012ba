"""``wsssbench plugins``: what is installed, and what each component takes."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from wsssbench.cli.console import make_console
from wsssbench.errors import UserError, unknown

app = typer.Typer(help="Installed plugins and their components.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """Every component by kind: name, one line, paper, plugin and version. Broken plugins with the reason."""
    from rich.table import Table
    from rich.text import Text

    from wsssbench.plugins import load

    loaded = load()
    console = make_console()
    for registry in loaded.registries:
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        for options in ({"no_wrap": True, "min_width": 20}, {"ratio": 1}, {"no_wrap": True}):
            table.add_column(**options)
        for component in sorted(registry.components.values(), key=lambda c: c.name):
            what = Text(component.summary)
            if component.reference:
                what.append(f"\n{component.reference}", style="dim")
            origin = f"{component.plugin} {component.version}"
            table.add_row(
                Text("  " + component.name, style="bold"), what, Text(origin, style="dim")
            )
        console.print(registry.kind, style="underline")
        console.print(table)
    for plugin in loaded.plugins:
        if plugin.problem:
            console.print(
                f"broken plugin '{plugin.name}' of {plugin.distribution} {plugin.version}: {plugin.problem}",
                style="red",
                markup=False,
            )


@app.command("describe")
def describe(name: Annotated[str, typer.Argument(help="a component, e.g. GPP")]) -> None:
    """A component's parameters with types and defaults, its documentation, its paper, an example."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from wsssbench.plugins import load

    registries = load().registries
    found = registries.find(name)
    if not found:
        names = [n for registry in registries for n in registry.components]
        raise UserError(unknown("component", name, names))
    console = make_console()
    for component in found:
        registry = registries[component.kind]
        console.print(
            f"{component.kind} {component.name}: {component.summary}", style="bold", markup=False
        )
        origin = f"plugin {component.plugin} ({component.distribution} {component.version})"
        console.print(
            f"{origin}{'; ' + component.reference if component.reference else ''}", markup=False
        )
        console.print()
        console.print(inspect.getdoc(registry.get(name)) or "(no documentation)", markup=False)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("parameter", "type", "default"):
            table.add_column(column, overflow="fold")
        parameters = registry.parameters(name).values()
        for p in parameters:
            default = "required" if p.default is inspect.Parameter.empty else repr(p.default)
            table.add_row(Text(p.name), Text(p.type_name), Text(default))
        console.print(table)
        required = [p for p in parameters if p.default is inspect.Parameter.empty]
        example = "".join(f", {p.name}=..." for p in required)
        console.print(f"in a config: dict(type='{name}'{example})", markup=False)
