from __future__ import annotations

import io
import os
import pickle
import struct
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from wsssbench.errors import UserError
from wsssbench.files.npy import load_array_dict, save_array_dict

HEADER = {"descr": "|O", "fortran_order": False, "shape": ()}


def npy(tmp_path: Path, pickled: bytes, header: dict | None = None) -> Path:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, header or HEADER)
    (tmp_path / "x.npy").write_bytes(buffer.getvalue() + pickled)
    return tmp_path / "x.npy"


def saved(tmp_path: Path, content: object) -> Path:
    outer = np.empty((), object)
    outer[()] = content
    np.save(tmp_path / "x.npy", outer, allow_pickle=True)
    return tmp_path / "x.npy"


def dictionaries() -> list[dict]:
    rng = np.random.default_rng(0)
    return [
        {"2007_000032": rng.random(20, dtype=np.float32), "b": np.zeros(20, np.float32)},
        {0: rng.random((3, 4)), 19: np.asfortranarray(rng.random((3, 4)).astype("f2"))},
        {np.int32(2007000032): np.array([1, 0], np.int8), np.int64(5): np.array(True)},
        {np.str_("id"): np.arange(3, dtype=">i4"), "number": 3.5, "scalar": np.float32(0.25)},
        {"view": rng.random((6, 6))[::2, 1:4], "empty": np.zeros((0, 3), np.uint8)},
        {},
    ]


@pytest.mark.parametrize("content", dictionaries())
@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_reads_what_numpy_reads(tmp_path: Path, content: dict, protocol: int) -> None:
    outer = np.empty((), object)
    outer[()] = content
    path = npy(tmp_path, pickle.dumps(outer, protocol=protocol))
    expected = np.load(path, allow_pickle=True).item()
    read = load_array_dict(path)
    assert list(read) == list(expected)
    for key, value in expected.items():
        assert read[key].dtype == np.asarray(value).dtype.newbyteorder("=")
        assert np.array_equal(read[key], value)


def test_reads_the_names_of_old_numpy(tmp_path: Path) -> None:
    outer = np.empty((), object)
    outer[()] = {"a": np.arange(4, dtype=np.float32), np.int64(3): np.arange(2)}
    new = pickle.dumps(outer, protocol=2)
    old = new.replace(b"numpy._core.", b"numpy.core.")
    assert b"numpy.core.multiarray" in old and b"_core" not in old
    read = load_array_dict(npy(tmp_path, old))
    assert list(read) == ["a", 3] and read["a"].tolist() == [0, 1, 2, 3]


def test_reads_what_python_2_wrote(tmp_path: Path) -> None:
    """Protocol 2 of Python 2: ids and raw data are byte strings, so that they need latin-1."""
    values = np.array([1.5, -2.0], "<f4").tobytes()

    def text(data: bytes) -> bytes:  # SHORT_BINSTRING
        return b"U" + bytes([len(data)]) + data

    def array(dtype: bytes, shape: bytes, state: bytes, order: bytes, flags: bytes) -> bytes:
        elsize = b"J\xff\xff\xff\xff" * 2
        made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b")
        described = b"cnumpy\ndtype\n" + text(dtype) + b"K\x00K\x01\x87R(K\x03" + text(order)
        return (
            made
            + b"\x87R(K\x01"
            + shape
            + described
            + b"NNN"
            + elsize
            + flags
            + b"tb\x89"
            + state
            + b"tb"
        )

    inner = array(b"f4", b"K\x02\x85", text(values), b"<", b"K\x00")
    pickled = (
        b"\x80\x02" + array(b"O8", b")", b"]}" + text(b"id") + inner + b"sa", b"|", b"K?") + b"."
    )
    path = npy(tmp_path, pickled)
    assert np.load(path, allow_pickle=True, encoding="latin1").item()["id"].tolist() == [1.5, -2]
    read = load_array_dict(path)
    assert list(read) == ["id"] and read["id"].tolist() == [1.5, -2]
    assert read["id"].dtype == np.float32


