"""The fuzzer of the readers finds what it is there for."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wsssbench.errors import UserError

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(scope="module")
def fuzzer() -> Iterator[ModuleType]:
    sys.path.insert(0, str(TOOLS))
    yield importlib.import_module("fuzz_readers")
    sys.path.remove(str(TOOLS))


def refuse(path: Path) -> None:
    """Accepts the seed, refuses everything else as it should."""
    if path.read_bytes() != b"seed":
        raise UserError(f"{path} is damaged")


def tally(fuzzer: ModuleType, read: Any, keep: Path | None = None) -> Any:
    def seed_is_sound(path: Path) -> None:
        if path.read_bytes() != b"seed":
            read(path)

    reader = fuzzer.Reader("made up", lambda _: [b"seed"], seed_is_sound, "input.txt")
    return fuzzer.in_own_process(reader, 0.2, 0, keep)


def test_the_toolkits_own_errors_are_no_finding(fuzzer: ModuleType) -> None:
    result = tally(fuzzer, refuse)
    assert result.files > 0 and result.refused + result.accepted == result.files and not result.bad


def test_other_exceptions_are_counted_by_place(fuzzer: ModuleType, tmp_path: Path) -> None:
    def read(path: Path) -> None:
        raise IndexError

    result = tally(fuzzer, read, tmp_path)
    (place,) = result.bad
    assert place.startswith("IndexError in ") and place.endswith(" read")
    assert [path.name for path in tmp_path.iterdir()] == ["made up-1-input.txt"]


@pytest.mark.parametrize(
    "text", ["input.txt \x1b[2J", "input.txt" + "x" * 600, "some file is damaged"]
)
def test_bad_messages_are_found(fuzzer: ModuleType, monkeypatch, text: str) -> None:
    monkeypatch.setattr(UserError, "__str__", Exception.__str__)  # which would make the text safe

    def read(path: Path) -> None:
        raise UserError(text)

    assert all(key.startswith("a message ") for key in tally(fuzzer, read).bad)
    assert tally(fuzzer, read).bad


def test_the_end_of_the_process_is_found(fuzzer: ModuleType, tmp_path: Path) -> None:
    def read(path: Path) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    assert any("ended with -9" in key for key in tally(fuzzer, read, tmp_path).bad)
    assert [path.name for path in tmp_path.iterdir()] == ["made up-ended-input.txt"]


def test_hangs_are_found(fuzzer: ModuleType, monkeypatch) -> None:
    monkeypatch.setattr(fuzzer, "PATIENCE", 1)

    def read(path: Path) -> None:
        while True:
            time.sleep(0.05)

    assert any(key.startswith("Hang in ") for key in tally(fuzzer, read).bad)


def test_mutations_are_the_same_for_the_same_seed(
    fuzzer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutated = importlib.import_module("fuzz_mutations").mutated
    clock = itertools.count(10**9, 3600)  # each look at the clock is an hour later
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    for name in ("png_label", "image_counts", "coco"):
        reader = fuzzer.READERS[name]
        seeds = reader.seeds(tmp_path)
        first, second = (
            [mutated(dice, seeds, reader.form, reader.tokens) for _ in range(200)]
            for dice in (random.Random(5), random.Random(5))
        )
        assert first == second and len(set(first)) > 100
        assert any(_opens(reader.form, data) for data in first if data not in seeds)


def _opens(form: str, data: bytes) -> bool:
    """Whether a mutated file is still one of its kind, so that the mutation gets past the first check."""
    try:
        if form == "json":
            json.loads(data)
        elif form == "zip":
            return zipfile.ZipFile(BytesIO(data)).testzip() is None
        else:
            return data.startswith(b"\x89PNG") and b"IEND" in data
    except (ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return False
    return True


def test_every_reader_accepts_its_seeds_and_a_short_run_finds_nothing(fuzzer: ModuleType) -> None:
    command = [sys.executable, str(TOOLS / "fuzz_readers.py"), "--seconds", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()[1:]
    assert len(lines) == len(fuzzer.READERS) and not any("ended" in line for line in lines)
