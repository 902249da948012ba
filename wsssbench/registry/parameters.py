"""The user's parameters of a class or function, and the check of what is given for them."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from wsssbench.errors import UserError, unknown
from wsssbench.registry.annotations import has_stray_bool, type_text

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True)
class Parameter:
    """One user parameter of a component: name, type annotation, default (`inspect.Parameter.empty` if required)."""

    name: str
    annotation: Any
    default: Any

    @property
    def type_name(self) -> str:
        return type_text(self.annotation)

    @cached_property
    def artefacts(self) -> tuple[Any, ...]:
        """The classes of artefacts of which it names a stage, see `artefact_classes`."""
        return artefact_classes(self.annotation)

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """Pydantic's check of a value. A number that is none spoils a training without a word, so it takes no such."""
        from pydantic import ConfigDict, TypeAdapter

        settings = ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False)
        return TypeAdapter(self.annotation, config=settings)


def signature_parameters(function: Any) -> dict[str, Parameter]:
    """The keyword-only arguments of a class or function, with resolved annotations.

    Where a class hands on ``**rest``, those of its base class follow, less the ones it has itself.

    Raises:
        UserError: an annotation names what its module has not imported.
    """
    return dict(_parameters(function))


@cache
def _parameters(function: Any) -> dict[str, Parameter]:
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

    A parameter with such an annotation is given as the name of a stage that makes one of them; `Photos` as the key of
    a split in ``splits``.
    """
    interfaces = sys.modules.get("wsssbench.interfaces")
    if interfaces is None:  # then nobody can have used it in an annotation
        return ()
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return (
            (annotation,)
            if issubclass(annotation, (interfaces.Artefact, interfaces.Photos))
            else ()
        )
    return tuple(c for part in typing.get_args(annotation) for c in artefact_classes(part))


def called(artefacts: tuple[Any, ...]) -> str:
    """What artefacts of these classes are called in sentences."""
    return " or ".join(artefact.called for artefact in artefacts)


def check_value(parameter: Parameter, value: Any, where: str) -> Any:
    """`value` as its annotation has it (a list may become a tuple); UserError if it is none of these."""
    from pydantic import ValidationError

    if parameter.artefacts:
        return _check_reference(parameter, parameter.artefacts, value, where)
    if has_stray_bool(parameter.annotation, value):
        raise UserError(f"{where}: {parameter.name}={value!r} has to be {parameter.type_name}")
    try:
        return parameter.adapter.validate_python(value)
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
