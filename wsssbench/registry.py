"""Component registries: names in configs -> classes, imported only when one is built.

A plugin adds ``"Name" -> "package.module:Class"``; torch is imported when the first component is resolved, so listing
stays fast.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from wsssbench.errors import (
    ForeignExitError,
    UserError,
    contained,
    printing,
    raised,
    unknown,
)

# kind -> the contract in wsssbench.interfaces that its components implement
KINDS = {
    "dataset": "Dataset",
    "backbone": "Backbone",
    "pooling": "Pooling",
    "erasing": "Erasing",
    "cam": "CamInference",
    "refinement": "Refinement",
    "segmenter": "Segmenter",
    "stage": "Stage",
}


@dataclass(frozen=True)
class Component:
    """One registered component, known by name before anything of it is imported."""

    kind: str
    name: str
    target: str
    summary: str
    reference: str = ""
    plugin: str = ""
    distribution: str = ""
    version: str = ""


@dataclass(frozen=True)
class Parameter:
    """One user parameter of a component: name, type annotation, default (`inspect.Parameter.empty` if required)."""

    name: str
    annotation: Any
    default: Any

    @property
    def type_name(self) -> str:
        return _type_text(self.annotation)


def _type_text(annotation: Any) -> str:
    """`annotation` as one would write it; of ``Annotated[float, Field(ge=0)]`` the type and the range."""
    if typing.get_origin(annotation) is not typing.Annotated:
        parts = typing.get_args(annotation)
        if typing.get_origin(annotation) in (typing.Union, types.UnionType):
            return " | ".join(map(_type_text, parts))
        text = re.sub(
            r"\b(typing|wsssbench\.interfaces\.\w+)\.", "", inspect.formatannotation(annotation)
        )
        return "None" if annotation is type(None) else text
    plain, *constraints = typing.get_args(annotation)
    words = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    limits = [
        f"{words[name]} {getattr(one, name)}"
        for constraint in constraints
        for one in getattr(constraint, "metadata", [constraint])
        for name in words
        if getattr(one, name, None) is not None
    ]
    return " ".join([_type_text(plain), " and ".join(limits)]).strip()


class Registry:
    """The components of one kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.source = Component(kind, "", "", "")  # the plugin that is registering just now
        self.components: dict[str, Component] = {}
        self._classes: dict[str, type] = {}  # by target; those that were imported already

    def add(self, name: str, target: str, *, summary: str, reference: str = "") -> None:
        """Register `target` (``"package.module:Class"``) under `name`, with a one-line summary and the paper."""
        if name in self.components:
            first = self.components[name].plugin
            raise ValueError(f"{self.kind} '{name}' is registered already, by plugin '{first}'")
        if target.count(":") != 1:
            raise ValueError(
                f"{self.kind} '{name}': '{target}' is not of the form package.module:Class"
            )
        self.components[name] = replace(
            self.source, name=name, target=target, summary=summary, reference=reference
        )

    def get(self, key: str) -> type:
        """The class registered under `key`; imports its module the first time."""
        if key not in self.components:
            raise UserError(unknown(self.kind, key, self.components))
        component = self.components[key]
        if component.target not in self._classes:
            self._classes[component.target] = self._import(component)
        return self._classes[component.target]

    def _import(self, component: Component) -> type:
        module_name, _, attribute = component.target.partition(":")
        which = f"{self.kind} '{component.name}' of plugin '{component.plugin}'"
        try:
            with contained(), printing():
                cls = getattr(importlib.import_module(module_name), attribute)
        except Exception as error:  # whatever a third party's module raises
            raise UserError(f"{which} cannot be imported: {raised(error)}") from error
        contract = getattr(importlib.import_module("wsssbench.interfaces"), KINDS[self.kind])
        if not (isinstance(cls, type) and issubclass(cls, contract)):
            raise UserError(
                f"{which} is no wsssbench.interfaces.{KINDS[self.kind]}: its class has to derive from it"
            )
        return cls

    def parameters(self, name: str) -> dict[str, Parameter]:
        """The user parameters (keyword-only arguments) of component `name`."""
        return signature_parameters(self.get(name))

    def resolve(self, config: Any, where: str) -> dict[str, Any]:
        """Check ``dict(type=..., **params)`` and return it with every default filled in.

        Raises:
            UserError: no dict with a type, an unknown type or parameter, a value of the wrong type.
        """
        if not isinstance(config, Mapping) or not isinstance(config.get("type"), str):
            raise UserError(
                f"{where} is {config!r}, but has to be dict(type='Name', ...) with a {self.kind} of: "
                f"{', '.join(sorted(self.components))}"
            )
        name = config["type"]
        cls = self.get(name)
        given = {key: value for key, value in config.items() if key != "type"}
        return {"type": name, **check_parameters(cls, given, f"{where} ({self.kind} {name})")}

    def build(self, config: Mapping[str, Any], *supplied: Any, where: str = "") -> Any:
        """Build ``dict(type=..., **params)`` with what the toolkit supplies: the positional arguments of its class.

        Raises:
            UserError: as `resolve`, or the class refuses a value with a ValueError; `where` names the place.
        """
        where = where or self.kind
        resolved = self.resolve(config, where)
        name = resolved.pop("type")
        try:
            with contained():
                return self.get(name)(*supplied, **resolved)
        except (ValueError, ForeignExitError) as error:
            raise UserError(f"{where} ({self.kind} {name}): {error}") from error


