"""``wsssbench`` called inside the test's process: as the command line does it, without the time to import torch."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from wsssbench.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a user sees of a command."""

    code: int
    out: str
    err: str


def call(*arguments: object) -> Outcome:
    """Run ``wsssbench *arguments``. An exception that would be a traceback is the test's failure."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["wsssbench", *map(str, arguments)]
    # A command may set variables for the processes that it starts.
    with (
        patch("sys.argv", argv),
        patch.dict(os.environ),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            code = main()
        except SystemExit as end:
            code = int(end.code or 0)
    return Outcome(code, out.getvalue(), err.getvalue())


def refused(*arguments: object) -> str:
    """The one sentence with which ``wsssbench *arguments`` refuses."""
    outcome = call(*arguments)
    assert outcome.code == 2, outcome
    lines = outcome.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), outcome.err
    assert "Traceback" not in outcome.out
    return lines[0].removeprefix("error: ")
