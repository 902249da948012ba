"""Config files: every encoding that Python reads, and mistakes as one sentence about the user's own file."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from wsssbench.errors import UserError
from wsssbench.experiment.config import read_config

BASE = b"\xef\xbb\xbfx = dict(a=1)\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'\xef\xbb\xbfname = "x"\r\na = 1\r\n', {"name": "x", "a": 1}),
        (b'# -*- coding: latin-1 -*-\nname = "\xe9"\n', {"name": "é"}),
        (b'#!/usr/bin/python\n# coding=utf-8\nname = "\xc3\xa9"\n', {"name": "é"}),
        (b'\xef\xbb\xbf_base_ = "base.py"\nx = dict(b=2)\ny = {{_base_.x}}\n',
         {"x": {"a": 1, "b": 2}, "y": {"a": 1}}),
    ],
)  # fmt: skip
def test_every_encoding_that_python_reads(tmp_path: Path, data: bytes, expected: object) -> None:
    (tmp_path / "base.py").write_bytes(BASE)
    (tmp_path / "config.py").write_bytes(data)
    assert read_config(tmp_path / "config.py") == expected


EXIT = "(it may not end the command)"
WRONG = {
    "latin-1 without saying so": (b'name = "\xe9"\n', "save it in UTF-8"),
    "UTF-16": ("name = 1".encode("utf-16"), "save it in UTF-8"),
    "unknown encoding": (b"# coding: nonsense\n", "unknown encoding: nonsense: save it in UTF-8"),
    "syntax": (b"a = 1\n\nb = (\n", "SyntaxError: '(' was never closed (line 3)"),
    "NUL": (b'a = "\0"\n', "SyntaxError: source code string cannot contain null bytes"),
    "nesting": (b"a = " + b"[" * 3000, "SyntaxError: too many nested parentheses (line 1)"),
    "error": (b"a = 1\nb = 1 / 0\n", "ZeroDivisionError: division by zero (line 2)"),
    "exit": (b"import sys\nsys.exit(3)\n", f"SystemExit: 3 {EXIT} (line 2)"),
    "interrupt": (b"raise KeyboardInterrupt\n", f"KeyboardInterrupt {EXIT} (line 1)"),
    "no Exception": (b"raise type('X', (BaseException,), {})('hm')\n", f"X: hm {EXIT} (line 1)"),
    "recursion": (b"def f():\n    f()\nf()\n", "RecursionError: "),
    "itself in itself": (b"x = {}\nx['a'] = x\n", "RecursionError: "),
    "its own base": (b"_base_ = 'config.py'\n", "config.py is based on itself"),
    "no base": (b"_base_ = 'gone.py'\n", "FileNotFoundError: "),
    "no text": (b"class E(Exception):\n    __str__ = None\nraise E\n", "E (line 3)"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_mistake_is_one_sentence_with_the_file(tmp_path: Path, kind: str) -> None:
    data, words = WRONG[kind]
    path = tmp_path / "config.py"
    path.write_bytes(data)
    with pytest.raises(UserError) as error:
        read_config(path)
    assert str(error.value).startswith(f"config {path} cannot be read: ")
    assert words in str(error.value)
    derived = tmp_path / "derived.py"
    derived.write_text("_base_ = ['config.py']\n")
    if "Recursion" not in words:
        with pytest.raises(UserError) as error:
            read_config(derived)
        where = derived if "base" in kind else path
        assert str(error.value).startswith(f"config {where} cannot be read: ")


def test_what_a_config_prints_spoils_no_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.py"
    config.write_text("import sys\nprint('hello\\x1b[2J')\nsys.stdout.close()\nname = 3\n")
    assert read_config(config) == {"name": 3}
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "hello\\x1b[2J\n")


def test_ctrl_c_in_a_config_is_the_users(tmp_path: Path) -> None:
    """A real signal ends the command, and the handler is what it was, whatever the config does to it."""
    config = tmp_path / "config.py"
    before = signal.getsignal(signal.SIGINT)
    config.write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"
    )
    with pytest.raises(KeyboardInterrupt):
        read_config(config)
    config.write_text("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nname = 'x'\n")
    assert read_config(config) == {"name": "x"}
    assert signal.getsignal(signal.SIGINT) is before