class Registries:
    """All registries, one attribute per kind: ``registries.pooling.add(...)``."""

    dataset: Registry
    backbone: Registry
    pooling: Registry
    erasing: Registry
    cam: Registry
    refinement: Registry
    segmenter: Registry
    stage: Registry

    def __init__(self) -> None:
        for kind in KINDS:
            setattr(self, kind, Registry(kind))

    def __iter__(self) -> Iterator[Registry]:
        return (getattr(self, kind) for kind in KINDS)

    def __getitem__(self, kind: str) -> Registry:
        if kind not in KINDS:
            raise UserError(unknown("kind of component", kind, KINDS))
        return typing.cast(Registry, getattr(self, kind))

    def find(self, name: str) -> list[Component]:
        """Every component called `name`, of whatever kind."""
        return [r.components[name] for r in self if name in r.components]

    def register_from(self, plugin: str, distribution: str, version: str, register: Any) -> None:
        """Let one plugin's ``register`` hook add its components; all or none of them."""
        before = {registry.kind: dict(registry.components) for registry in self}
        for registry in self:
            registry.source = Component(
                registry.kind, "", "", "", "", plugin, distribution, version
            )
        try:
            register(self)
        except BaseException:
            for registry in self:
                registry.components = before[registry.kind]
            raise


def signature_parameters(function: Any) -> dict[str, Parameter]:
    """The keyword-only arguments of a class or function, with resolved annotations.

    Where a class hands on ``**rest``, those of its base class follow, less the ones it has itself.

    Raises:
        UserError: an annotation names what its module has not imported.
    """
    parameters: dict[str, Parameter] = {}
    for target in initialisers(function):
        try:
            hints = typing.get_type_hints(target, include_extras=True)
        except NameError as error:
            raise UserError(
                f"{target.__module__}.{target.__qualname__}: its annotations name '{error.name}', which does not exist "
                "when the toolkit reads them (imported under TYPE_CHECKING?): import it at run time"
            ) from error
        for p in inspect.signature(target).parameters.values():
            if p.kind is inspect.Parameter.KEYWORD_ONLY:
                parameters.setdefault(p.name, Parameter(p.name, hints.get(p.name, Any), p.default))
    return parameters


