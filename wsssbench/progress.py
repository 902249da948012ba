"""What a long task may tell its user. The command line shows it; tests and plugins may pass `Silent`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


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
