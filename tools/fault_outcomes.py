"""What a wrong input came to, and the count of it."""

from __future__ import annotations

import io
import signal
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from wsssbench.errors import LONGEST_MESSAGE, CorruptArtefactError, UserError

PATIENCE = 120  # seconds for one input
REFUSED, ACCEPTED = "refused", "accepted"


class Hang(BaseException):
    """An input took longer than `PATIENCE`."""


def outcome(work: Callable[[], Any], names: str = "") -> str:
    """Do `work` and say what happened: `REFUSED`, `ACCEPTED`, or what should never happen.

    Args:
        names: a word that the sentence of a refusal has to contain.
    """
    signal.signal(signal.SIGALRM, hang)
    signal.alarm(PATIENCE)
    try:
        work()
    except (UserError, CorruptArtefactError) as error:
        return judged(str(error), names)
    except (Exception, Hang) as error:
        return f"{type(error).__name__} in {raised_at(error)}"
    finally:
        signal.alarm(0)
    return ACCEPTED


def judged(sentence: str, names: str = "") -> str:
    """`REFUSED` if `sentence` is one that a user can be shown, else what is wrong with it."""
    if not sentence.isprintable() or len(sentence) > 2 * LONGEST_MESSAGE:
        return "a sentence that does not print on one line"
    if names not in sentence:
        return f"a sentence that does not say '{names}'"
    return REFUSED


def command_outcome(arguments: list[str]) -> tuple[str, str]:
    """Call ``wsssbench *arguments`` in this process: what happened, and the output that tells more of it."""
    from wsssbench.cli import main

    out, err = io.StringIO(), io.StringIO()
    code: object = None

    def call() -> None:
        nonlocal code
        with (
            patch("sys.argv", ["wsssbench", *arguments]),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                code = main()
            except SystemExit as end:
                code = end.code or 0

    happened = outcome(call)
    text = err.getvalue()
    if happened != ACCEPTED:
        return happened, text
    if "Traceback" in text or "Traceback" in out.getvalue():
        return "a traceback in the output", text
    if code == 0:
        return ACCEPTED, out.getvalue()
    if code == 2:
        return (REFUSED if text.strip() else "exit code 2 without a word"), text
    return f"exit code {code}", text + out.getvalue()


def show(title: str, counts: Counter[str], details: dict[str, list[str]], shown: int) -> bool:
    """Print the counts of a kind of inputs; True if something happened that never should."""
    total = sum(counts.values())
    print(f"{title:<28} {total:>6} {counts[REFUSED]:>8} {counts[ACCEPTED]:>8} ", end="")
    bad = {what: n for what, n in counts.items() if what not in (REFUSED, ACCEPTED)}
    print(f"{sum(bad.values()):>6}")
    for what, n in sorted(bad.items(), key=lambda item: -item[1]):
        print(f"    {n} x {what}")
        for one in details.get(what, [])[:shown]:
            print(f"        {one}")
    for one in details.get(ACCEPTED, [])[:shown]:
        print(f"    accepted: {one}")
    return bool(bad)


HEAD = f"{'inputs':<28} {'tried':>6} {REFUSED:>8} {ACCEPTED:>8} {'other':>6}"


def raised_at(error: BaseException) -> str:
    """The last line of the project that `error` passed."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "wsssbench" in Path(frame.filename).parts] or frames
    parts = Path(ours[-1].filename).parts[-2:]
    return f"{'/'.join(parts)}:{ours[-1].lineno} {ours[-1].name}"


def hang(*_: object) -> None:
    raise Hang
