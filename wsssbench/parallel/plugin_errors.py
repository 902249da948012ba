"""Exceptions from a plugin's own code, in whichever process: one sentence with component, file and line."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from wsssbench.errors import CorruptArtefactError, PluginError, UserError
from wsssbench.plugin_files import is_plugin_file
from wsssbench.plugins import load

_OWN = "wsssbench"


@contextmanager
def plugin_errors() -> Iterator[None]:
    """Turn an exception that was raised in, or below, a plugin's code into a PluginError; leave all others.

    An error for users stays what it is, and so does a full disk.
    """
    try:
        yield
    except (UserError, CorruptArtefactError):
        raise
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        sentence = None if full else _sentence(error)
        if sentence is None:
            raise
        details = "".join(traceback.format_exception(error))
        raise PluginError(sentence, details) from error


def _sentence(error: BaseException) -> str | None:
    """Name the component whose code the `error` came through last; None if it came through no plugin."""
    frames = [(f, line) for f, line in traceback.walk_tb(error.__traceback__) if _of_plugin(f)]
    if not frames:
        return None
    frame, line = frames[-1]
    what = next(filter(None, (_component(f) for f, _ in reversed(frames))), "the code of a plugin")
    file = Path(frame.f_code.co_filename)
    text = str(error).strip()
    raised = f"{type(error).__name__}{f': {text}' if text else ''}"
    return f"{what} raised {raised} ({file}, line {line})"


def _of_plugin(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    packages = {
        component.target.partition(":")[0].partition(".")[0]
        for registry in load().registries
        for component in registry.components.values()
    }
    return is_plugin_file(module) or module.partition(".")[0] in packages - {_OWN}


def _component(frame: FrameType) -> str | None:
    """``pooling RankPooling``, if `frame` is a method of a component."""
    known = {
        component.target: f"{registry.kind} {component.name}"
        for registry in load().registries
        for component in registry.components.values()
    }
    targets = (
        f"{cls.__module__}:{cls.__name__}" for cls in type(frame.f_locals.get("self")).__mro__
    )
    return next((known[target] for target in targets if target in known), None)
