"""MXNet ``.params`` files (lists of named arrays), read without MXNet.

Layout (MXNet's ``src/ndarray/ndarray.cc``), little-endian: u64 0x112, u64 0, u64 n, the n arrays,
u64 m (0 or n), m names of u64 length and bytes. Arrays come in four versions, told apart by their
first 4 bytes. The file is data to the last byte: nothing in it is run, and no count or size of it
is believed before the bytes it speaks of are known to be there.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsssbench.errors import UserError

MAGIC = struct.pack("<Q", 0x112)  # how every list file begins
_VERSIONS = {0xF993FAC8: "V1", 0xF993FAC9: "V2", 0xF993FACA: "V3"}
_LEGACY = "legacy"  # no version: the first 4 bytes are the number of dimensions
_TYPES = (
    "float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool", "int16", "uint16",
    "uint32", "uint64", "bfloat16",
)  # fmt: skip
_BFLOAT16 = "bfloat16"
_SPARSE = {1: "row_sparse", 2: "csr"}
_DENSE, _UNDEFINED = 0, -1
_DEVICES = range(1, 7)  # cpu, gpu, pinned and shared memory
_MAX_DIMENSIONS = 32  # numpy's own limit before 2.0
_MAX_ARRAYS = 2**20  # networks have thousands at most; bounds the time a forged count can cost
_MAX_NAME = 2**16
_MAX_BYTES = 2**62  # numpy refuses larger shapes even where one dimension is 0


@dataclass(frozen=True)
class StoredArray:
    """One array of a ``.params`` file.

    Args:
        name: as stored, usually with ``arg:`` or ``aux:`` in front; its number in a file without
            names.
        version: ``"legacy"``, ``"V1"``, ``"V2"`` or ``"V3"``.
        dtype: the stored type, ``"float32"`` ... ``"bfloat16"``.
        values: the array, writable, native; float32 for bfloat16, which numpy does not have (exact).
            None where MXNet stored an array that was never filled: shape and type are absent then.
    """

    name: str
    version: str
    dtype: str
    values: np.ndarray | None


def read_params(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of the ``.params`` file `path` by name, in the file's order.

    Returns:
        Arrays as in `StoredArray`, most of them in the mapped file: it has to stay as it is while
        they are in use. Writing to them does not change it.

    Raises:
        UserError: as `read_arrays`; or an array was stored without ever having been filled.
    """
    found: dict[str, np.ndarray] = {}
    for array in read_arrays(path):
        if array.values is None:
            raise UserError(
                f"{path}: the array {array.name!r} was stored without shape and values: "
                "give a file that was written after the network had its weights"
            )
        found[array.name] = array.values
    return found


def read_arrays(path: str | os.PathLike[str]) -> tuple[StoredArray, ...]:
    """Everything in the ``.params`` file `path`, in the file's order.

    Raises:
        UserError: the file is missing, or damaged or sparse: what is wrong, and at which byte.
    """
    cursor = _Cursor(_map_file(Path(path)), Path(path))
    count = _header(cursor)
    found = []
    for i in range(count):
        cursor.where = f"array {i + 1} of {count}: "
        found.append(_array(cursor))
    cursor.where = ""
    names = _names(cursor, count)
    if cursor.left:
        raise cursor.error(f"the list is complete, but {cursor.left} bytes follow")
    return tuple(StoredArray(name, *array) for name, array in zip(names, found, strict=True))


def begins_as_params(path: Path) -> bool:
    """Whether the file `path` begins as MXNet's list files do."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _map_file(path: Path) -> np.ndarray:
    """The file's bytes, (n,) uint8: mapped, so that only what is used is read; writing changes no file."""
    if not path.is_file():
        raise UserError(
            f"weight file {path} does not exist: give the path of an MXNet .params file"
        )
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
            if not MAGIC.startswith(start):
                raise UserError(
                    f"{path} is no MXNet .params file: at byte 0, it begins with "
                    f"{start.hex(' ')} instead of {MAGIC.hex(' ')}"
                )
            if not start:  # which cannot be mapped
                return np.empty(0, np.uint8)
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except OSError as error:
        raise UserError(f"weight file {path} cannot be read: {error.strerror}") from error
    return np.frombuffer(mapped, np.uint8)


class _Cursor:
    """Reads on from one position; refuses to go beyond the end before it touches anything."""

    def __init__(self, block: np.ndarray, path: Path) -> None:
        self.block = block
        self.path = path
        self.at = 0
        self.where = ""

    @property
    def left(self) -> int:
        return len(self.block) - self.at

    def error(self, problem: str, at: int | None = None) -> UserError:
        position = self.at if at is None else at
        return UserError(
            f"{self.path} cannot be read as an MXNet .params file: at byte {position}, "
            f"{self.where}{problem}"
        )

    def take(self, size: int, what: str) -> np.ndarray:
        """The next `size` bytes, (size,) uint8: a view."""
        if size > self.left:
            raise self.error(f"{what} takes {size} bytes, but the file ends after {self.left} more")
        self.at += size
        return self.block[self.at - size : self.at]

    def integers(self, code: str, what: str, count: int = 1) -> tuple[int, ...]:
        """`count` integers of `struct`'s type `code`; `count` has been checked by the caller."""
        layout = struct.Struct(f"<{count}{code}")
        return layout.unpack(self.take(layout.size, what).tobytes())

    def integer(self, code: str, what: str) -> int:
        return self.integers(code, what)[0]


