"""Changing a config from the command line: ``--set a.b=value`` and ``--smoke``."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping, Sequence
from typing import Any

from wsssbench.errors import UserError, unknown
from wsssbench.experiment.config import SECTIONS
from wsssbench.plugins import load
from wsssbench.registry import signature_parameters

SLOTS = {
    "data": "dataset",
    "classifier.backbone": "backbone",
    "classifier.pooling": "pooling",
    "cam": "cam",
    "segmenter": "segmenter",
    "segmenter.backbone": "backbone",
}


def apply_smoke(config: dict[str, Any]) -> dict[str, Any]:
    """The config with its own ``smoke`` overrides: the same stages on a handful of images."""
    if not config.get("smoke"):
        raise UserError(
            "this config has no smoke=dict(...) section of overrides, so --smoke cannot shrink it; "
            "add one or use --set"
        )
    return apply_overrides(config, [f"+{key}={value!r}" for key, value in config["smoke"].items()])


def apply_overrides(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`config` with ``a.b=value`` applied in order.

    A key has to exist, or to be a parameter of the component at that place; ``+a.b=value`` adds any key. A slot may be
    given by name alone, ``classifier.pooling=GAP``, or as it would be called, ``classifier.pooling=GPP(bins=(2, 4))``;
    ``classifier.erasing=none`` empties it.

    Raises:
        UserError: not of that form, or an unknown key (with near matches).
    """
    result: dict[str, Any] = copy.deepcopy(dict(config))
    for override in overrides:
        key, equals, text = override.partition("=")
        add = key.startswith("+")
        path = key.removeprefix("+").strip()
        if not equals or not path:
            raise UserError(f"--set {override}: has to be of the form key.subkey=value")
        _assign(result, path, _parse(text), add)
    return result


def _parse(text: str) -> Any:
    """A Python literal, a component as it would be called, ``GPP(bins=(2, 4))``, or the text itself."""
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.strip().lower() in words:
        return words[text.strip().lower()]
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (ValueError, SyntaxError):
        return text


def _value(node: ast.expr) -> Any:
    """What an expression means: literals as in Python, ``Name(key=value)`` a component, ``dict(...)`` a section."""
    if isinstance(node, ast.Call):
        if (
            not isinstance(node.func, ast.Name)
            or node.args
            or any(k.arg is None for k in node.keywords)
        ):
            raise ValueError("not of the form Name(key=value, ...)")
        given = {str(keyword.arg): _value(keyword.value) for keyword in node.keywords}
        return given if node.func.id == "dict" else {"type": node.func.id, **given}
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_value(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    return ast.literal_eval(node)


def _assign(config: dict[str, Any], path: str, value: Any, add: bool) -> None:
    *parents, last = path.split(".")
    node: Any = config
    for depth, part in enumerate(parents):
        node = _child(node, part, ".".join(parents[:depth]), path, add)
    here = ".".join(parents)
    if isinstance(node, list):
        node[_index(node, last, here, path)] = value
        return
    if not add:
        declared = _allowed_keys(node, here)
        allowed = {*node, *declared}
        if last not in allowed:  # where keys are declared, no other one would be accepted
            hint = "" if declared else f"; write +{path}=... to add a new one"
            raise UserError(f"--set {path}: {unknown('key', last, allowed)}{hint}")
    node[last] = _as_slot(path, value)


def _child(node: Any, part: str, here: str, path: str, add: bool) -> Any:
    if isinstance(node, list):
        return node[_index(node, part, here, path)]
    if isinstance(node.get(part), tuple):
        node[part] = list(node[part])
    if part not in node or node[part] is None:
        allowed = set(node) | set(_allowed_keys(node, here))
        if not add and part not in allowed:
            raise UserError(f"--set {path}: {unknown('key', part, allowed)}")
        node[part] = {}
    if not isinstance(node[part], (dict, list)):
        raise UserError(
            f"--set {path}: {f'{here}.{part}'.lstrip('.')} is {node[part]!r}, not a section"
        )
    return node[part]


def _index(node: list[Any], part: str, here: str, path: str) -> int:
    if not part.isdigit() or int(part) >= len(node):
        raise UserError(
            f"--set {path}: {here} is a list of {len(node)}, '{part}' is no index in it"
        )
    return int(part)


def _as_slot(path: str, value: Any) -> Any:
    if path == "classifier.erasing":
        if value is None:
            return []
        return [{"type": value}] if isinstance(value, str) else (
            [value] if isinstance(value, dict) else value
        )  # fmt: skip
    if isinstance(value, str) and path in SLOTS:
        return {"type": value}
    return value


def _allowed_keys(node: Mapping[str, Any], here: str) -> list[str]:
    """Keys that may be set at `here` although the config does not spell them out."""
    if here in SECTIONS:
        return list(signature_parameters(SECTIONS[here]))
    name = node.get("type")
    registries = load().registries
    if isinstance(name, str):
        return [p for c in registries.find(name) for p in registries[c.kind].parameters(c.name)]
    return _nested_parameters(here)


def _nested_parameters(here: str) -> list[str]:
    """Parameters of the plain (typeless) sections inside components."""
    from wsssbench.segmenters.settings import InitSettings, TestSettings
    from wsssbench.training.engine import Schedule
    from wsssbench.training.transforms import TrainTransform

    if here.endswith("schedule"):
        return list(signature_parameters(Schedule))
    if here == "classifier.transform":
        return list(signature_parameters(TrainTransform))
    if here == "segmenter.test":
        return list(signature_parameters(TestSettings))
    if here == "segmenter.init":
        return list(signature_parameters(InitSettings))
    return []
