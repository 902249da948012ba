"""The door of the readers: what a library raises becomes the toolkit's own error; sizes have one limit."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from wsssbench.errors import CorruptArtefactError, LeakError, UserError
from wsssbench.files.limits import max_pixels, require_bytes, require_pixels
from wsssbench.files.npz import parse_npy, parse_npz
from wsssbench.files.reading import read_text, reading, reading_artefact

CAUSES = {
    "a value": (ValueError("first line\nsecond"), "first line"),
    "a library's bug": (
        IndexError("index out of range"),
        r"damaged \(IndexError: index out of range\)",
    ),
    "no text": (EOFError(), r"damaged \(EOFError\)"),
    "nested": (RecursionError("maximum"), "it is nested too deeply"),
    "memory": (MemoryError(), "more memory than there is"),
    "the system": (PermissionError(13, "Permission denied", "x"), "permission denied"),
    "encoding": (UnicodeDecodeError("utf-8", b"a\xff", 1, 2, ""), "not in UTF-8.*byte 1 is 0xff"),
}


@pytest.mark.parametrize("name", list(CAUSES))
def test_exceptions_become_one_sentence(name: str) -> None:
    error, sentence = CAUSES[name]
    with (
        pytest.raises(UserError, match=rf"^mask a\.png cannot be read.*{sentence}") as told,
        reading("mask", "a.png"),
    ):
        raise error
    assert told.value.__cause__ is error


def test_missing_files_are_told_shortly() -> None:
    with pytest.raises(UserError, match=r"^mask a\.png does not exist$"), reading("mask", "a.png"):
        raise FileNotFoundError(2, "No such file or directory", "a.png")


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), SystemExit(3), LeakError("closed"), CorruptArtefactError("a", "b")],
)
@pytest.mark.parametrize(
    "door", [lambda: reading("mask", "a.png"), lambda: reading_artefact("a.npz")]
)
def test_what_is_no_fault_of_the_file_passes(error: BaseException, door) -> None:
    with pytest.raises(type(error)) as told, door():
        raise error
    assert told.value is error


def test_artefacts_are_corrupt_unless_the_machine_is_at_fault() -> None:
    for error in (
        ValueError("x"),
        KeyError("x"),
        FileNotFoundError(2, "x"),
        zipfile.BadZipFile("x"),
        OSError("truncated"),
    ):
        with pytest.raises(CorruptArtefactError), reading_artefact("a.npz"):
            raise error
    for error in (
        MemoryError(),
        PermissionError(13, "Permission denied"),
        OSError(5, "Input/output error"),
    ):
        with (
            pytest.raises(UserError),
            reading_artefact("a.npz"),
        ):  # else a sound file would be made again
            raise error


def test_texts_are_utf8_with_or_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_bytes("ü".encode(encoding))
        assert read_text("list", path) == "ü"
    path.write_bytes(b"\xff\xfea")
    with pytest.raises(
        UserError, match=r"a\.txt cannot be read as text: it is damaged at byte 2, as UTF-16"
    ):
        read_text("list", path)
    path.write_bytes("ab".encode("utf-16-le"))
    with pytest.raises(UserError, match="holds zeros, as UTF-16 does: save it as UTF-8"):
        read_text("list", path)


def test_the_limit_is_a_number_of_pixels_that_the_environment_changes(monkeypatch) -> None:
    monkeypatch.delenv("WSSSBENCH_MAX_PIXELS", raising=False)
    assert max_pixels() == 100_000_000
    require_pixels((10_000, 10_000))
    with pytest.raises(
        ValueError, match=r"10001 x 10000 pixels.*100,000,000.*WSSSBENCH_MAX_PIXELS"
    ):
        require_pixels((10_001, 10_000))
    monkeypatch.setenv("WSSSBENCH_MAX_PIXELS", "6")
    require_pixels((2, 3))
    require_bytes(96)
    with pytest.raises(ValueError, match="97 bytes"):
        require_bytes(97)
    for wrong in ("", "0", "-1", "1e9", "٣", "9" * 5000):
        monkeypatch.setenv("WSSSBENCH_MAX_PIXELS", wrong)
        with pytest.raises(UserError, match="WSSSBENCH_MAX_PIXELS"):
            max_pixels()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_archives_are_read_as_numpy_reads_them() -> None:
    rng = np.random.default_rng(0)
    given = {
        "c": rng.random((3, 4)), "f": np.asfortranarray(rng.random((3, 4, 5))), "text": np.array(["a", "größe"]),
        "none": np.zeros((0, 7), np.int32), "one": np.array(3, ">i2"), "flags": np.array([True, False]),
    }  # fmt: skip
    data = npz(**given)
    ours = parse_npz(data)
    with np.load(io.BytesIO(data)) as theirs:
        assert ours.keys() == set(theirs.files)
        for name, array in ours.items():
            np.testing.assert_array_equal(array, theirs[name])
            assert array.dtype == theirs[name].dtype and array.flags.writeable


def header(text: str) -> bytes:
    line = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line.encode()


@pytest.mark.parametrize(
    "shape", ["(9999999999, 999)", "(1000000,)", "(5,)", "(3,)", "(2, -2)", "(2.5,)", "()"]
)
def test_a_header_takes_no_memory_for_what_is_not_there(shape: str) -> None:
    data = header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}") + b"abcd"
    tracemalloc.start()
    try:
        with pytest.raises(ValueError):
            parse_npy(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 18
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["|O", "<U0", "|V0", [("x", "|O")]])
def test_objects_and_empty_types_are_refused(kind: object) -> None:
    with pytest.raises(ValueError):
        parse_npy(
            header(f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': (4,), }}") + b"abcd"
        )


def test_a_bomb_is_refused_by_what_it_declares(monkeypatch) -> None:
    data = npz(zeros=np.zeros(1 << 22, np.uint8))
    assert len(data) < 10_000
    parse_npz(data)
    monkeypatch.setenv("WSSSBENCH_MAX_PIXELS", "10000")
    with pytest.raises(ValueError, match="WSSSBENCH_MAX_PIXELS"):
        parse_npz(data)


def test_a_member_twice_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("a.npy", "a"):
            archive.writestr(
                name, header("{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }") + b"x"
            )
    with pytest.raises(ValueError, match="twice"):
        parse_npz(buffer.getvalue())