def _header(cursor: _Cursor) -> int:
    """The number of arrays."""
    cursor.take(len(MAGIC), "the mark of a list")
    if reserved := cursor.integer("Q", "the reserved field"):
        raise cursor.error(f"the reserved field is {reserved} instead of 0", cursor.at - 8)
    count = cursor.integer("Q", "the number of arrays")
    if count > min(_MAX_ARRAYS, cursor.left // 4):
        raise cursor.error(
            f"{count} arrays are announced, which the remaining {cursor.left} bytes cannot hold"
            if count > cursor.left // 4
            else f"{count} arrays are announced, more than the {_MAX_ARRAYS} that are allowed",
            cursor.at - 8,
        )
    return count


def _array(cursor: _Cursor) -> tuple[str, str, np.ndarray | None]:
    """Version, stored type and values of the next array."""
    start = cursor.at
    magic = cursor.integer("I", "its version")
    version = _VERSIONS.get(magic, _LEGACY)
    storage = _DENSE
    if version in ("V2", "V3"):
        storage = _storage(cursor)
    if version == _LEGACY and magic > _MAX_DIMENSIONS:
        raise cursor.error(
            f"it begins with 0x{magic:08x}, which is neither a known version nor a number of "
            f"dimensions up to {_MAX_DIMENSIONS}",
            start,
        )
    shape = _shape(cursor, version, magic)
    if shape is None:
        return version, "", None
    if storage == _UNDEFINED:
        raise cursor.error(f"its storage is undefined, but it has the shape {shape}", start + 4)
    device, _number = cursor.integers("i", "its device", 2)
    if device not in _DEVICES:
        raise cursor.error(f"its device type is {device}, but has to be from 1 to 6", cursor.at - 8)
    flag = cursor.integer("i", "its type")
    if not 0 <= flag < len(_TYPES):
        raise cursor.error(
            f"its type is {flag}, but the known ones are 0 to {len(_TYPES) - 1}", cursor.at - 4
        )
    return version, _TYPES[flag], _values(cursor, shape, _TYPES[flag])


def _storage(cursor: _Cursor) -> int:
    storage = cursor.integer("i", "its storage type")
    if storage in _SPARSE:
        raise cursor.error(
            f"it is sparse ({_SPARSE[storage]}), but only dense arrays are read", cursor.at - 4
        )
    if storage not in (_DENSE, _UNDEFINED):
        raise cursor.error(f"its storage type is {storage}, but has to be 0, dense", cursor.at - 4)
    return storage


def _shape(cursor: _Cursor, version: str, magic: int) -> tuple[int, ...] | None:
    """The next shape; None for an array that was never filled."""
    dimensions = magic if version == _LEGACY else cursor.integer("i", "its number of dimensions")
    # V3 knows scalars, so that unknown shapes are -1 there instead of empty
    unknown = -1 if version == "V3" else 0
    if dimensions == unknown:
        return None
    if not 0 <= dimensions <= _MAX_DIMENSIONS:
        raise cursor.error(
            f"its number of dimensions is {dimensions}, but has to be from 0 to {_MAX_DIMENSIONS}",
            cursor.at - 4,
        )
    code = "I" if version == _LEGACY else "q"
    start = cursor.at
    shape = cursor.integers(code, f"its {dimensions} dimensions", dimensions)
    lowest = -1 if version == "V3" else 0
    if min(shape, default=0) < lowest:
        raise cursor.error(f"its shape is {shape}, but no dimension may be negative", start)
    return None if -1 in shape else shape


def _values(cursor: _Cursor, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """The next array's values, a view wherever possible."""
    stored = np.dtype(np.uint16 if dtype == _BFLOAT16 else dtype).newbyteorder("<")
    if math.prod(size or 1 for size in shape) * stored.itemsize > _MAX_BYTES:
        raise cursor.error(f"its shape {shape} is larger than any memory")
    start = cursor.at
    raw = cursor.take(math.prod(shape) * stored.itemsize, f"{dtype} data of shape {shape}")
    if dtype == "bool" and raw.size and raw.max() > 1:
        raise cursor.error(
            "its bool data holds other bytes than 0 and 1", start + int((raw > 1).argmax())
        )
    values = raw.view(stored).reshape(shape)
    if dtype == _BFLOAT16:  # the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(stored.newbyteorder("="), copy=not values.flags.aligned)


def _names(cursor: _Cursor, count: int) -> list[str]:
    """The names of the `count` arrays."""
    given = cursor.integer("Q", "the number of names")
    if given not in (0, count):
        raise cursor.error(f"{given} names are announced for {count} arrays", cursor.at - 8)
    if not given:
        return [str(i) for i in range(count)]
    names: dict[str, None] = {}
    for i in range(count):
        cursor.where = f"name {i + 1} of {count}: "
        start = cursor.at
        length = cursor.integer("Q", "its length")
        if length > _MAX_NAME:
            raise cursor.error(
                f"its length is {length}, but at most {_MAX_NAME} are allowed", start
            )
        raw = cursor.take(length, "it").tobytes()
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise cursor.error("it is not UTF-8", start + 8 + error.start) from None
        if name in names:
            raise cursor.error(f"{name[:80]!r} occurs twice", start)
        names[name] = None
    cursor.where = ""
    return list(names)
