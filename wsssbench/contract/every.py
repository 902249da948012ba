"""What every component has to keep: it can be imported, described, configured and built."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from wsssbench import interfaces
from wsssbench.contract.checks import attempt, need
from wsssbench.contract.rig import Subject
from wsssbench.contract.samples import CALLS, SUPPLIED
from wsssbench.errors import MissingPackageError, UserError
from wsssbench.registry import KINDS, Parameter, check_value, initialisers, trials


def imports(subject: Subject) -> None:
    """The registered name leads to a class that implements its contract."""
    missing = sorted(getattr(subject.cls, "__abstractmethods__", ()))
    need(
        not missing,
        f"{subject.cls.__name__} does not define {', '.join(missing)}",
        f"wsssbench.interfaces.{KINDS[subject.component.kind]} leaves that to it",
    )


def description(subject: Subject) -> None:
    """It has a summary of one line, a docstring, and a plugin with distribution and version."""
    component = subject.component
    need(
        bool(component.summary.strip()) and "\n" not in component.summary,
        f"its summary is {component.summary!r}",
        "`plugins list` needs one line",
    )
    contract = getattr(interfaces, KINDS[component.kind])
    documentation = inspect.getdoc(subject.cls)
    need(
        bool(documentation) and documentation != inspect.getdoc(contract),
        f"{subject.cls.__name__} has no docstring",
        "`plugins describe` shows it",
    )
    need(
        bool(component.plugin and component.distribution and component.version),
        f"its origin is plugin {component.plugin!r} of {component.distribution!r} {component.version!r}",
        "results are cached by the version of what made them",
    )


def arguments(subject: Subject) -> None:
    """The constructor takes by position what the toolkit supplies, and the user's parameters by keyword only."""
    call, count = CALLS[subject.component.kind], len(SUPPLIED[subject.component.kind])
    constructor = subject.cls.__init__  # type: ignore[misc]
    inherited = constructor in (object.__init__, nn.Module.__init__)
    if inherited and not count:
        return
    given = list(inspect.signature(constructor).parameters.values())[1:]
    positional = [p.name for p in given if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    # `**rest` may go to the constructor of a base class that says what it takes.
    last = list(initialisers(subject.cls))[-1]
    packed = [str(p) for p in given if p.kind is p.VAR_POSITIONAL] + [
        str(p) for p in inspect.signature(last).parameters.values() if p.kind is p.VAR_KEYWORD
    ]
    need(
        not packed,
        "it has no constructor" if inherited else f"its constructor takes {' and '.join(packed)}",
        f"the toolkit calls {subject.name}{call}, and every parameter of the user's has a name",
    )
    need(
        len(positional) <= count,
        f"argument '{', '.join(positional[count:])}' of its constructor is not keyword-only",
        "only keyword-only arguments, behind `*`, can be set in a config",
    )
    need(
        len(positional) == count,
        f"its constructor takes {len(positional)} arguments by position",
        f"the toolkit calls {subject.name}{call}",
    )


def parameter_types(subject: Subject) -> None:
    """Every parameter has a type, and a default of that type."""
    for parameter in _parameters(subject).values():
        name = parameter.name
        need(
            parameter.annotation is not Any,
            f"parameter '{name}' has no type",
            "values in configs are checked against it",
        )
        if parameter.default is inspect.Parameter.empty:
            continue
        try:
            same = check_value(parameter, parameter.default, "") == parameter.default
        except UserError:
            same = False
        need(
            same,
            f"the default {parameter.default!r} of parameter '{name}' is no {parameter.type_name}",
            "a config may write the default out",
        )


def parameter_documentation(subject: Subject) -> None:
    """The docstring says of every parameter what it does."""
    contract = getattr(interfaces, KINDS[subject.component.kind])
    own = [cls for cls in subject.cls.__mro__ if issubclass(cls, contract) and cls is not contract]
    documentation = "\n".join(cls.__doc__ or "" for cls in own)
    for name in _parameters(subject):
        need(
            f"{name}:" in documentation or f"`{name}`" in documentation,
            f"parameter '{name}' is not documented",
            "`plugins describe` shows the docstring to users",
        )


def unknown_parameter(subject: Subject) -> None:
    """A misspelt parameter is refused, with its near match."""
    names = list(_parameters(subject))
    wrong = max(names, key=len) + "x" if names else "any"
    try:
        subject.registry.resolve({"type": subject.name, wrong: 1}, "here")
    except UserError as error:
        _, _, hint = str(error).partition(f"unknown parameter '{wrong}': ")
        near = hint.partition("did you mean ")[2].partition("?")[0]
        answered = wrong[:-1] in near if names else "there are none" in hint
        seen = f"the misspelt parameter '{wrong}' is answered with '{error}'"
    else:
        answered, seen = False, f"the misspelt parameter '{wrong}' is accepted"
    need(answered, seen, "it has to be refused by naming what is near")


def builds(subject: Subject) -> None:
    """It can be built from its default parameters, or from those that were given."""
    built = subject.build()
    need(
        isinstance(built, subject.cls),
        f"building it gives a {type(built).__name__}",
        f"an instance of {subject.cls.__name__} is needed",
    )


def parameter_ranges(subject: Subject) -> None:
    """Both ends of a range give an instance or a sentence, one of them an instance; what is beyond is refused."""
    for name, parameter in _parameters(subject).items():
        tried = list(trials(parameter.annotation, parameter.default))
        built = [_built(subject, name, value) for value, inside in tried if inside]
        need(
            not built or any(built),
            f"parameter '{name}' is refused at both ends of its range {parameter.type_name}",
            "a range is of values that can be used",
        )
        for value, inside in tried:
            if not inside:
                with attempt(
                    f"{name}={value!r}, which its range excludes,", "it has to be a sentence"
                ):
                    need(
                        not _accepted(subject, parameter, value),
                        f"{name}={value!r} is accepted, but has to be {parameter.type_name}",
                        "the range excludes it",
                    )


def _built(subject: Subject, name: str, value: Any) -> bool:
    """Can it be built with this `value` of the parameter `name`? If not, it has to say so in a sentence."""
    with attempt(
        f"building it with {name}={value!r}, which its range has,", "a ValueError has to say why"
    ):
        try:
            subject.registry.build(
                {**subject.config(), name: value}, *SUPPLIED[subject.component.kind]
            )
        except MissingPackageError:
            raise
        except UserError:
            return False
    return True


def _accepted(subject: Subject, parameter: Parameter, value: Any) -> bool:
    try:
        check_value(parameter, value, subject.name)
    except UserError:
        return False
    return True


CHECKS = (
    imports,
    description,
    arguments,
    parameter_types,
    parameter_documentation,
    unknown_parameter,
    builds,
    parameter_ranges,
)


def _parameters(subject: Subject) -> dict[str, Parameter]:
    with attempt(
        "reading the annotations of its constructor",
        "they have to resolve when the program runs, outside of `if TYPE_CHECKING`",
    ):
        return subject.registry.parameters(subject.name)
