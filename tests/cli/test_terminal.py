"""What reaches the terminal and the log: no control characters of others, no markup, and every encoding will do."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from in_process import call
from rich.table import Table
from rich.text import Text

from wsssbench.cli import main
from wsssbench.cli.console import ConsoleProgress, log_noise, make_console, show_all

EVIL = "a\x1b[2J\x07\u202e\x9b[bold]:smile:[/]"
SHOWN = r"a\x1b[2J\x07\u202e\x9b[bold]:smile:[/]"


def test_every_way_to_the_terminal_escapes() -> None:
    stream = io.StringIO()
    console = make_console(stream)
    progress = ConsoleProgress(console)
    progress.say(EVIL + "\nsecond")
    progress.warn(EVIL)
    with progress.track(EVIL, total=1) as task:
        task.advance(note=EVIL)
    table = Table(title=EVIL)
    table.add_column(EVIL)
    table.add_row(EVIL)
    table.add_row(Text(EVIL))
    console.print(table)
    console.print(EVIL)
    console.print(Text(EVIL))
    console.rule(EVIL)
    text = stream.getvalue()
    assert text.replace("\n", "").isprintable()
    # Rich itself leaves the bell out of its Text.
    assert text.count(SHOWN) == 8 and text.count(SHOWN.replace(r"\x07", "")) == 2
    assert SHOWN + r"\nsecond" in text


def test_bars_on_a_terminal_escape() -> None:
    stream = io.StringIO()
    console = make_console(stream)
    console._force_terminal = True
    console.width = 200
    with ConsoleProgress(console).track(EVIL, total=2) as task:
        task.advance(note=EVIL)
    for raw in ("\x1b[2J", "\x07", "\u202e", "\x9b"):
        assert raw not in stream.getvalue().replace("\x1b[2K", "")
    assert SHOWN in stream.getvalue()


def test_long_messages_are_cut() -> None:
    stream = io.StringIO()
    ConsoleProgress(make_console(stream)).warn("x" * 100_000)
    assert len(stream.getvalue()) < 520


def test_the_log_escapes(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with log_noise(log, ConsoleProgress(make_console(io.StringIO()))):
        print(EVIL)
        print(EVIL, file=sys.stderr)
        logging.getLogger("other").warning(EVIL)
        warnings.warn(EVIL, stacklevel=1)
    text = log.read_text()
    assert text.replace("\n", "").isprintable() and text.count(SHOWN) >= 4


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", EVIL],
        ["run", "x.py", f"--{EVIL}"],
        [EVIL],
        ["report", EVIL],
    ],
)
def test_refused_arguments_are_shown_escaped(arguments: list[str]) -> None:
    outcome = call(*arguments)
    assert outcome.code == 2
    assert (outcome.out + outcome.err).replace("\n", "").isprintable() and r"\x1b[2J" in outcome.err


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_every_encoding_of_a_terminal_will_do(encoding: str, errors: str) -> None:
    """The second kind of errors is what Python takes in the locale C."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding, errors=errors, write_through=True)
    show_all(stream)
    print("5 \u2013 6 \u2264 \u6905 gr\u00f6\u00dfe \udcff", file=stream)
    shown = raw.getvalue().decode(encoding)
    assert r"\u2264 \u6905" in shown and r"\udcff" in shown
    assert ("–" if encoding == "cp1252" else "5 - 6") in shown


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_closed_stream_is_no_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, name, None)
    monkeypatch.setattr(sys, "argv", ["wsssbench", "config", "show", "gone.py"])
    assert main() == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_utf8_shows_something_else(encoding: str) -> None:
    code = (
        "import sys\n"
        "from wsssbench.cli.console import make_console\n"
        "make_console().print('5 \u2013 6 \u00d7 \u2026 \u6905 gr\u00f6\u00dfe')\n"
    )
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=environment
    )
    ascii_only = encoding == "ascii"
    cross, word = ("x", r"gr\xf6\xdfe") if ascii_only else ("×", "größe")
    assert done.stdout.decode(encoding).strip() == rf"5 - 6 {cross} ... \u6905 {word}"