def initialisers(function: Any) -> Iterator[Any]:
    """`function` itself; of a class its ``__init__``, and that of the next base as long as there is ``**rest``."""
    if not isinstance(function, type):
        yield function
        return
    for cls in function.__mro__:
        if "__init__" in vars(cls):
            yield vars(cls)["__init__"]
            kinds = {p.kind for p in inspect.signature(vars(cls)["__init__"]).parameters.values()}
            if inspect.Parameter.VAR_KEYWORD not in kinds:
                return


def check_parameters(function: Any, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`given` with every default filled in and every value checked against the annotation.

    Raises:
        UserError: unknown or missing parameter, value of the wrong type.
    """
    parameters = signature_parameters(function)
    former = getattr(function, "former_parameters", {})
    for key in given:
        if key in former:
            raise UserError(f"{where}: '{key}' is no parameter any more: {former[key]}")
        if key not in parameters:
            raise UserError(f"{where}: {unknown('parameter', key, parameters)}")
    resolved = {}
    for name, parameter in parameters.items():
        if name in given:
            resolved[name] = check_value(parameter, given[name], where)
        elif parameter.default is inspect.Parameter.empty:
            raise UserError(f"{where}: parameter '{name}' ({parameter.type_name}) has to be given")
        else:
            resolved[name] = parameter.default
    return resolved


def artefact_classes(annotation: Any) -> tuple[Any, ...]:
    """The `wsssbench.interfaces.Artefact` classes in `annotation`, e.g. in ``X | None`` and ``tuple[X | Y, ...]``.

    A parameter with such an annotation is given as the name of a stage that makes one of them.
    """
    interfaces = sys.modules.get("wsssbench.interfaces")
    if interfaces is None:  # then nobody can have used it in an annotation
        return ()
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return (annotation,) if issubclass(annotation, interfaces.Artefact) else ()
    return tuple(c for part in typing.get_args(annotation) for c in artefact_classes(part))


def called(artefacts: tuple[Any, ...]) -> str:
    """What artefacts of these classes are called in sentences."""
    return " or ".join(artefact.called for artefact in artefacts)


def check_value(parameter: Parameter, value: Any, where: str) -> Any:
    """`value` as its annotation has it (a list may become a tuple); UserError if it is of another type."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    artefacts = artefact_classes(parameter.annotation)
    if artefacts:
        return _check_reference(parameter, artefacts, value, where)
    if isinstance(value, bool) and not _accepts_bool(parameter.annotation):
        raise UserError(f"{where}: {parameter.name}={value!r} has to be {parameter.type_name}")
    if isinstance(value, list):  # a config may write either
        value = tuple(value) if typing.get_origin(parameter.annotation) is tuple else value
    try:
        # A number that is none spoils a training without a word.
        settings = ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False)
        adapter = TypeAdapter(parameter.annotation, config=settings)
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]["msg"].rstrip(".")
        raise UserError(
            f"{where}: {parameter.name}={value!r} has to be {parameter.type_name} "
            f"({first[0].lower() + first[1:]})"
        ) from None


def _check_reference(
    parameter: Parameter, artefacts: tuple[Any, ...], value: Any, where: str
) -> Any:
    """The name of a stage, or what it has made; a tuple of them, or None, where the annotation has that."""
    parts = [parameter.annotation, *typing.get_args(parameter.annotation)]
    several = any(typing.get_origin(part) is tuple for part in parts)
    given = tuple(value) if several and isinstance(value, (list, tuple)) else (value,)
    if value is None and type(None) in parts:
        return None
    if all(_names_stage(one) or isinstance(one, artefacts) for one in given):
        return given if several else value
    raise UserError(
        f"{where}: {parameter.name}={value!r} has to be the name of a stage that makes {called(artefacts)}"
    )


def _names_stage(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _accepts_bool(annotation: Any) -> bool:
    if annotation in (bool, Any):
        return True
    if typing.get_origin(annotation) is typing.Annotated:
        return _accepts_bool(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(_accepts_bool(part) for part in typing.get_args(annotation))
    return typing.get_origin(annotation) is dict
