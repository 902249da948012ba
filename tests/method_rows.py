"""The rows of configs/methods.py and configs/refinements.py as experiments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shipped import CONFIGS

from wsssbench.experiment.config import config_text, read_config
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.sweep.cells import with_earlier
from wsssbench.sweep.matrix import Matrix, read_matrix

BASES = ("part", "context", "synthetic", "voc", "voc_small")


def methods(base: str = "part", matrix: str = "methods") -> Matrix:
    return read_matrix(CONFIGS / f"{matrix}.py", base=base)


def row_config(
    row: str, base: str = "part", overrides: Sequence[str] = (), matrix: str = "methods"
) -> dict[str, Any]:
    """The config of `row`, not resolved, with further `overrides`."""
    rows = methods(base, matrix)
    return apply_overrides(with_earlier(read_config(rows.base), rows.row(row)), overrides)


def row_file(row: str, folder: Path, base: str = "part", matrix: str = "methods") -> Path:
    """The config of `row` as a file in `folder`, which is an experiment as any other."""
    path = folder / "row.py"
    path.write_text(config_text(row_config(row, base, matrix=matrix)), encoding="utf-8")
    return path


def types(node: Any) -> Iterator[str]:
    """The names of all components in a resolved config."""
    if isinstance(node, Mapping):
        if isinstance(node.get("type"), str):
            yield node["type"]
        for item in node.values():
            yield from types(item)
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from types(item)
