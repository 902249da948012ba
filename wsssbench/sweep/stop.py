"""Requests to stop a sweep: Ctrl-C, SIGTERM (a time limit) and SIGHUP (a closed terminal)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """Notes whether somebody asks this process to stop.

    The handler only takes a note, so that no file is left half written and no process is lost between its start
    and its registration; whoever waits in a loop has to look here.

    Attributes:
        signal: the first request, 0 before.
        count: how many requests there were; the second asks to kill.
    """

    def __init__(self) -> None:
        self.signal = 0
        self.count = 0

    def __bool__(self) -> bool:
        return self.count > 0

    def note(self, number: int, _frame: Any = None) -> None:
        """Take a note of one request."""
        self.signal = self.signal or number
        self.count += 1

    @property
    def exit_code(self) -> int:
        """The code by which shells know a command that ended by this signal."""
        return 128 + self.signal


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turn signals into a `StopRequest` while the block runs.

    A signal that is ignored stays ignored, as ``nohup`` wants it. Only the main thread can hear signals; in any
    other thread the request stays empty.
    """
    stop = StopRequest()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in STOP_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, stop.note)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def by_signal(number: int) -> str:
    """Name the sender of the signal `number`, as a reason."""
    return "by Ctrl-C" if number == signal.SIGINT else f"by {signal.Signals(number).name}"
