"""Our lines, bars and tables on the terminal; the libraries' noise goes to a log file.

Both are doors: what comes from files, arguments and libraries passes them with its control characters escaped, and no
text is taken for markup.
"""

from __future__ import annotations

import codecs
import io
import logging
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.text import Text

from wsssbench.errors import PluginError, escaped, one_line
from wsssbench.progress import WARNING, Pace, duration

PLAIN_INTERVAL = 10.0  # seconds between the lines of one task when there is no terminal


_IN_ASCII = {"–": "-", "—": "-", "−": "-", "…": "...", "×": "x", "→": "->", "±": "+-", "·": "."}


def make_console(stream: TextIO | None = None) -> Console:
    """A console on `stream` (default: standard output) that keeps it, whatever is redirected later."""
    stream = stream or sys.stdout
    stream = stream.stream if isinstance(stream, EscapedStream) else stream
    show_all(stream)
    return _EscapingConsole(file=stream, highlight=False, soft_wrap=True, markup=False, emoji=False)


def show_all(stream: TextIO) -> None:
    """Let `stream` show what its encoding lacks in other characters, e.g. a dash as ``-``, instead of failing."""
    codecs.register_error("wsssbench", _in_other_characters)
    # The second one is Python's choice in the locale C.
    if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
        stream.reconfigure(errors="wsssbench")


def _in_other_characters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    shown = (_IN_ASCII.get(c) or c.encode("unicode_escape").decode() for c in lacking)
    return "".join(shown), error.end


class _EscapingConsole(Console):
    """A console that shows control characters escaped; its own line breaks and colours remain."""

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(escaped(text, keep="\n"), **how)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            text = segment.text
            if segment.control or text == "\n" or text.isprintable():
                yield segment
            else:
                yield Segment(escaped(text, keep="\n"), segment.style)


class EscapedStream(io.TextIOBase):
    """A text stream in front of `stream` that escapes control characters other than line breaks."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(escaped(text, keep="\n"))
        return len(text)

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding


class ConsoleProgress:
    """`wsssbench.progress.Progress` on a terminal: bars with time left; plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._warned: set[str] = set()

    def say(self, text: str) -> None:
        self.console.print(one_line(text))

    def warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self.console.print(f"{WARNING}{one_line(text)}", style="yellow")

    @contextmanager
    def track(self, title: str, total: int, done: int = 0) -> Iterator[_Task]:
        task = _BarTask(self.console, title, total, done) if self.console.is_terminal else (
            _PlainTask(self.console, title, total, done)
        )  # fmt: skip
        with task:
            yield task


class _Task:
    def advance(self, steps: int = 1, note: str = "") -> None:
        raise NotImplementedError

    def __enter__(self) -> _Task:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class _BarTask(_Task):
    def __init__(self, console: Console, title: str, total: int, done: int) -> None:
        self.bar = Progress(
            TextColumn("  {task.description:<14}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            speed_estimate_period=Pace.WINDOW,
            redirect_stdout=False,  # the libraries' prints belong in the log
            redirect_stderr=False,
        )
        self.id: TaskID = self.bar.add_task(one_line(title), total=total, completed=done, note="")

    def advance(self, steps: int = 1, note: str = "") -> None:
        fields = {"note": one_line(note)} if note else {}
        self.bar.update(self.id, advance=steps, **fields)  # type: ignore[arg-type]

    def __enter__(self) -> _Task:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()


class _PlainTask(_Task):
    def __init__(self, console: Console, title: str, total: int, done: int) -> None:
        self.console, self.title, self.total, self.done = console, title, total, done
        self.began = self.last = time.monotonic()
        self.pace = Pace(self.began, done)

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.done += steps
        now = time.monotonic()
        left = self.pace.left(now, self.done, self.total)
        if now - self.last >= PLAIN_INTERVAL and self.done < self.total:
            self.last = now
            known = [f"{duration(left)} left"] if left is not None else []
            self._line(", ".join([f"{self.done}/{self.total}", *known, *([note] if note else [])]))

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._line(f"{self.done}/{self.total} in {duration(time.monotonic() - self.began)}")

    def _line(self, text: str) -> None:
        self.console.print(one_line(f"  {self.title}: {text}"))


@contextmanager
def log_noise(path: Path, progress: ConsoleProgress) -> Iterator[None]:
    """Send the libraries' warnings, log records and prints to `path`; our own warnings to the user."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", buffering=1) as file:
        log: Any = EscapedStream(file)
        handler = logging.StreamHandler(log)
        root = logging.getLogger()
        before = (sys.stdout, sys.stderr, warnings.showwarning, list(root.handlers))
        root.handlers[:] = [handler]

        def show(message: Any, category: Any, filename: str, line: int, *_: Any) -> None:
            if "wsssbench" in Path(filename).parts[-3:-1] or "wsssbench_" in filename:
                progress.warn(str(message))
            else:
                log.write(warnings.formatwarning(message, category, filename, line))

        warnings.showwarning = show  # type: ignore[assignment]
        sys.stdout = sys.stderr = log
        try:
            yield
        except PluginError as error:
            log.write(error.details)
            whereabouts = f"; the whole traceback is in {path}" if path.is_file() else ""
            raise PluginError(error.sentence + whereabouts, error.details) from error
        finally:
            sys.stdout, sys.stderr, warnings.showwarning, root.handlers[:] = before
