"""What MLflow is told about a stage, as plain values: its parameters, its numbers, its curves."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CURVES = "scalars.jsonl"  # what a training leaves: a JSON object per iteration
_POINT = ("miou", "precision", "recall", "threshold")
_FORBIDDEN = re.compile(r"[^\w .:/-]", re.ASCII)


def parameters(node: str, config: Mapping[str, Any]) -> dict[str, str]:
    """The leaves of a stage's config: ``classify.classifier.pooling.type`` -> ``GPP``."""
    return {name: str(value) for name, value in _leaves(node, config)}


def numbers(node: str, result: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a stage's result: ``evaluate.cam/miou``, ``evaluate.cam/oracle_miou``, ``cam/seconds``."""
    values: dict[str, Any] = {}
    for prefix, key in (("", "chosen"), ("oracle_", "oracle")):
        point = result.get(key) or {}
        values.update({f"{prefix}{name}": point.get(name) for name in _POINT})
    values.update({name: value for name, value in result.items() if name != "reused"})
    return {_name(node, name): float(v) for name, v in values.items() if _is_number(v)}


def curves(node: str, directory: Path) -> Iterator[tuple[int, str, float]]:
    """(iteration, name, value) of what a training left, e.g. (12, ``classify/loss``, 0.31)."""
    path = directory / CURVES
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        point = json.loads(line)
        step = point.pop("iteration")
        for name, value in point.items():
            if _is_number(value):
                yield step, _name(node, name), float(value)


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(f"{name}.{key}", item)
    elif isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
        for position, item in enumerate(value):
            yield from _leaves(f"{name}.{position}", item)
    else:
        yield _FORBIDDEN.sub("_", name), value


def _name(node: str, name: str) -> str:
    return _FORBIDDEN.sub("_", f"{node}/{name}")


def _is_number(value: Any) -> bool:
    """Not a bool, and not NaN or infinite, which stores disagree about."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
