from __future__ import annotations

import re
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mxnet_writer import FLAGS, MAGICS, VERSIONS, Plan, plan_of

from wsssbench.errors import UserError
from wsssbench.files.mxnet_params import read_arrays, read_params

MEBIBYTE = 2**20


def small(version: str = "V2", scalar: bool = False) -> Plan:
    """Three arrays, the last of them at an odd address."""
    arrays = [
        ("arg:w_weight", np.arange(6, dtype=np.float32).reshape(2, 3)),
        ("arg:b", np.array([[True], [False], [True]])),
        ("aux:v", np.array([1.5, -2.5])),
    ]
    if scalar:
        arrays.append(("s", np.array(7, np.int32)))
    return plan_of(arrays, version)


def outcome(path: Path, raw: bytes) -> dict[str, np.ndarray] | str:
    """What reading `raw` gives, or the sentence; anything but a UserError is the test's failure."""
    path.write_bytes(raw)
    try:
        return read_params(path)
    except UserError as error:
        assert "\n" not in str(error)
        assert str(path) in str(error)
        return str(error)


def refused(path: Path, raw: bytes) -> str:
    sentence = outcome(path, raw)
    assert isinstance(sentence, str), "read what it had to refuse"
    return sentence


def byte_of(sentence: str) -> int:
    found = re.search(r"at byte (\d+),", sentence)
    assert found, sentence
    return int(found.group(1))


def extremes(dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        info = np.finfo(dtype)
        values = [0.0, -0.0, 1.25, info.max, info.min, info.tiny, np.inf, -np.inf, np.nan, 1 / 3]
        return np.array(values, dtype).reshape(2, 5)
    if dtype.kind == "b":
        return np.array([[True, False, True]])
    info = np.iinfo(dtype)
    return np.array([[info.min, info.max], [1, 0], [0, 2]], dtype)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("code", FLAGS)
def test_every_type_in_every_version(tmp_path, version, code):
    values = extremes(np.dtype(code))
    odd = np.zeros(3, np.uint8)  # moves what follows to an odd address
    plan = plan_of([("odd", odd), ("x", values), ("é:y", values[:1])], version)
    path = tmp_path / "x.params"
    path.write_bytes(plan.raw)
    read = read_params(path)
    assert list(read) == ["odd", "x", "é:y"]
    for name, expected in (("x", values), ("é:y", values[:1])):
        assert read[name].dtype == np.dtype(code).newbyteorder("=")
        assert read[name].shape == expected.shape
        assert read[name].tobytes() == expected.tobytes()
        assert read[name].flags.aligned and read[name].flags.writeable
    stored = read_arrays(path)
    assert {array.version for array in stored} == {version}
    assert [array.dtype for array in stored][:2] == ["uint8", np.dtype(code).name]


def test_writing_to_an_array_leaves_the_file_alone(tmp_path):
    path = tmp_path / "x.params"
    path.write_bytes(small().raw)
    array = read_params(path)["arg:w_weight"]
    array[:] = 9
    assert array.sum() == 54
    assert path.read_bytes() == small().raw


@pytest.mark.parametrize("version", VERSIONS)
def test_all_bfloat16_values_are_exact(tmp_path, version):
    bits = np.arange(2**16, dtype=np.uint16)
    path = tmp_path / "x.params"
    path.write_bytes(plan_of([("x", bits.reshape(256, 256))], version, flag=12).raw)
    (array,) = read_arrays(path)
    assert array.dtype == "bfloat16"
    assert array.values is not None and array.values.dtype == np.float32
    expected = torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16).float().numpy()
    finite = np.isfinite(expected)
    assert np.array_equal(array.values.ravel()[finite], expected[finite])
    assert np.array_equal(array.values.ravel(), expected, equal_nan=True)
    assert finite.sum() > 65000


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shape", [(0,), (2, 0, 3), (0, 2**20), (1,) * 32, (7,)])
def test_unusual_shapes(tmp_path, version, shape):
    values = np.ones(shape, np.float32)
    path = tmp_path / "x.params"
    path.write_bytes(plan_of([("x", values), ("y", np.arange(3))], version).raw)
    read = read_params(path)
    assert read["x"].shape == shape and (read["x"] == 1).all()
    assert read["y"].tolist() == [0, 1, 2]


def test_v3_has_scalars(tmp_path):
    path = tmp_path / "x.params"
    path.write_bytes(small("V3", scalar=True).raw)
    assert read_params(path)["s"].shape == () and read_params(path)["s"] == 7


