"""Reading a field of a structure in a MATLAB 5 file (.mat): the little that SBD needs, bounds-checked.

``scipy.io.loadmat`` reads much more, but damaged bytes can make its compiled part crash the process. The format:
MathWorks, "MAT-File Format", level 5.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_HEADER = 128
_MAX_BYTES = 1 << 26  # of one variable, decompressed; SBD's have less than 1 MiB
_MATRIX, _COMPRESSED = 14, 15
_INT8, _UINT8, _INT32, _UINT32 = 1, 2, 5, 6
_CLASSES = (
    *("", "cell", "struct", "object", "char", "sparse", "double", "single"),
    *("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
)


class MatlabError(ValueError):
    """Not a MATLAB 5 file, damaged, or with other content; the text says what, without the file's name."""


@dataclass(frozen=True)
class _Element:
    kind: int
    data: memoryview


@dataclass(frozen=True)
class _Matrix:
    """An array's class, shape, name and what follows them."""

    kind: int
    shape: tuple[int, ...]
    name: str
    parts: _Elements


def read_uint8_field(content: bytes, variable: str, field: str) -> np.ndarray:
    """The uint8 array ``variable.field`` of the 1x1 structure `variable`.

    Raises:
        MatlabError: anything else than that.
    """
    order = _byte_order(content)
    for element in _Elements(memoryview(content)[_HEADER:], order):
        if element.kind == _COMPRESSED:
            element = next(_Elements(_inflated(element.data), order), element)
        if element.kind != _MATRIX:
            raise MatlabError(f"it holds an element of kind {element.kind} instead of a variable")
        matrix = _matrix(element, order)
        if matrix.name == variable:
            return _uint8_array(_field(matrix, field, order), f"{variable}.{field}")
    raise MatlabError(f"it has no variable {variable}")


class _Elements:
    """The data elements one after the other: a tag (kind, number of bytes), the bytes, padding to 8."""

    def __init__(self, data: memoryview, order: str) -> None:
        self.data, self.order = data, order

    def __iter__(self) -> Iterator[_Element]:
        return self

    def __next__(self) -> _Element:
        if not self.data:
            raise StopIteration
        if len(self.data) < 8:
            raise MatlabError("it is cut off")
        first, count = (int(v) for v in np.frombuffer(self.data[:8], f"{self.order}u4"))
        start, kind = 8, first
        if first >> 16:  # up to 4 bytes are stored in the tag itself
            start, kind, count = 4, first & 0xFFFF, first >> 16
            if count > 4:
                raise MatlabError("a tag in it is damaged")
        end = start + count
        if end > len(self.data):
            raise MatlabError("it is cut off")
        element = _Element(kind, self.data[start:end])
        padded = end if kind == _COMPRESSED else -(-end // 8) * 8
        self.data = self.data[padded:]
        return element

    def take(self, *kinds: int) -> memoryview:
        """The bytes of the next element, which has to be of one of `kinds`."""
        element = next(self, None)
        if element is None or element.kind not in kinds:
            raise MatlabError("an array in it is damaged")
        return element.data

    def integers(self, kind: int) -> list[int]:
        data = self.take(kind)
        if len(data) % 4:
            raise MatlabError("an array in it is damaged")
        sign = "u" if kind == _UINT32 else "i"
        return [int(value) for value in np.frombuffer(data, f"{self.order}{sign}4")]


def _byte_order(content: bytes) -> str:
    mark = content[_HEADER - 2 : _HEADER]
    if content.startswith(b"MATLAB 7.3"):
        raise MatlabError("it was saved by MATLAB 7.3 as HDF5, not as version 5")
    if mark not in (b"IM", b"MI"):
        raise MatlabError("it is no MATLAB 5 file")
    return "<" if mark == b"IM" else ">"


def _inflated(data: memoryview) -> memoryview:
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, _MAX_BYTES)
    except zlib.error as error:
        raise MatlabError(f"its compressed data is damaged: {error}") from error
    if not stream.eof:
        raise MatlabError("its compressed data is cut off, or far too large")
    return memoryview(plain)


def _matrix(element: _Element, order: str) -> _Matrix:
    parts = _Elements(element.data, order)
    flags = parts.integers(_UINT32)
    shape = parts.integers(_INT32)
    name = bytes(parts.take(_INT8))
    if len(flags) != 2 or len(shape) < 2 or min(shape) < 0:
        raise MatlabError("an array in it is damaged")
    return _Matrix(flags[0] & 0xFF, tuple(shape), name.decode("latin-1"), parts)


def _field(matrix: _Matrix, field: str, order: str) -> _Matrix:
    if matrix.kind != _CLASSES.index("struct") or math.prod(matrix.shape) != 1:
        raise MatlabError(f"{matrix.name} is no 1x1 structure, but {_described(matrix)}")
    length = matrix.parts.integers(_INT32)
    names = bytes(matrix.parts.take(_INT8))
    if len(length) != 1 or length[0] < 1 or len(names) % length[0]:
        raise MatlabError("a structure in it is damaged")
    for start in range(0, len(names), length[0]):
        value = _Element(_MATRIX, matrix.parts.take(_MATRIX))
        name = names[start : start + length[0]].partition(b"\0")[0].decode("latin-1")
        if name == field:
            return _matrix(value, order)
    raise MatlabError(f"{matrix.name} has no field {field}")


def _uint8_array(matrix: _Matrix, name: str) -> np.ndarray:
    if matrix.kind != _CLASSES.index("uint8"):
        raise MatlabError(f"{name} is no uint8 array, but {_described(matrix)}")
    values = np.frombuffer(matrix.parts.take(_UINT8), np.uint8)
    if values.size != math.prod(matrix.shape):
        raise MatlabError(f"{name} has {values.size} values, but shape {matrix.shape}")
    return values.reshape(matrix.shape, order="F")


def _described(matrix: _Matrix) -> str:
    known = 0 < matrix.kind < len(_CLASSES)
    kind = _CLASSES[matrix.kind] if known else f"array of unknown class {matrix.kind}"
    return f"{'x'.join(map(str, matrix.shape))} {kind}"
