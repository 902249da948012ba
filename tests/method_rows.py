"""The rows of configs/methods.py as experiments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wsssbench.experiment.config import config_text, read_config
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.sweep.cells import with_earlier
from wsssbench.sweep.matrix import Matrix, read_matrix

MATRIX = Path(__file__).parents[1] / "configs" / "methods.py"


def methods(base: str = "part") -> Matrix:
    return read_matrix(MATRIX, base=base)


def row_config(row: str, base: str = "part", overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The config of `row`, not resolved, with further `overrides`."""
    matrix = methods(base)
    return apply_overrides(with_earlier(read_config(matrix.base), matrix.row(row)), overrides)


def row_file(row: str, folder: Path, base: str = "part") -> Path:
    """The config of `row` as a file in `folder`, which is an experiment as any other."""
    path = folder / "row.py"
    path.write_text(config_text(row_config(row, base)), encoding="utf-8")
    return path
