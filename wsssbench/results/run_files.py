"""The places of a run: the files in ``runs/<name>/<run id>/``, and its stages' results in the cache."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wsssbench.errors import UserError
from wsssbench.experiment.cache import MANIFEST

RUN = "run.json"


def image_counts_path(run: Path, node: str) -> Path:
    """The file in the folder of a `run` with the counts per image of the evaluation of `node`."""
    return run / "image_counts" / f"{node}.npz"


def confusion_path(run: Path, node: str) -> Path:
    """The file in the folder of a `run` with the confusion matrix of the evaluation of `node`."""
    return run / "confusion" / f"{node}.csv"


def config_values(text: str, where: str) -> dict[str, Any]:
    """A resolved config, the text of a run's ``config.py``, as plain values; nothing of it is run.

    Raises:
        UserError: not such a text; the error names `where` it is from.
    """
    try:
        return {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in ast.parse(text).body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise UserError(
            f"{where}: its config cannot be read ({error}); run the experiment again"
        ) from None


def config_at(config: Any, path: str, default: Any = None) -> Any:
    """The value of `config` at the dotted `path`; a part of it may be the index in a list."""
    for part in path.split("."):
        if isinstance(config, Mapping) and part in config:
            config = config[part]
        elif isinstance(config, list | tuple) and part.isdigit() and int(part) < len(config):
            config = config[int(part)]
        else:
            return default
    return config


def read_stages(run: Path) -> dict[str, dict[str, Any]]:
    """The stages of a `run` by node, as its ``run.json`` describes them.

    Raises:
        UserError: not the folder of a run.
    """
    try:
        stages = json.loads((run / RUN).read_text(encoding="utf-8"))["stages"]
        return {
            node: {**stage, "directory": str(stage["directory"]), "hash": str(stage["hash"])}
            for node, stage in stages.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(
            f"{run} is not the folder of a run: give one such as work/runs/<name>/<id>"
        ) from None


def stage_directory(run: Path, stage: Mapping[str, Any]) -> Path | None:
    """The folder with the results of a `stage` of `read_stages`; None if they are not complete in the cache any more.

    The work folder may have been moved since, or the run may have been given paths relative to another folder.
    """
    directory = Path(stage["directory"])
    work = run.resolve().parent.parent.parent
    for place in (directory, work / "cache" / directory.parent.name / stage["hash"]):
        if (place / MANIFEST).is_file():
            return place
    return None
