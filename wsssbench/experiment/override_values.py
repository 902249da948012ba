"""Reads the values of ``--set``: as Python has them, with components as they would be called."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wsssbench.errors import UserError
from wsssbench.registry import Parameter, artefact_classes, is_list, part_of, takes_none, takes_text

# The parameters of what stands at a place: (content, path) -> name -> parameter.
ParametersAt = Callable[[Mapping[str, Any], str], Mapping[str, Parameter]]
_WORDS = {"true": True, "false": False, "none": None, "null": None}


@dataclass(frozen=True)
class Written:
    """A number, True, False or None, and the text that was written for it: a run may be called 2007_000032."""

    value: Any
    text: str


def parse(text: str) -> Any:
    """Return a Python literal, a component as it would be called, ``GPP(bins=(2, 4))``, or the text itself.

    What could be meant as text, too, is a `Written`.
    """
    given = text.strip()
    if given.lower() in _WORDS:
        return Written(_WORDS[given.lower()], given)
    try:
        return _value(ast.parse(given, mode="eval").body, given)
    except (RecursionError, MemoryError):  # of Python's parser, for some hundred brackets
        raise UserError(f"--set ...={text}: the value is nested too deeply") from None
    except (ValueError, SyntaxError, TypeError):  # TypeError: a list as a key
        return text


def _value(node: ast.expr, source: str) -> Any:
    """Evaluate an expression: literals as in Python, ``Name(key=value)`` a component, ``dict(...)`` a section, and a
    bare or dotted name inside one its own text."""
    if isinstance(node, ast.Call):
        if (
            not isinstance(node.func, ast.Name)
            or node.args
            or any(k.arg is None for k in node.keywords)
        ):
            raise ValueError("not of the form Name(key=value, ...)")
        given = {str(keyword.arg): _value(keyword.value, source) for keyword in node.keywords}
        return given if node.func.id == "dict" else {"type": node.func.id, **given}
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_value(item, source) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.Dict) and all(key is not None for key in node.keys):
        keys = [ast.literal_eval(key) for key in node.keys if key is not None]
        values = [_value(item, source) for item in node.values]
        return dict(zip(keys, values, strict=True))
    if _is_name(node):
        name = ast.unparse(node)
        return Written(_WORDS[name.lower()], name) if name.lower() in _WORDS else name
    value = ast.literal_eval(node)
    if value is None or isinstance(value, (bool, int, float)):
        return Written(value, ast.get_source_segment(source, node) or repr(value))
    return value


def _is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_name(node.value))


def settled(value: Any, annotation: Any, path: str, parameters_at: ParametersAt) -> Any:
    """Return `value`, of which `parse` could not know, as what `annotation` has: text or number, one or several.

    Args:
        path: where it will stand.
    """
    if isinstance(value, Mapping):
        parameters = parameters_at(value, path)
        return {
            key: settled(
                item,
                parameters[key].annotation if key in parameters else part_of(annotation, str(key)),
                f"{path}.{key}",
                parameters_at,
            )
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(
            settled(item, part_of(annotation, str(i)), f"{path}.{i}", parameters_at)
            for i, item in enumerate(value)
        )
    several = is_list(annotation)
    if isinstance(value, Written):
        wanted = part_of(annotation, "0") if several else annotation
        none = value.value is None and takes_none(wanted)
        if takes_text(wanted, value.value) or (artefact_classes(wanted) and not none):
            value = value.text if value.value is not None or wanted is annotation else None
        else:
            value = value.value
    return value if value is None or not several else [value]
