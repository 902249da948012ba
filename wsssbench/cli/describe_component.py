"""``wsssbench plugins describe``: a component's parameters, its contract, and its use."""

from __future__ import annotations

import inspect
import re
import textwrap
import typing
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsssbench.cli import complete
from wsssbench.cli.console import make_console
from wsssbench.cli.docstrings import argument_texts, as_written, paragraphs, parse
from wsssbench.errors import UserError, unknown

if TYPE_CHECKING:
    from wsssbench.registry import Component, Parameter, Registries

WIDEST = 100  # longer lines are hard to read, however wide the terminal
_SHOWN = ("Args", "Raises", "Attributes", "Returns")  # sections that have a place, or need none


def describe(
    name: Annotated[
        str, typer.Argument(help="a component, e.g. GPP", autocompletion=complete.components)
    ],
) -> None:
    """A component's documentation, parameters, contract and paper, and how to write it in a config."""
    from wsssbench.plugins import load

    registries = load().registries
    components = registries.find(name)
    if not components:
        raise UserError(unknown("component", name, complete.component_names(registries)))
    console = make_console()
    width = min(console.width, WIDEST)
    for number, component in enumerate(components):
        if number:
            console.print()
        for part in _parts(component, registries, width):
            console.print(part, markup=False)


def _parts(component: Component, registries: Registries, width: int) -> Iterator[str]:
    registry = registries[component.kind]
    cls, parameters = registry.get(component.name), registry.parameters(component.name)
    documentation = parse(cls)
    yield paragraphs(f"{component.kind} {component.name}: {component.summary}", width)
    origin = f"plugin {component.plugin} ({component.distribution} {component.version})"
    yield paragraphs("; ".join(filter(None, [origin, component.reference])), width)
    if documentation.text:
        yield "\n" + paragraphs(documentation.text, width)
    yield "\nparameters" + ("" if parameters else ": none")
    arguments = argument_texts(cls)
    for parameter in parameters.values():
        yield _parameter(parameter, arguments.get(parameter.name, ""), width)
    if documentation.sections.get("Raises"):
        yield "\nraises"
        for error, when in documentation.entries("Raises").items():
            yield paragraphs(f"{error}: {when}", width, "  ")
    for header, text in documentation.sections.items():
        if header not in _SHOWN:
            yield f"\n{header.lower()}\n{as_written(text, width, '  ')}"
    yield "\n" + _contract(component.kind, width)
    yield "\n" + _usage(component, parameters, registries, width)


def _parameter(parameter: Parameter, text: str, width: int) -> str:
    if parameter.artefacts:
        text = f"{text} {_named(parameter)}".strip()
    required = parameter.default is inspect.Parameter.empty
    default = ", required" if required else f" = {parameter.default!r}"
    head = textwrap.fill(
        f"{parameter.name}: {parameter.type_name}{default}", width, initial_indent="  ",
        subsequent_indent=" " * 10, break_long_words=False,
    )  # fmt: skip
    return f"{head}\n{paragraphs(text, width, ' ' * 6)}" if text else head


def _named(parameter: Parameter) -> str:
    """Return what a reference has to name."""
    from wsssbench.interfaces import Photos
    from wsssbench.registry import called

    if Photos in parameter.artefacts:
        return "Give the key of a split, e.g. 'train'."
    made = called(parameter.artefacts)
    return f"Give the name of a stage that makes {made}; of another chain with its name before: 'round1.NAME'."


def _contract(kind: str, width: int) -> str:
    """Return what `wsssbench.interfaces` says about a kind: its abstract methods, and the values they pass."""
    from wsssbench import interfaces
    from wsssbench.registry import KINDS

    contract = getattr(interfaces, KINDS[kind])
    title = parse(contract).text.partition("\n\n")[0]
    lines = [paragraphs(f"contract wsssbench.interfaces.{contract.__name__}: {title}", width)]
    passed: dict[str, type] = {}
    declared = {
        name: method for cls in reversed(contract.__mro__) for name, method in vars(cls).items()
    }
    for name in sorted(contract.__abstractmethods__, key=list(declared).index):
        method = declared[name]
        annotations = " ".join(str(a) for a in method.__annotations__.values())
        passed.update(_values_in(annotations, interfaces))
        given = ", ".join(list(inspect.signature(method).parameters)[1:])
        result = method.__annotations__.get("return", "")
        lines.append(f"  {name}({given}) -> {result}")
        lines.append(paragraphs(parse(method).text, width, " " * 6))
    for name, cls in passed.items():
        documentation = parse(cls)
        lines.append(paragraphs(f"{name}: {documentation.text}", width, "  "))
        for attribute, text in documentation.entries("Attributes").items():
            lines.append(paragraphs(f"{attribute}: {text}", width, " " * 6))
    return "\n".join(lines)


