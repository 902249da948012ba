"""What two experiments set differently: resolved configs compared value by value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wsssbench.errors import UserError
from wsssbench.experiment.config import read_config, resolve
from wsssbench.files.records import read_record
from wsssbench.results.run import FILE as METRICS
from wsssbench.results.run import read_run
from wsssbench.results.run_files import RUN, config_values
from wsssbench.results.started import STARTED, RunNote

ABSENT = object()  # the value of a key that one of the two does not have


def resolved_values(path: Path) -> dict[str, Any]:
    """Return the resolved config at `path`: a config file, or the folder of a run, whose config is read and not run.

    Raises:
        UserError: it is neither, or it cannot be read.
    """
    folder = path if path.is_dir() else path.parent
    of_run = [name for name in (STARTED, RUN, METRICS) if (folder / name).is_file()]
    if of_run and (path.is_dir() or path.name == "config.py"):
        if (folder / METRICS).is_file():
            return config_values(read_run(folder).config_text, str(folder / METRICS))
        note = read_record(RunNote, folder / of_run[0], "run the experiment again")
        return config_values(note.config, str(folder / of_run[0]))
    if path.is_dir():
        raise UserError(
            f"{path} is not the folder of a run: give one such as work/runs/<name>/<id>, or a config file"
        )
    return resolve(read_config(path))


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return key -> (value in `a`, value in `b`) where they differ, `ABSENT` where one has no such key."""
    one, two = _flat(a), _flat(b)
    return {
        key: (one.get(key, ABSENT), two.get(key, ABSENT))
        for key in dict.fromkeys([*one, *two])
        if one.get(key, ABSENT) != two.get(key, ABSENT)
    }


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Return dotted key -> value; items of a list of components have their number as a key."""
    if isinstance(value, Mapping) and value:
        parts = value.items()
    elif isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
        parts = {str(i): item for i, item in enumerate(value)}.items()
    else:
        return {key: list(value) if isinstance(value, tuple) else value}
    return {
        k: v for part, item in parts for k, v in _flat(item, f"{key}.{part}".lstrip(".")).items()
    }
