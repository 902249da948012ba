"""Loading processes: how they start, and how their errors reach the user."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from wsssbench.errors import UserError


def start_method(workers: int) -> str | None:
    """For the data loader: forked where that is safe, since spawned processes import everything again."""
    if workers == 0:
        return None
    return "fork" if sys.platform == "linux" else "spawn"


def start_worker(number: int) -> None:
    """In every loading process, first: parallelism is by process, also for OpenCV if it is used."""
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(0)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what torch makes of an error in a loading process back into one sentence."""
    try:
        yield
    except UserError as error:
        lines = str(error).strip().splitlines()
        if len(lines) < 2:
            raise
        # torch puts the traceback before the message: "wsssbench.errors.UserError: <sentence>"
        raise UserError(lines[-1].partition("Error: ")[2] or lines[-1]) from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UserError(
            "a process that loads images died (out of memory?): give the same command again with fewer workers, "
            "it continues from the last checkpoint"
        ) from error
