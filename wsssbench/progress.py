"""What a long task may tell its user. The command line shows it; tests and plugins may pass `Silent`."""

from __future__ import annotations

import math
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

WARNING = "warning: "  # begins the line of one


class Task(Protocol):
    """One counted piece of work."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """`steps` more units are done; `note` is a short status such as ``loss 0.123``."""


class Progress(Protocol):
    """Where a stage reports to. One sentence per call, no line breaks."""

    def say(self, text: str) -> None:
        """Something worth reading, e.g. that a run resumed at iteration 150."""

    def warn(self, text: str) -> None:
        """Something the user may want to change."""

    def track(self, title: str, total: int, done: int = 0) -> AbstractContextManager[Task]:
        """A progress bar with the time left; `done` units were there already."""


class _SilentTask:
    def advance(self, steps: int = 1, note: str = "") -> None:
        pass


class Silent:
    """A `Progress` that shows nothing (ranks above 0, tests)."""

    def say(self, text: str) -> None:
        pass

    def warn(self, text: str) -> None:
        pass

    def track(self, title: str, total: int, done: int = 0) -> AbstractContextManager[Task]:
        return nullcontext(_SilentTask())


class Pace:
    """How fast a counted piece of work goes on, by what was done last: its beginning may have been of another speed.

    Args:
        now: seconds, of any clock that does not go back.
        done: units that were there already.
    """

    WINDOW = 60.0  # seconds

    def __init__(self, now: float, done: int) -> None:
        self._seen = deque([(now, done)])

    def left(self, now: float, done: int, total: int) -> float | None:
        """The seconds until `total` units are done; None as long as nothing is known."""
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - self.WINDOW:
            self._seen.popleft()
        began, before = self._seen[0]
        if done <= before or now <= began:
            return None
        return (total - done) * (now - began) / (done - before)


def duration(seconds: float) -> str:
    """``0.8 s``, ``42 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"
