"""MXNet files are read exactly; damaged ones get one sentence with the byte, and no memory is taken for them."""

from __future__ import annotations

import re
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from mxnet_writer import FLAGS, MAGICS, VERSIONS, Plan, plan_of

from wsssbench.errors import UserError
from wsssbench.files.mxnet_params import read_params


def small(version: str = "V2") -> Plan:
    """Three arrays, the last of them at an odd address."""
    arrays = [
        ("arg:w_weight", np.arange(6, dtype=np.float32).reshape(2, 3)),
        ("arg:b", np.array([[1], [2], [3]], np.uint8)),
        ("aux:v", np.array([1.5, -2.5])),
    ]
    return plan_of(arrays, version)


def broken(version: str, what: str, raw: bytes, number: int = 0) -> bytes:
    plan = small(version)
    [part for part in plan.fields if part.what == what][number].raw = raw
    return plan.raw


def outcome(path: Path, raw: bytes) -> dict[str, np.ndarray] | str:
    """What reading `raw` gives, or the sentence; anything but a UserError is the test's failure."""
    path.write_bytes(raw)
    try:
        return read_params(path)
    except UserError as error:
        assert "\n" not in str(error) and str(path) in str(error)
        return str(error)


def refused(path: Path, raw: bytes) -> str:
    sentence = outcome(path, raw)
    assert isinstance(sentence, str), "read what it had to refuse"
    return sentence


def byte_of(sentence: str) -> int:
    match = re.search(r"at byte (\d+),", sentence)
    assert match, sentence
    return int(match.group(1))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_type_in_every_version(tmp_path: Path, version: str) -> None:
    odd = np.zeros(3, np.uint8)  # moves what follows to an odd address
    for code in FLAGS:
        dtype = np.dtype(code)
        info = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        values = np.array([[info.min, info.max, 1], [0, 1, 2]], dtype)
        path = tmp_path / "x.params"
        path.write_bytes(plan_of([("odd", odd), ("x", values), ("é:y", values[:1])], version).raw)
        read = read_params(path)
        assert list(read) == ["odd", "x", "é:y"]
        for name, expected in (("x", values), ("é:y", values[:1])):
            assert (read[name].dtype, read[name].shape) == (dtype.newbyteorder("="), expected.shape)
            assert read[name].tobytes() == expected.tobytes()
            assert read[name].flags.aligned and read[name].flags.writeable


def test_writing_to_an_array_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.params"
    path.write_bytes(small().raw)
    array = read_params(path)["arg:w_weight"]
    array[:] = 9
    assert array.sum() == 54 and path.read_bytes() == small().raw


@pytest.mark.parametrize("version", VERSIONS)
def test_truncated_at_every_byte(tmp_path: Path, version: str) -> None:
    raw, path = small(version).raw, tmp_path / "x.params"
    assert isinstance(outcome(path, raw), dict)
    for end in range(len(raw)):
        assert byte_of(refused(path, raw[:end])) <= end
    assert byte_of(refused(path, raw + b"\0")) == len(raw)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"PK\3\4" + bytes(30), "byte 0, it begins with 50 4b 03 04 00 00 00 00 instead of 12 01"),
        (b"", "byte 0, the mark of a list takes 8 bytes"),
        (broken("V2", "reserved", struct.pack("<Q", 1)), "byte 8, the reserved field is 1"),
        (broken("V2", "count", struct.pack("<Q", 2**40)), "1099511627776 arrays are announced"),
        (broken("legacy", "magic", struct.pack("<I", 33)), "0x00000021 is neither a known"),
        (broken("V2", "storage", b"\1\0\0\0"), "array 1 of 3: its storage type is 1, but only"),
        (broken("V1", "ndim", struct.pack("<i", 33)), "number of dimensions is 33"),
        (broken("V2", "ndim", struct.pack("<i", 0)), "it has no shape"),
        (broken("V3", "ndim", struct.pack("<i", -1)), "it has no shape"),
        (broken("legacy", "magic", bytes(4)), "it has no shape"),
        (broken("V1", "shape", struct.pack("<2q", -2, 3)), "(-2, 3), but every dimension has to"),
        (broken("V1", "shape", struct.pack("<2q", 0, 2**63 - 1)), "but every dimension has to"),
        (broken("V3", "shape", struct.pack("<2q", 2**62, 2**62)), "bytes, but the file ends"),
        (broken("V3", "shape", struct.pack("<2q", 2**30, 3)), "takes 12884901888 bytes, but the"),
        (broken("V2", "type", struct.pack("<i", 7)), "its type is 7"),
        (broken("V2", "name count", struct.pack("<Q", 2)), "2 names are announced for 3 arrays"),
        (broken("V2", "name length", struct.pack("<Q", 2**40)), "name 1 of 3: it takes 10995116"),
        (broken("V2", "name", b"arg:b" + b"\xff" * 7), "name 1 of 3: it is not UTF-8"),
        (plan_of([("a", np.zeros(1)), ("a", np.ones(1))]).raw, "name 2 of 2: 'a' occurs twice"),
        (small().raw + b"ab", "the list is complete, but 2 bytes follow"),
    ],
)  # fmt: skip
def test_the_sentence_says_what_is_wrong_and_no_memory_is_taken(
    tmp_path: Path, raw: bytes, words: str
) -> None:
    tracemalloc.start()
    try:
        assert words in refused(tmp_path / "x.params", raw)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.params", tmp_path):
        with pytest.raises(UserError, match="does not exist"):
            read_params(path)


@pytest.mark.parametrize("version", VERSIONS)
def test_random_damage_gives_a_sentence_or_arrays(tmp_path: Path, version: str) -> None:
    generator = np.random.default_rng(5)
    raw = np.frombuffer(small(version).raw, np.uint8)
    special = sorted({byte for magic in MAGICS.values() for byte in magic.to_bytes(4, "little")})
    path, sentences = tmp_path / "x.params", 0
    for _ in range(700):
        damaged = raw.copy()
        where = generator.integers(0, len(raw), generator.integers(1, 5))
        damaged[where] = generator.choice([0, 1, 2, 0x7F, 0x80, 0xFF, *special], len(where))
        sentences += isinstance(outcome(path, damaged.tobytes()), str)
    assert 150 < sentences < 700
