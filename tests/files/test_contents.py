"""Contents of many files as one id: what changes it, what does not, and what is read again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from wsssbench.files import contents
from wsssbench.files.contents import content_id, file_content

NAMES = ("a", "b", "c")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_bytes(name.encode() * 1000)
    return folder


def files_in(folder: Path) -> dict[str, str]:
    return {name: str(folder / name) for name in NAMES}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read from now on."""
    names: list[str] = []
    original: Callable[[str], str] = contents._content
    monkeypatch.setattr(
        contents, "_content", lambda path: names.append(Path(path).name) or original(path)
    )
    return names


def test_a_copy_is_the_same_and_another_content_or_name_is_not(
    folder: Path, tmp_path: Path
) -> None:
    first = content_id(files_in(folder))
    assert len(first) == 16
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    for name in NAMES:
        os.utime(copy / name, (1, 1))
    assert content_id(files_in(copy)) == first
    swapped = {"a": str(folder / "b"), "b": str(folder / "a"), "c": str(folder / "c")}
    missing = {**files_in(folder), "c": str(folder / "nowhere")}
    fewer = {name: path for name, path in files_in(folder).items() if name != "c"}
    assert len({first, *map(content_id, (swapped, missing, fewer))}) == 4


@pytest.mark.parametrize("remembered", [True, False])
def test_a_file_of_equal_size_that_keeps_its_time_is_noticed(
    folder: Path, tmp_path: Path, remembered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by ``cp -p`` and ``rsync -t``: size and time of the last change are as before."""
    memory = tmp_path / "memory" if remembered else None
    first = content_id(files_in(folder), memory)
    stat = (folder / "b").stat()
    (folder / "b").write_bytes(b"x" * stat.st_size)
    os.utime(folder / "b", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    monkeypatch.setattr(contents, "_known", {})  # another process
    assert content_id(files_in(folder), memory) != first


def test_another_process_reads_only_what_changed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    memory = tmp_path / "deep" / "memory"
    first = content_id(files_in(folder), memory)
    assert sorted(read) == list(NAMES)
    assert content_id(files_in(folder), memory) == first
    monkeypatch.setattr(contents, "_known", {})
    assert content_id(files_in(folder), memory) == first
    assert sorted(read) == list(NAMES)
    read.clear()
    (folder / "a").write_bytes(b"something else")
    monkeypatch.setattr(contents, "_known", {})
    second = content_id(files_in(folder), memory)
    assert read == ["a"] and second != first


@pytest.mark.parametrize("text", ["{broken", "[]", '{"state": 1}', '{"a": 3}'])
def test_a_damaged_memory_is_read_anew(
    folder: Path, tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = content_id(files_in(folder), tmp_path)
    for path in tmp_path.glob("*.json"):
        path.write_text(text)
    monkeypatch.setattr(contents, "_known", {})
    assert content_id(files_in(folder), tmp_path) == first


def test_one_file(folder: Path) -> None:
    import hashlib

    expected = hashlib.sha256((folder / "a").read_bytes()).hexdigest()[:16]
    assert file_content(folder / "a") == expected
    (folder / "a").write_bytes(b"x" * 1000)
    assert file_content(folder / "a") != expected


def test_what_cannot_be_remembered_is_read_again(folder: Path, tmp_path: Path) -> None:
    """As in a folder that may only be read: a file stands where the memory should be."""
    memory = tmp_path / "memory"
    memory.write_text("")
    contents._known.clear()
    once = content_id(files_in(folder), memory)
    contents._known.clear()
    assert content_id(files_in(folder), memory) == once == content_id(files_in(folder))