def test_reads_the_labels_of_the_literature(voc12_lists: Path) -> None:
    path = voc12_lists / "cls_labels.npy"
    expected = np.load(path, allow_pickle=True).item()
    read = load_array_dict(path)
    assert list(read) == list(expected) and len(read) > 10_000
    assert all(np.array_equal(read[id], expected[id]) for id in expected)


def test_saves_under_names_that_any_numpy_knows(tmp_path: Path) -> None:
    save_array_dict(tmp_path / "x.npy", {0: np.frombuffer(b"cnumpy._core.\0\0\0", np.float32)})
    data = (tmp_path / "x.npy").read_bytes()
    assert b"cnumpy.core.multiarray\n_reconstruct\n" in data
    assert data.count(b"numpy._core") == 1  # the values, which stay as they are
    assert load_array_dict(tmp_path / "x.npy")[0].tobytes() == b"cnumpy._core.\0\0\0"


def test_saves_what_numpy_reads(tmp_path: Path) -> None:
    given = {0: np.random.default_rng(0).random((3, 5), np.float32).T, 7: np.array(2.0)}
    save_array_dict(tmp_path / "x.npy", given)
    theirs = np.load(tmp_path / "x.npy", allow_pickle=True).item()
    ours = load_array_dict(tmp_path / "x.npy")
    for read in (theirs, ours):
        assert list(read) == [0, 7]
        assert all(
            np.array_equal(read[k], given[k]) and read[k].shape == given[k].shape for k in given
        )


class Calls:
    """Pickles to a call of `function` with `args`."""

    def __init__(self, function: object, *args: object) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple:
        return self.call


@pytest.mark.parametrize(
    "function",
    [
        os.system,
        eval,
        exec,
        getattr,
        __import__,
        print,
        np.load,
        np.add,
        np.vectorize,
        np.lib.format.open_memmap,
        types.SimpleNamespace,
        bytearray,
        complex,
        set,
    ],
)
@pytest.mark.parametrize("inside", [True, False])
def test_nothing_else_can_be_called(tmp_path: Path, function, inside: bool) -> None:
    marker = tmp_path / "marker"
    hostile = Calls(function, f"touch {marker}")
    path = saved(tmp_path, {"a": hostile} if inside else hostile)
    with pytest.raises(UserError, match=r"names .*could run code"):
        load_array_dict(path)
    assert not marker.exists()


def test_the_forbidden_name_is_told_with_a_way_out_for_tensors(tmp_path: Path) -> None:
    path = saved(tmp_path, {"cam": torch.nn.Parameter(torch.zeros(2))})
    with pytest.raises(UserError, match=r"torch\._utils\._rebuild_parameter.*\.cpu\(\)\.numpy"):
        load_array_dict(path)
    path = saved(tmp_path, {"cam": Calls(os.system, "true")})
    with pytest.raises(UserError, match=r"(posix|nt)\.system"):
        load_array_dict(path)


