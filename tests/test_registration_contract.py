"""What every registered component of every kind has to keep, whoever wrote it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from wsssbench import interfaces
from wsssbench.errors import UserError
from wsssbench.plugins import load
from wsssbench.registry import KINDS, Component, check_parameters

COMPONENTS = [c for registry in load().registries for c in registry.components.values()]

pytestmark = pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: f"{c.kind}-{c.name}")


def class_of(component: Component) -> type:
    return load().registries[component.kind].get(component.name)


def test_it_keeps_the_contract_of_its_kind(component: Component) -> None:
    cls = class_of(component)
    assert issubclass(cls, getattr(interfaces, KINDS[component.kind]))
    assert not inspect.isabstract(cls)


def test_it_says_what_it_is(component: Component) -> None:
    assert component.summary and "\n" not in component.summary
    assert component.plugin and component.distribution and component.version
    documentation = inspect.getdoc(class_of(component)) or ""
    for name in load().registries[component.kind].parameters(component.name):
        assert f"{name}:" in documentation or f"`{name}`" in documentation, (
            f"{name} is not documented"
        )


def test_every_parameter_has_a_type_and_a_default_of_that_type(component: Component) -> None:
    parameters = load().registries[component.kind].parameters(component.name)
    for name, parameter in parameters.items():
        assert parameter.annotation is not Any, f"{name} has no type"
    defaults = {
        name: p.default
        for name, p in parameters.items()
        if p.default is not inspect.Parameter.empty
    }
    required: dict[str, Any] = {name: {} for name in parameters if name not in defaults}
    for name in required:
        if parameters[name].annotation is str:
            required[name] = "x"
    checked = check_parameters(class_of(component), {**defaults, **required}, "here")
    assert {name: checked[name] for name in defaults} == defaults


def test_a_misspelt_parameter_gets_a_near_match(component: Component) -> None:
    registry = load().registries[component.kind]
    names = list(registry.parameters(component.name))
    if not names:
        with pytest.raises(UserError, match="there are none"):
            registry.resolve({"type": component.name, "any": 1}, "here")
        return
    wrong = max(names, key=len) + "x"
    with pytest.raises(UserError, match=f"unknown parameter '{wrong}': did you mean"):
        registry.resolve({"type": component.name, wrong: 1}, "here")
