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


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch) -> None:
    path = tmp_path / "x.bin"
    atomic.write_atomically(path, b"old")

    def full(self: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
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