HOSTILE = {
    # attributes of what a pickle may name cannot be changed: BUILD with a slot state
    "set attributes": b"\x80\x02cnumpy\ndtype\nN}X\x04\x00\x00\x00callNs\x86b.",
    "set dict": b"\x80\x02cnumpy\ndtype\n}X\x01\x00\x00\x00xNsb.",
    # dtype.__setstate__ with fields, which could describe objects inside raw bytes
    "fields": b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00V8\x85R.",
    "structured": b"\x80\x02cnumpy\ndtype\nX\x05\x00\x00\x00f4,i4\x85R.",
    "object bytes": (
        b"\x80\x02cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\x00\x00\x00O8\x85R"
        b"C\x08AAAAAAAA\x86R."
    ),
    "codec": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.",
    "other codecs function": b"\x80\x02c_codecs\nlookup\nX\x01\x00\x00\x00a\x85R.",
    "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.view\x93.",
    "persistent id": b"\x80\x02K\x01Q.",
    "extension": b"\x80\x02\x82\x01.",
    "new object": b"\x80\x02cnumpy\nndarray\n)\x81.",
    # few bytes that ask for much memory
    "values from a number": (
        b"\x80\x02}K\x00cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\x00\x00\x00u1\x85R"
        b"K\x01\x86Rs."
    ),
    "memo": b"\x80\x02}r\x00\x00\x00\x10.",
    "memo in text": b"\x80\x02}p268435456\n.",
    "long key": b"\x80\x02}\x8b\xa0\x0f\x00\x00" + b"\x11" * 4000 + b"K\x01s.",
    "just a list": b"\x80\x02]K\x01a.",
    "nothing": b"",
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_pickles_are_user_errors(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"x\.npy"):
        load_array_dict(npy(tmp_path, HOSTILE[name]))
    outer = np.empty((), object)
    outer[()] = {"a": np.arange(3)}  # and nothing of ours was changed by it
    assert load_array_dict(npy(tmp_path, pickle.dumps(outer, 2)))["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"a": np.array([{}, []], dtype=object)}, "no numeric array under 'a'"),
        ({"a": np.array(["x"])}, "no numeric array under 'a'"),
        ({"a": np.zeros(2, [("x", "f4")])}, "not"),
        ({"a": [1, "x"]}, "no numeric array under 'a'"),
        ({"a": {"b": np.zeros(2)}}, "no numeric array under 'a'"),
        ({(1, 2): np.zeros(2)}, "the key"),
        ({None: np.zeros(2)}, "the key"),
        ([np.zeros(2)], "no dictionary"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, content: object, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        load_array_dict(saved(tmp_path, content))


def test_wrong_sizes_are_refused(tmp_path: Path) -> None:
    outer = np.empty((), object)
    outer[()] = {"a": np.arange(7, dtype=np.uint8)}
    pickled = pickle.dumps(outer, 4)
    assert pickled.count(b"K\x07\x85") == 1  # the shape
    with pytest.raises(UserError, match="reshape"):
        load_array_dict(npy(tmp_path, pickled.replace(b"K\x07\x85", b"K\x08\x85")))


def test_plain_arrays_and_other_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(UserError, match=r"float64 and shape \(3,\), not a dictionary"):
        load_array_dict(tmp_path / "x.npy")
    (tmp_path / "x.npy").write_bytes(b"GIF89a and so on")
    with pytest.raises(UserError, match=r"cannot be read as a \.npy file"):
        load_array_dict(tmp_path / "x.npy")
    with pytest.raises(UserError, match="does not exist"):
        load_array_dict(tmp_path / "gone.npy")


def test_truncated_and_damaged_files_are_user_errors(tmp_path: Path) -> None:
    path = saved(tmp_path, dictionaries()[0])
    good = path.read_bytes()
    for length in range(0, len(good), 7):
        path.write_bytes(good[:length])
        with pytest.raises(UserError):
            load_array_dict(path)
    rng = np.random.default_rng(0)
    for _ in range(1000):
        damaged = bytearray(good)
        damaged[rng.integers(len(good))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            load_array_dict(path)
        except UserError:
            continue


def test_format_version_2_is_read_and_3_refused(tmp_path: Path) -> None:
    good = saved(tmp_path, {"a": np.arange(3)}).read_bytes()
    (length,) = struct.unpack_from("<H", good, 8)
    rest = good[10:]
    second = b"\x93NUMPY\x02\x00" + struct.pack("<I", length) + rest
    (tmp_path / "x.npy").write_bytes(second)
    assert load_array_dict(tmp_path / "x.npy")["a"].tolist() == [0, 1, 2]
    (tmp_path / "x.npy").write_bytes(second.replace(b"\x02\x00", b"\x03\x00", 1))
    with pytest.raises(UserError, match=r"3\.0"):
        load_array_dict(tmp_path / "x.npy")