@pytest.mark.parametrize("version", VERSIONS)
def test_arrays_without_names_are_numbered(tmp_path, version):
    path = tmp_path / "x.params"
    path.write_bytes(plan_of([("", np.arange(3)), ("", np.zeros(1))], version, named=False).raw)
    assert list(read_params(path)) == ["0", "1"]
    path.write_bytes(plan_of([], version).raw)
    assert read_params(path) == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_array_without_values_is_known_as_such(tmp_path, version):
    path = tmp_path / "x.params"
    path.write_bytes(plan_of([("a", np.arange(3)), ("b", None), ("c", np.zeros(2))], version).raw)
    values = {array.name: array.values for array in read_arrays(path)}
    assert values["b"] is None
    assert values["a"].tolist() == [0, 1, 2] and values["c"].tolist() == [0, 0]
    with pytest.raises(UserError, match="'b' was stored without shape and values"):
        read_params(path)


def test_v3_calls_a_shape_with_an_unknown_dimension_no_array(tmp_path):
    plan = plan_of([("a", None)], "V3")
    at = next(i for i, part in enumerate(plan.fields) if part.what == "ndim")
    plan.fields[at].raw = struct.pack("<iqq", 2, 3, -1)
    path = tmp_path / "x.params"
    path.write_bytes(plan.raw)
    assert read_arrays(path)[0].values is None


@pytest.mark.parametrize("version", VERSIONS)
def test_versions_may_be_mixed_and_devices_do_not_matter(tmp_path, version):
    mixed = plan_of([("a", np.arange(3)), ("b", np.arange(4.0))], version)
    other = plan_of([("", np.arange(5))], "V1")
    mixed.fields[2].raw = struct.pack("<Q", 3)
    names = next(i for i, part in enumerate(mixed.fields) if part.what == "name count")
    mixed.fields[names].raw = struct.pack("<Q", 3)
    mixed.fields[names:names] = other.fields[3:-3]
    mixed.add("name length", "Q", 1)
    mixed.fields.append(type(mixed.fields[0])("name", b"c"))
    for part in mixed.fields:
        if part.what == "device":
            part.raw = struct.pack("<i", 2)
        if part.what == "device number":
            part.raw = struct.pack("<i", 3)
    path = tmp_path / "x.params"
    path.write_bytes(mixed.raw)
    assert {name: array.size for name, array in read_params(path).items()} == {
        "a": 3,
        "b": 4,
        "c": 5,
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_truncated_at_every_byte(tmp_path, version):
    raw = small(version, scalar=version == "V3").raw
    path = tmp_path / "x.params"
    assert isinstance(outcome(path, raw), dict)
    for end in range(len(raw)):
        assert byte_of(refused(path, raw[:end])) <= end
    assert byte_of(refused(path, raw + b"\0")) == len(raw)


def packed(code: str, *values: int) -> list[bytes]:
    return [struct.pack("<" + code, value) for value in values]


# what -> broken contents, given the right one
BREAKS: dict[str, Callable[[bytes], list[bytes]]] = {
    "list magic": lambda _: packed("Q", 0, 0x111, 0x112 << 8, 2**64 - 1),
    "reserved": lambda _: packed("Q", 1, 2**63, 2**64 - 1),
    "count": lambda _: packed("Q", 0, 2, 4, 100, 2**20, 2**32, 2**63, 2**64 - 1),
    "magic": lambda _: packed("I", 33, 2**16, 0xF993FAC7, 0xF993FACB, 2**31, 2**32 - 1),
    "storage": lambda _: packed("i", -1, 1, 2, 3, -2, 2**31 - 1, -(2**31)),
    "ndim": lambda right: packed(
        "i", -2, 33, 2**31 - 1, -(2**31), *(struct.unpack("<i", right)[0] + d for d in (1, -1))
    ),
    "device": lambda _: packed("i", 0, 7, -1, 2**31 - 1, -(2**31)),
    "type": lambda _: packed("i", -1, 13, 100, 2**31 - 1, -(2**31)),
    "name count": lambda _: packed("Q", 0, 2, 4, 2**20, 2**63, 2**64 - 1),
    "name length": lambda right: packed(
        "Q", *(struct.unpack("<Q", right)[0] + d for d in (1, -1)), 2**16 + 1, 2**40, 2**64 - 1
    ),
    "name": lambda right: [b"\xff" * len(right), b"\xc3" * len(right)],
}
# a complaint about these names the field itself; about others, possibly what follows (and no names
# at all are allowed, so that then the bytes after the list are what is wrong)
EXACT = ("list magic", "reserved", "storage", "device", "type", "name count")


def broken_shapes(version: str, right: bytes) -> list[bytes]:
    code = "I" if version == "legacy" else "q"
    first, *rest = struct.unpack(f"<{len(right) // struct.calcsize(code)}{code}", right)
    wrong = [first + 1, first - 1, 2**31, 2**32 - 1]
    if version != "legacy":
        wrong += [2**40, 2**62, 2**63 - 1, -2, -(2**63), -1]
    return [struct.pack(f"<{1 + len(rest)}{code}", value, *rest) for value in wrong]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_field_broken_is_refused_without_large_memory(tmp_path, version):
    plan, path = small(version), tmp_path / "x.params"
    position, broken = 0, set()
    tracemalloc.start()
    try:
        for part in plan.fields:
            right = part.raw
            wrongs = (
                broken_shapes(version, right)
                if part.what == "shape"
                else BREAKS[part.what](right)
                if part.what in BREAKS
                else []
            )
            for wrong in wrongs:
                part.raw = wrong
                sentence = refused(path, plan.raw)
                broken.add(part.what)
                if part.what in EXACT and (part.what, wrong) != ("name count", bytes(8)):
                    assert byte_of(sentence) == position, (part.what, sentence)
            part.raw = right
            position += len(right)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    expected = {"shape", *BREAKS} - ({"storage"} if version in ("legacy", "V1") else set())
    assert broken == expected - ({"ndim"} if version == "legacy" else set())
    assert peak < MEBIBYTE


def broken(version: str, what: str, raw: bytes, number: int = 0) -> bytes:
    plan = small(version)
    [part for part in plan.fields if part.what == what][number].raw = raw
    return plan.raw


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (broken("V2", "storage", b"\1\0\0\0"), "array 1 of 3: it is sparse (row_sparse)"),
        (broken("V2", "storage", b"\2\0\0\0", 1), "array 2 of 3: it is sparse (csr)"),
        (broken("V2", "type", struct.pack("<i", 13)), "its type is 13"),
        (broken("V1", "ndim", struct.pack("<i", 33)), "number of dimensions is 33"),
        (broken("V1", "shape", struct.pack("<2q", -2, 3)), "(-2, 3), but no dimension may be neg"),
        (broken("V1", "shape", struct.pack("<2q", 0, 2**63 - 1)), "larger than any memory"),
        (broken("V3", "shape", struct.pack("<2q", 2**62, 2**62)), "larger than any memory"),
        (broken("V3", "shape", struct.pack("<2q", 2**30, 3)), "takes 12884901888 bytes, but the"),
        (broken("legacy", "magic", struct.pack("<I", 33)), "0x00000021, which is neither a known"),
        (broken("V2", "data", b"\1\2\0", 1), "holds other bytes than 0 and 1"),
        (broken("V2", "name", b"arg:b" + b"\xff" * 7), "name 1 of 3: it is not UTF-8"),
        (broken("V2", "name count", struct.pack("<Q", 2)), "2 names are announced for 3 arrays"),
        (broken("V2", "count", struct.pack("<Q", 2**40)), "1099511627776 arrays are announced"),
        (small().raw + b"ab", "the list is complete, but 2 bytes follow"),
        (plan_of([("a", np.zeros(1)), ("a", np.ones(1))]).raw, "name 2 of 2: 'a' occurs twice"),
        (broken("V2", "name length", struct.pack("<Q", 2**40)), "at most 65536 are allowed"),
        (b"PK\3\4" + bytes(30), "it begins with 50 4b 03 04 00 00 00 00 instead of 12 01 00"),
        (b"", "the mark of a list takes 8 bytes"),
    ],
)  # fmt: skip
def test_the_sentence_says_what_is_wrong(tmp_path, raw, words):
    assert words in refused(tmp_path / "x.params", raw)


