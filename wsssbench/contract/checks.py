"""How a check speaks: what it saw, and what the contract requires, in one sentence."""

from __future__ import annotations

import textwrap
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wsssbench.errors import ForeignExitError, MissingPackageError, UserError, contained
from wsssbench.interfaces.requirements import BrokenContractError, need

__all__ = [
    "BrokenContractError",
    "Finding",
    "NotCheckedError",
    "attempt",
    "need",
    "place",
    "reason",
]

_LONGEST = 240  # characters of somebody else's message


@dataclass(frozen=True)
class Finding:
    """What one check found out about one component.

    Attributes:
        kind: a key of `wsssbench.registry.KINDS`.
        component: its registered name.
        check: the check's name, e.g. ``"odd sizes"``.
        state: a skipped check could not be made, which `sentence` gives the reason for.
        sentence: names the component, what was seen, what is required, and what the check asks for as a whole; empty if
            all is well.
        required: that part of the sentence; one mistake may break several checks in the same way.
    """

    kind: str
    component: str
    check: str
    state: Literal["ok", "failed", "skipped"]
    sentence: str = ""
    required: str = ""


class NotCheckedError(Exception):
    """A check that cannot be made; its message says why, and what would make it possible."""


@contextmanager
def attempt(what: str, required: str) -> Iterator[None]:
    """Run a component's code; if it raises anything, the check has failed: "`what` raised ...", but `required`.

    If it needs a package that is not installed, the check cannot be made.
    """
    try:
        with contained():
            yield
    except (BrokenContractError, NotCheckedError):
        raise
    except MissingPackageError as error:
        raise NotCheckedError(f"it was not checked further: {error}") from error
    except Exception as error:  # the code is somebody else's
        raise BrokenContractError(f"{what} raised {reason(error)}", required) from error


def reason(error: BaseException) -> str:
    """``ValueError: message``, in one line; the message alone if it is one for users."""
    if isinstance(error, ForeignExitError) and error.__cause__:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    message = textwrap.shorten(lines[0], _LONGEST, placeholder="...") if lines else ""
    if isinstance(error, UserError):
        return f"the error '{message}'"
    return f"{type(error).__name__}{': ' if message else ''}{message}"


def place(error: BaseException | None, home: Path | None) -> str:
    """`` (gap.py, line 12)``: where below `home` the `error` was raised; empty if elsewhere, or one for users."""
    if error is None or home is None or isinstance(error, UserError):
        return ""
    frames = [(Path(f.filename), f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    own = [
        (file.name, line)
        for file, line in frames
        if file.resolve().is_relative_to(home) and file.parent != Path(__file__).parent
    ]
    return f" ({own[-1][0]}, line {own[-1][1]})" if own else ""
