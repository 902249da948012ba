from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wsssbench.errors import UserError
from wsssbench.files import atomic

SWEEP = (
    "import sys; from wsssbench.files.atomic import remove_partials; remove_partials(sys.argv[1])"
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch) -> None:
    path = tmp_path / "x.bin"
    atomic.write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic, "_write", full)
    with pytest.raises(UserError, match=r"no space left .* same command"):
        atomic.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]


def test_a_killed_writer_leaves_whole_files_and_partials_that_can_be_removed(tmp_path) -> None:
    script = (
        "import sys; from pathlib import Path; from wsssbench.files.atomic import write_atomically\n"
        "i = 0\n"
        "while True:\n"
        "    write_atomically(Path(sys.argv[1]) / 'x', bytes([i % 256]) * 3_000_000); i += 1\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    while not (tmp_path / "x").exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    data = (tmp_path / "x").read_bytes()
    assert data == data[:1] * 3_000_000
    (tmp_path / ".y.png.123-456.partial").write_bytes(b"left over")
    atomic.remove_partials(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_what_another_process_is_writing_is_not_swept(tmp_path, monkeypatch) -> None:
    replace, seen = os.replace, []

    def sweep_first(source: Path, target: Path) -> None:
        subprocess.run([sys.executable, "-c", SWEEP, str(tmp_path)], check=True)
        seen.append(source.exists())
        replace(source, target)

    (tmp_path / ".y.png.123-456.partial").write_bytes(b"left over")
    monkeypatch.setattr(atomic.os, "replace", sweep_first)
    atomic.write_atomically(tmp_path / "x", b"data")
    assert seen == [True]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_file_that_is_swept_before_it_is_locked_is_written_again(tmp_path, monkeypatch) -> None:
    replace, times = os.replace, []

    def sweep_once(source: Path, target: Path) -> None:
        times.append(1)
        if len(times) == 1:
            source.unlink()
        replace(source, target)

    monkeypatch.setattr(atomic.os, "replace", sweep_once)
    atomic.write_atomically(tmp_path / "x", b"data")
    assert (tmp_path / "x").read_bytes() == b"data" and len(times) == 2
    with pytest.raises(FileNotFoundError):
        atomic.write_atomically(tmp_path / "gone" / "x", b"data")


@pytest.mark.parametrize("name", ["x" * 255, "ä" * 127])
def test_a_name_as_long_as_names_can_be(tmp_path, name: str) -> None:
    atomic.write_atomically(tmp_path / name, b"data")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_error_names_the_file_not_the_temporary_one(tmp_path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        atomic.write_atomically(tmp_path / "gone" / "x.json", b"data")
    assert error.value.filename == str(tmp_path / "gone" / "x.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as error:
        atomic.write_atomically(tmp_path / "folder", b"data")
    assert error.value.filename == str(tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
