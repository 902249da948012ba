"""What the field's released code gives on small inputs: arrays ``in.*`` and ``out.*``, and its parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

_FOLDER = Path(__file__).parents[1] / "golden"


def golden(name: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, Any]]:
    """The inputs, the outputs and the parameters of the case `name`."""
    with np.load(_FOLDER / f"{name}.npz") as case:
        given = {key[3:]: case[key] for key in case.files if key.startswith("in.")}
        wanted = {key[4:]: case[key] for key in case.files if key.startswith("out.")}
        return given, wanted, json.loads(str(case["parameters"]))
