"""Against scipy's writer, and against elements built byte by byte."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from wsssbench.datasets.voc import matlab
from wsssbench.datasets.voc.matlab import MatlabError, read_uint8_field

UINT8, STRUCT = 9, 2


def element(order: str, kind: int, data: bytes) -> bytes:
    padding = b"\0" * (-len(data) % 8)
    return struct.pack(f"{order}II", kind, len(data)) + data + padding


def small(order: str, kind: int, data: bytes) -> bytes:
    tag = struct.pack(f"{order}I", len(data) << 16 | kind)
    return tag + data.ljust(4, b"\0")


def matrix(order: str, kind: int, shape: tuple[int, ...], name: bytes, rest: bytes) -> bytes:
    flags = element(order, 6, struct.pack(f"{order}II", kind, 0))
    dimensions = element(order, 5, struct.pack(f"{order}{len(shape)}i", *shape))
    return element(order, 14, flags + dimensions + element(order, 1, name) + rest)


def header(order: str) -> bytes:
    mark = b"\0\1IM" if order == "<" else b"\1\0MI"
    return b"MATLAB 5.0 MAT-file".ljust(124) + mark


def structure(order: str, names: list[bytes], values: list[bytes], length: int = 16) -> bytes:
    fields = small(order, 5, struct.pack(f"{order}i", length))
    fields += element(order, 1, b"".join(name.ljust(length, b"\0") for name in names))
    return matrix(order, STRUCT, (1, 1), b"top", fields + b"".join(values))


def uint8(order: str, array: np.ndarray) -> bytes:
    data = array.tobytes(order="F")
    form = small if len(data) <= 4 else element
    return matrix(order, UINT8, array.shape, b"", form(order, 2, data))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compress", [True, False])
def test_built_byte_by_byte(order: str, compress: bool) -> None:
    rng = np.random.default_rng(0)
    for shape in ((3, 5), (1, 4), (2, 1), (1, 1), (0, 0), (7, 9)):
        given = rng.integers(0, 256, shape, dtype=np.uint8)
        other = rng.integers(0, 256, (2, 3), dtype=np.uint8)
        body = structure(order, [b"other", b"wanted"], [uint8(order, other), uint8(order, given)])
        if compress:
            packed = zlib.compress(body)
            body = struct.pack(f"{order}II", 15, len(packed)) + packed
        before = matrix(order, UINT8, (1, 1), b"unrelated", small(order, 2, b"\7"))
        read = read_uint8_field(header(order) + before + body, "top", "wanted")
        assert read.shape == shape and np.array_equal(read, given)


@pytest.mark.parametrize("compress", [True, False])
def test_what_scipy_writes(compress: bool) -> None:
    rng = np.random.default_rng(0)
    for size in ((1, 1), (5, 3), (40, 31), (2, 3, 4)):
        given = rng.integers(0, 256, size, dtype=np.uint8)
        content = {
            "a": rng.random((3, 3)),
            "text": "some text",
            "top": {"real": rng.random(7), "s": {"deep": "er"}, "wanted": given, "end": "x"},
            "z": np.zeros((0, 2)),
        }
        stream = io.BytesIO()
        savemat(stream, content, do_compression=compress)
        assert np.array_equal(read_uint8_field(stream.getvalue(), "top", "wanted"), given)


def broken() -> dict[str, bytes]:
    good = uint8("<", np.zeros((3, 5), np.uint8))
    shape = struct.pack("<ii", 3, 5)
    return {
        "shape": good.replace(shape, struct.pack("<ii", 3, 6)),
        "negative": good.replace(shape, struct.pack("<ii", -3, -5)),
        "huge": good.replace(shape, struct.pack("<ii", 2**31 - 1, 2**31 - 1)),
        "stored as int16": good.replace(struct.pack("<II", 2, 15), struct.pack("<II", 3, 15)),
        "cut": good.replace(struct.pack("<II", 2, 15), struct.pack("<II", 2, 1500)),
        "long small": good.replace(struct.pack("<II", 2, 15), struct.pack("<II", 5 << 16 | 2, 15)),
        "empty": element("<", 14, b""),
        "no matrix": element("<", 2, b"abc"),
    }


@pytest.mark.parametrize("name", list(broken()))
def test_broken_values(name: str) -> None:
    value = broken()[name]
    for content in (structure("<", [b"wanted"], [value]), value):
        with pytest.raises(MatlabError):
            read_uint8_field(header("<") + content, "top", "wanted")


def test_what_is_far_too_large_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = zlib.compress(structure("<", [b"wanted"], [uint8("<", np.zeros((99, 99), np.uint8))]))
    content = header("<") + struct.pack("<II", 15, len(packed)) + packed
    assert read_uint8_field(content, "top", "wanted").shape == (99, 99)
    monkeypatch.setattr(matlab, "_MAX_BYTES", 9000)
    with pytest.raises(MatlabError, match="far too large"):
        read_uint8_field(content, "top", "wanted")


@pytest.mark.parametrize("length", [0, -1, 5])
def test_broken_field_names(length: int) -> None:
    good = structure("<", [b"wanted"], [uint8("<", np.zeros((3, 5), np.uint8))])
    tag = small("<", 5, struct.pack("<i", 16))
    assert good.count(tag) == 1
    with pytest.raises(MatlabError, match="structure in it is damaged"):
        read_uint8_field(
            header("<") + good.replace(tag, small("<", 5, struct.pack("<i", length))),
            "top", "wanted",
        )  # fmt: skip


def test_what_is_not_there() -> None:
    good = header("<") + structure("<", [b"wanted"], [uint8("<", np.zeros((3, 5), np.uint8))])
    with pytest.raises(MatlabError, match="no variable bottom"):
        read_uint8_field(good, "bottom", "wanted")
    with pytest.raises(MatlabError, match="top has no field unwanted"):
        read_uint8_field(good, "top", "unwanted")
    with pytest.raises(MatlabError, match=r"7\.3"):
        read_uint8_field(good.replace(b"5.0", b"7.3"), "top", "wanted")