def _values_in(annotations: str, interfaces: Any) -> Iterator[tuple[str, type]]:
    """Yield the documented values of the interfaces that are named in `annotations`."""
    for name in re.findall(r"[A-Z]\w+", annotations):
        value = getattr(interfaces, name, None)
        if isinstance(value, type) and is_dataclass(value):
            yield name, value


def _usage(
    component: Component, parameters: Mapping[str, Parameter], registries: Registries, width: int
) -> str:
    """Return the component in a config and on the command line; names in capitals are to be replaced."""
    required = [p for p in parameters.values() if p.default is inspect.Parameter.empty]
    written = {"type": component.name, **{p.name: _value(p, registries) for p in required}}
    reads = getattr(registries[component.kind].get(component.name), "takes", ())
    if component.kind == "labelling" and reads:
        written["input"] = "INPUT"
    section, nested, path = _place(component.kind, written)
    named = len(written) == 1 and not path.startswith("+")  # a slot takes a name alone
    lines = [
        "in a config",
        textwrap.indent(f"{section} = {_code(nested, width - 6 - len(section))}", "  "),
        "on the command line",
        f"  --set {path}={component.name}" if named else f'  --set "{path}={_call(written)}"',
    ]
    return "\n".join(lines)


def _place(kind: str, written: dict[str, Any]) -> tuple[str, Any, str]:
    """Return the place of a kind of component: the config's section, its content, and the path of an override."""
    from wsssbench.stages import places

    lists = places("lists")
    # Of several places the one of this kind alone.
    of_kind = [one for one in {**places("slots"), **lists}.items() if kind in one[1].split("|")]
    place = min(of_kind, key=lambda one: len(one[1]))[0]
    section, _, key = place.replace("*", "mine").partition(".")
    content: Any = [written] if place in lists else written
    path = place.replace("*", "mine")
    return section, {key: content} if key else content, f"+{path}" if "*" in place else path


def _code(value: Any, width: int) -> str:
    """Return `value` as a config writes it, on several lines if it is wider than `width`."""
    if isinstance(value, list):
        return f"[{', '.join(_code(item, width) for item in value)}]"
    if not isinstance(value, dict):
        return repr(value)
    items = [f"{key}={_code(item, width - 6 - len(key))}" for key, item in value.items()]
    line = f"dict({', '.join(items)})"
    if len(line) <= width:
        return line
    return "dict(\n" + textwrap.indent(",\n".join(items), "    ") + ",\n)"


def _call(value: Any) -> str:
    """Return `value` as the command line takes it: ``Name(key=value)`` for a component, ``dict(...)`` for a section."""
    if not isinstance(value, dict):
        return repr(value)
    items = [f"{key}={_call(item)}" for key, item in value.items() if key != "type"]
    return f"{value.get('type', 'dict')}({', '.join(items)})"


def _value(parameter: Parameter, registries: Registries) -> Any:
    """A value that a required parameter accepts."""
    from wsssbench.registry import KINDS, artefact_classes

    if parameter.name in KINDS:
        return {"type": _simple(registries, parameter.name)}
    if parameter.name == "schedule":
        return {"batch_size": 8, "lr": 0.01, "epochs": 1}
    if parameter.annotation is str or artefact_classes(parameter.annotation):
        return parameter.name.upper()
    plain = typing.get_origin(parameter.annotation) or parameter.annotation
    return plain() if plain in (int, float, bool, dict, list, tuple) else ...


def _simple(registries: Registries, kind: str) -> str:
    """Return the first component of a kind that can be built without any parameter."""
    registry = registries[kind]
    for name in registry.components:
        if all(
            p.default is not inspect.Parameter.empty for p in registry.parameters(name).values()
        ):
            return name
    return f"A_{kind.upper()}"
