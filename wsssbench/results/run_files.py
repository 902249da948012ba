"""The places of a run: the files in ``runs/<name>/<run id>/``, and its stages' results in the cache."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsssbench.errors import UserError
from wsssbench.experiment.cache import MANIFEST
from wsssbench.files.reading import cause
from wsssbench.files.records import read_record

RUN = "run.json"
CONFIG = "config.py"
_AGAIN = "run the experiment again"


@dataclass(frozen=True)
class StageRecord:
    """What a run says about one of its stages.

    Attributes:
        directory: of its results when the run ended, ``<work>/cache/<kind>/<hash>``.
        hash: the name of that folder.
        title: what people call the result.
    """

    directory: str
    hash: str
    title: str | None = None


@dataclass(frozen=True)
class RunRecord:
    """What is read of a ``run.json``."""

    stages: dict[str, StageRecord]


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
        return dict(_assigned(statement) for statement in ast.parse(text).body)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise UserError(f"{where}: its config cannot be read ({cause(error)}); {_AGAIN}") from None


def _assigned(statement: ast.stmt) -> tuple[str, Any]:
    """The name and the value of ``name = value``; ValueError for any other statement."""
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id, ast.literal_eval(statement.value)
    raise ValueError(f"line {statement.lineno} is not of the form name = value")


def read_config(run: Path) -> dict[str, Any]:
    """The resolved config of a `run`, as plain values; nothing of its ``config.py`` is run.

    Raises:
        UserError: there is none, or it is no resolved config.
    """
    path = run / CONFIG
    if not path.is_file():
        raise _no_run(run)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({cause(error)}); {_AGAIN}") from None
    config = config_values(text, str(path))
    for section in ("data", "splits"):
        if not isinstance(config.get(section), dict):
            raise UserError(f"{path}: {section}=dict(...) is missing in it; {_AGAIN}")
    return config


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


def read_stages(run: Path) -> dict[str, StageRecord]:
    """The stages of a `run` by node, as its ``run.json`` describes them.

    Raises:
        UserError: not the folder of a run, or the file is damaged.
    """
    path = run / RUN
    if not path.is_file():
        raise _no_run(run)
    stages = read_record(RunRecord, path, _AGAIN).stages
    for node, stage in stages.items():
        cache, kind, name = ("", "", "", *Path(stage.directory).parts)[-3:]
        plain = cache == "cache" and not {kind, name} & {"", ".."} and "\0" not in stage.directory
        if not plain or name != stage.hash:
            raise UserError(
                f"{path}: stages.{node}: {stage.directory!r} is not the folder of the stage "
                f"{stage.hash!r} in a cache; {_AGAIN}"
            )
    return stages


def _no_run(run: Path) -> UserError:
    return UserError(f"{run} is not the folder of a run: give one such as work/runs/<name>/<id>")


def stage_directory(run: Path, stage: StageRecord) -> Path | None:
    """The folder with the results of a `stage` of `read_stages`; None if they are not complete in the cache any more.

    The work folder may have been moved since, or the run may have been given paths relative to another folder.
    """
    directory = Path(stage.directory)
    work = run.resolve().parent.parent.parent
    for place in (directory, work / "cache" / directory.parent.name / stage.hash):
        if (place / MANIFEST).is_file():
            return place
    return None
