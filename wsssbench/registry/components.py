"""Component registries: names in configs -> classes, imported only when one is built.

A plugin adds ``"Name" -> "package.module:Class"``; torch is imported when the first component is resolved, so listing
stays fast.
"""

from __future__ import annotations

import importlib
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
from wsssbench.registry.parameters import Parameter, check_parameters, signature_parameters

# kind -> the contract in wsssbench.interfaces that its components implement
KINDS = {
    "dataset": "Dataset",
    "backbone": "Backbone",
    "pooling": "Pooling",
    "erasing": "Erasing",
    "objective": "Objective",
    "augmentation": "Augmentation",
    "cam": "CamInference",
    "refinement": "Refinement",
    "labelling": "Labelling",
    "loss": "SegmentationLoss",
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
                f"{where} is {config!r}, but has to be dict(type='Name', ...) with one of these as {self.kind}: "
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
    objective: Registry
    augmentation: Registry
    cam: Registry
    refinement: Registry
    labelling: Registry
    loss: Registry
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