def test_a_count_beyond_all_networks_is_refused_at_once(tmp_path):
    raw = struct.pack("<3Q", 0x112, 0, 2**20 + 1) + bytes(4 * (2**20 + 3))
    assert "more than the 1048576 that are allowed" in refused(tmp_path / "x.params", raw)


def test_files_that_are_not_there(tmp_path):
    for path in (tmp_path / "none.params", tmp_path):
        with pytest.raises(UserError, match="does not exist"):
            read_params(path)


@pytest.mark.parametrize("version", VERSIONS)
def test_random_damage_gives_a_sentence_or_arrays(tmp_path, version):
    generator = np.random.default_rng(5)
    raw = np.frombuffer(small(version, scalar=version == "V3").raw, np.uint8)
    path, sentences = tmp_path / "x.params", 0
    for _ in range(700):
        damaged = raw.copy()
        where = generator.integers(0, len(raw), generator.integers(1, 5))
        damaged[where] = generator.choice([0, 1, 2, 0x7F, 0x80, 0xFF, *MAGICS_BYTES], len(where))
        sentences += isinstance(outcome(path, damaged.tobytes()), str)
    assert 150 < sentences < 700


MAGICS_BYTES = sorted({byte for magic in MAGICS.values() for byte in magic.to_bytes(4, "little")})


def test_random_bytes_after_a_good_beginning(tmp_path):
    generator = np.random.default_rng(6)
    for _ in range(500):
        noise = generator.integers(0, 4, generator.integers(0, 200), np.uint8).tobytes()
        outcome(tmp_path / "x.params", struct.pack("<3Q", 0x112, 0, 2) + noise)
