"""MXNet ``.params`` files (lists of named arrays), read without MXNet: ResNet38's ImageNet weights come as one.

Layout (MXNet's ``src/ndarray/ndarray.cc``), little-endian: u64 0x112, u64 0, u64 n, the n arrays, u64 n, n names of
u64 length and bytes. An array: u32 version; in V2 and V3 i32 storage type (0 = dense); i32 number of dimensions; the
dimensions, i64 each; i32 device type, i32 device number, i32 value type; the values. The oldest arrays have no
version: the number of dimensions comes first, and the dimensions are u32.

Nothing in the file is run, and no count or size of it is believed before the bytes it speaks of are known to be there.
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

import numpy as np

from wsssbench.errors import UserError

MAGIC = struct.pack("<Q", 0x112)
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_TYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64")
_MAX_DIMENSIONS = 32  # numpy's own limit before 2.0


def begins_as_params(path: Path) -> bool:
    """Whether the file `path` begins as MXNet's list files do."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_params(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of the ``.params`` file `path` by name, in the file's order.

    Returns:
        Names as stored, usually with ``arg:`` or ``aux:`` in front. The arrays are writable, and most of them lie in
        the mapped file: it has to stay as it is while they are in use. Writing to them does not change it.

    Raises:
        UserError: the file is missing or damaged, or has sparse or empty arrays: what is wrong, and at which byte.
    """
    reader = _Reader(Path(path))
    if (mark := reader.take(len(MAGIC), "the mark of a list").tobytes()) != MAGIC:
        raise reader.error(f"it begins with {mark.hex(' ')} instead of {MAGIC.hex(' ')}")
    if reserved := reader.number("Q", "the reserved field"):
        raise reader.error(f"the reserved field is {reserved} instead of 0")
    count = reader.number("Q", "the number of arrays")
    if count > reader.left // 4:
        raise reader.error(f"{count} arrays are announced, but only {reader.left} bytes follow")
    arrays = []
    for i in range(count):
        reader.where = f"array {i + 1} of {count}: "
        arrays.append(_read_array(reader))
    reader.where = ""
    if (given := reader.number("Q", "the number of names")) != count:
        raise reader.error(f"{given} names are announced for {count} arrays")
    named: dict[str, np.ndarray] = {}
    for i, array in enumerate(arrays):
        reader.where = f"name {i + 1} of {count}: "
        raw = reader.take(reader.number("Q", "its length"), "it").tobytes()
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise reader.error("it is not UTF-8") from None
        if name in named:
            raise reader.error(f"{name[:80]!r} occurs twice")
        named[name] = array
    if reader.left:
        reader.where, reader.start = "", reader.at
        raise reader.error(f"the list is complete, but {reader.left} bytes follow")
    return named


class _Reader:
    """Reads on through a file; refuses to go beyond its end before it touches anything.

    Attributes:
        at: the position.
        start: where the field that was read last begins.
        where: the part of the file, for an error's sentence.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.at, self.start, self.where = path, 0, 0, ""
        if not path.is_file():
            raise UserError(
                f"weight file {path} does not exist: give the path of an MXNet .params file"
            )
        try:
            # copy on write; an empty file cannot be mapped
            self.data = (
                np.memmap(path, np.uint8, mode="c").view(np.ndarray)
                if path.stat().st_size
                else np.empty(0, np.uint8)
            )
        except OSError as error:
            raise UserError(f"weight file {path} cannot be read: {error.strerror}") from error

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def error(self, problem: str) -> UserError:
        return UserError(
            f"{self.path} cannot be read as an MXNet .params file: at byte {self.start}, {self.where}{problem}"
        )

    def take(self, size: int, what: str) -> np.ndarray:
        """The next `size` bytes, (size,) uint8: a view."""
        self.start = self.at
        if size > self.left:
            raise self.error(f"{what} takes {size} bytes, but the file ends after {self.left} more")
        self.at += size
        return self.data[self.start : self.at]

    def numbers(self, code: str, what: str) -> tuple[int, ...]:
        """The next integers, of `struct`'s format `code`."""
        layout = struct.Struct("<" + code)
        return layout.unpack(self.take(layout.size, what).tobytes())

    def number(self, code: str, what: str) -> int:
        return self.numbers(code, what)[0]


def _read_array(reader: _Reader) -> np.ndarray:
    dimensions = version = reader.number("I", "its version")
    known = version in (_V1, _V2, _V3)
    if not known and version > _MAX_DIMENSIONS:
        raise reader.error(
            f"0x{version:08x} is neither a known version nor a number of dimensions up to {_MAX_DIMENSIONS}"
        )
    if version in (_V2, _V3) and (storage := reader.number("i", "its storage type")):
        raise reader.error(f"its storage type is {storage}, but only dense arrays (0) are read")
    if known:
        dimensions = reader.number("i", "its number of dimensions")
    if dimensions in (0, -1):
        raise reader.error(
            "it has no shape: the file was written before the network had its weights"
        )
    if not 0 < dimensions <= _MAX_DIMENSIONS:
        raise reader.error(
            f"its number of dimensions is {dimensions}, but has to be from 1 to {_MAX_DIMENSIONS}"
        )
    shape = reader.numbers(f"{dimensions}{'q' if known else 'I'}", "its shape")
    if min(shape) < 1:
        raise reader.error(f"its shape is {shape}, but every dimension has to be at least 1")
    reader.numbers("2i", "its device")
    flag = reader.number("i", "its type")
    if not 0 <= flag < len(_TYPES):
        raise reader.error(f"its type is {flag}, but 0 to {len(_TYPES) - 1} are read")
    stored = np.dtype(_TYPES[flag]).newbyteorder("<")
    raw = reader.take(math.prod(shape) * stored.itemsize, f"{stored.name} data of shape {shape}")
    values = raw.view(stored).reshape(shape)
    return values.astype(stored.newbyteorder("="), copy=not values.flags.aligned)
