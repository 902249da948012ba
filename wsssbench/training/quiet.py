"""Keeping what libraries print out of the user's terminal, and what they leave behind out of the process."""

from __future__ import annotations

import logging
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from wsssbench.parallel import ranks


def log_file(directory: Path) -> Path:
    """The file for what libraries print on this rank when it works in `directory`."""
    name = "libraries.log" if ranks.is_main() else f"libraries.rank{ranks.rank()}.log"
    return directory / name


@contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Append to the file `log` whatever is printed, warned or logged through Python inside.

    A progress display is not affected as long as it keeps its own reference to the terminal.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    terminal = (sys.stdout, sys.stderr)
    with log.open("a", buffering=1, encoding="utf-8", errors="backslashreplace") as stream:
        moved = _move_handlers(terminal, stream)
        try:
            with redirect_stdout(stream), redirect_stderr(stream), warnings.catch_warnings():
                yield
        finally:
            for handler, old in moved:
                handler.setStream(old)
            # A logger that was born inside must not write to a closed file later.
            _move_handlers((stream,), _Stderr())


class _Stderr:
    """Whatever `sys.stderr` is at the time of writing."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _move_handlers(
    sources: tuple[TextIO, ...], target: TextIO | _Stderr
) -> list[tuple[logging.StreamHandler[Any], TextIO]]:
    moved = []
    for logger in _loggers():
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream in sources:
                moved.append((handler, handler.stream))
                handler.setStream(target)
    return moved


def _loggers() -> list[logging.Logger]:
    named = [v for v in logging.root.manager.loggerDict.values() if isinstance(v, logging.Logger)]
    mmengine = sys.modules.get("mmengine.logging")  # its loggers are not in logging's own register
    theirs = list(mmengine.MMLogger._instance_dict.values()) if mmengine else []
    return [logging.root, *named, *theirs]


@contextmanager
def isolated() -> Iterator[None]:
    """Restore mmengine's global instances and the random generators afterwards: other trainings may follow."""
    import numpy as np
    import torch
    from mmengine.logging import MessageHub, MMLogger
    from mmengine.registry import DefaultScope
    from mmengine.visualization import Visualizer

    # mmengine keeps every instance of these by name, for ever, and "the current one" is the last.
    kept_by_name = (DefaultScope, MessageHub, MMLogger, Visualizer)
    instances = [(cls, dict(cls._instance_dict)) for cls in kept_by_name]
    state = (random.getstate(), np.random.get_state(), torch.get_rng_state())  # noqa: NPY002
    try:
        yield
    finally:
        for cls, before in instances:
            cls._instance_dict.clear()
            cls._instance_dict.update(before)
        random.setstate(state[0])
        np.random.set_state(state[1])  # noqa: NPY002
        torch.set_rng_state(state[2])
