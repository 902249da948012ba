"""What a PNG file says about itself, compared with what it holds. Libraries read it to its end without looking.

Specification: https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">8s4x4sIIBBxxB")  # signature, length, IHDR, width, height, depth, colour
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by type of colour
_BEST_RATIO = 1032  # of deflate: bytes that one byte can become
_HARMLESS = 1 << 22  # bytes of memory
# (first column, first row, step of columns, step of rows) of the passes of an interlaced image.
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip


@dataclass(frozen=True)
class Header:
    """The first chunk: (H, W), bits of a pixel, and whether rows come in seven passes."""

    size: tuple[int, int]
    bits: int
    interlaced: bool

    @property
    def bytes(self) -> int:
        """Of the pixels before compression; every row has one more for its filter."""
        if not self.interlaced:
            return self.size[0] * self.row
        parts = [
            (-(-(self.size[0] - top) // down), -(-(self.size[1] - left) // right))
            for left, top, right, down in _PASSES
        ]
        return sum(h * (1 + -(-w * self.bits // 8)) for h, w in parts if h > 0 and w > 0)

    @property
    def row(self) -> int:
        """Bytes of a row of the whole image, its filter's included."""
        return 1 + -(-self.size[1] * self.bits // 8)


def read_header(file: BinaryIO) -> Header | None:
    """The header of an open file; None if it is no PNG. The position in the file changes."""
    file.seek(0)
    start = file.read(_HEADER.size)
    if len(start) < _HEADER.size or not start.startswith(SIGNATURE):
        return None
    _, kind, width, height, depth, colour, interlace = _HEADER.unpack(start)
    if kind != b"IHDR" or colour not in _CHANNELS:
        return None
    return Header((height, width), depth * _CHANNELS[colour], bool(interlace))


def require_room(header: Header, file: BinaryIO) -> None:
    """Raise ValueError if `file` is too short for the pixels of `header`, however well they are compressed."""
    if header.bytes <= _HARMLESS:  # whether they are all there is seen afterwards
        return
    size = file.seek(0, io.SEEK_END)
    if header.bytes > _BEST_RATIO * size:
        height, width = header.size
        raise ValueError(f"it says {height} x {width} pixels, which its {size:,} bytes cannot hold")


def require_rows(header: Header, data: bytes) -> None:
    """Raise ValueError if the file `data` ends before the last row of `header`.

    Decoders leave the rows that are missing at 0 without a word. A program that is stopped while it writes leaves such
    files, with sound checksums.
    """
    pixels = b"".join(content for kind, content, _ in chunks(memoryview(data)) if kind == b"IDAT")
    held = len(zlib.decompressobj().decompress(pixels, header.bytes))
    if held >= header.bytes:
        return
    if header.interlaced:
        raise ValueError(f"it holds {held:,} of the {header.bytes:,} bytes of its pixels")
    raise ValueError(f"it holds {held // header.row} of {header.size[0]} rows")


def require_checksums(data: bytes) -> None:
    """Raise ValueError unless `data` is a PNG whose chunks are whole up to its last byte.

    Pillow skips the checksums of the pixels.
    """
    if not data.startswith(SIGNATURE):
        raise ValueError("it is not a PNG file")
    kind = b""
    for kind, content, checksum in chunks(memoryview(data)):
        if zlib.crc32(content, zlib.crc32(kind)) != checksum:
            raise ValueError("its checksum is wrong")
    if kind != b"IEND":
        raise ValueError("it is truncated")


def chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview, int]]:
    """Kind, content and checksum of each chunk. Raises ValueError if the last one is cut off."""
    at = len(SIGNATURE)
    while at < len(data):
        if at + 12 > len(data):
            raise ValueError("it is truncated")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            raise ValueError("it is truncated")
        yield kind, data[at + 8 : end], struct.unpack_from(">I", data, end)[0]
        at = end + 4
