"""One cell as a process: its log, its state, and how it is made to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from wsssbench.errors import UserError
from wsssbench.progress import WARNING
from wsssbench.results.sweep_record import Status, Sweep, SweepCell, here
from wsssbench.sweep.stop import STOP_SIGNALS, StopRequest, by_signal

_GRACE = 20.0  # seconds for a cell to end after it is asked to stop, before it is killed
_SETTLE = 0.5  # seconds in which a cell that failed may turn out to have been stopped together with the sweep
_ASKED = {128 + number for number in STOP_SIGNALS} | {-number for number in STOP_SIGNALS}


class CellProcess:
    """A cell that is running.

    It is in a session of its own: signals of the terminal reach it through the sweep alone.

    Args:
        words: the command.
        environment: additions to this process's.
        job: where it runs, for its `Status`; by default this process.
    """

    def __init__(
        self,
        sweep: Sweep,
        cell: SweepCell,
        words: Sequence[str],
        environment: Mapping[str, str],
        job: str = "",
    ) -> None:
        self.sweep, self.cell, self.job = sweep, cell, job or here()
        self._began = time.monotonic()
        self._last = self._error = ""
        self._warnings: dict[str, None] = {}  # in their order, each once
        self._rest = b""
        self._asked_at = self._ended_at = 0.0
        self.silent = False  # has its output come to its end?
        sweep.note(cell, Status("running", job=self.job))
        self._log = sweep.log(cell).open("wb", buffering=0)
        self._process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
            env={**os.environ, "COLUMNS": "100", **environment},
        )
        assert self._process.stdout is not None
        self.output = self._process.stdout
        os.set_blocking(self.output.fileno(), False)

    def lines(self) -> Iterator[str]:
        """Write to the log what the cell has printed since the last call; give its whole lines.

        Not without end: who prints without a pause is left to the next call, so that the others have their turn.
        """
        self._process.poll()  # before reading: a process that is over has said everything
        for _ in range(16):
            chunk = self.output.read(1 << 16)
            if not chunk:
                self.silent = chunk == b""
                return
            self._log.write(chunk)
            *whole, self._rest = (self._rest + chunk).replace(b"\r", b"\n").split(b"\n")
            for line in whole:
                text = line.decode("utf-8", "replace").rstrip()
                self._remember(text)
                yield text

    def _remember(self, text: str) -> None:
        self._last = text.strip() or self._last
        if text.startswith("error: "):  # torchrun says more after it
            self._error = text.strip()
        if text.startswith(WARNING):
            self._warnings[text.removeprefix(WARNING).strip()] = None

    def ask_to_stop(self, stop: StopRequest) -> None:
        """Ask the cell to end, more firmly as time passes; to be called until it has ended.

        Its state is written down first: this process may be killed before the cell has ended.
        """
        now = time.monotonic()
        if not self._asked_at:
            self._asked_at = now
            self.sweep.note(self.cell, Status("stopped", by_signal(stop.signal), job=self.job))
            self._signal(signal.SIGINT)
        elif stop.count > 1 or now > self._asked_at + _GRACE:
            self.kill()
        elif now > self._asked_at + _GRACE / 2:
            self._signal(signal.SIGTERM)  # whoever is started in the background may not hear SIGINT

    def kill(self) -> None:
        """End the cell and everything that it has started, at once."""
        for pid in _descendants(self._process.pid):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process.returncode is None:  # else its number may be another process's by now
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def ended(self, stop: StopRequest) -> Status | None:
        """Write down and return the state of a cell that has ended, None while it runs; to be called after `lines`."""
        code = self._process.returncode
        if code is None:
            return None
        self._ended_at = self._ended_at or time.monotonic()
        verdict_open = code != 0 and code not in _ASKED and not stop
        if verdict_open and time.monotonic() < self._ended_at + _SETTLE:
            return None
        self._close()
        status = replace(self._status(code, stop), warnings=tuple(self._warnings))
        self.sweep.note(self.cell, status)
        return status

    def abandon(self) -> None:
        """Kill the cell, since what watches it comes to an unforeseen end."""
        self.kill()
        self._process.wait()
        self._close()
        with suppress(OSError, UserError):
            self.sweep.note(self.cell, Status("stopped", "with what had started it", job=self.job))

    def _close(self) -> None:
        self.output.close()
        self._log.close()

    def _status(self, code: int, stop: StopRequest) -> Status:
        """Return the state by who stopped the cell: what it answers to being stopped does not count, its results do."""
        seconds = self._ended_at - self._began
        if code == 0 and (not stop or self.sweep.has_results(self.cell)):
            return Status("done", seconds=seconds)
        if stop or code in _ASKED:
            return Status("stopped", by_signal(stop.signal or abs(code) % 128), seconds)
        self._remember(self._rest.decode("utf-8", "replace"))
        # ranks that stop for the same reason may print it on one line
        said = (self._error or self._last).removeprefix("error: ").partition("error: ")[0]
        reason = said or "it printed nothing"
        if code < 0:
            name = signal.Signals(-code).name
            reason = f"killed by {name} (out of memory?); last line: {reason}"
        return Status("failed", f"{reason} (log: {self.sweep.log(self.cell)})", seconds)


def _descendants(pid: int) -> list[int]:
    """Return the processes below `pid` in any session, as torchrun's ranks are; none where there is no /proc."""
    below = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, children.read_text().split()):
                below += [child, *_descendants(child)]
    return below
