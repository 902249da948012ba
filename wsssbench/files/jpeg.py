"""JPEG files without their end marker: whether all of their pixels are there all the same.

Cameras and web servers leave the marker's two bytes away, and viewers show the picture. A file that is cut off looks
the same to a decoder, which fills what is missing with grey. They differ in one thing: if the pixels are complete,
what follows the last byte makes no difference.

Specification: ITU-T T.81, annexes A and B.
"""

from __future__ import annotations

import io
import struct

from PIL import Image

_END = b"\xff\xd9"
# Ways in which compressed pixels could go on, without a marker; they differ from the first bit on.
_CONTINUATIONS = (
    b"\x55" * 200,
    b"\xaa" * 200,
    b"\x00\x1b" * 100,
    b"\xf0\xe4" * 100,
    b"\x93\x2c" * 100,
)
_SEQUENTIAL = (0xC0, 0xC1)  # the frames whose pixels are in one scan, if that has all components
_SCAN = 0xDA  # the segment before a scan's pixels
_RESTARTS = 0xDD  # the segment with the number of units between two restart markers


def complete_without_end(data: bytes) -> Image.Image | None:
    """Return the decoded image of a JPEG that lacks nothing but its end; None if pixels are or may be missing."""
    pixels = data.removesuffix(_END[:1])
    if data.endswith(_END) or not _in_last_interval(pixels):
        return None
    try:
        first, *others = (_decoded(pixels + more + _END) for more in _CONTINUATIONS)
    except OSError:  # what follows is no sound end of what is missing
        return None
    same = all(other.tobytes() == first.tobytes() for other in others)
    return first if same else None


def _decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=["JPEG"])
    image.load()
    return image


def _in_last_interval(data: bytes) -> bool:
    """Whether the pixels are in one scan, and `data` ends after the last of its restart markers."""
    at, frame, interval = 2, b"", 0
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        content = data[at + 4 : at + 2 + length]
        if kind in _SEQUENTIAL:
            frame = content
        elif kind == _RESTARTS and len(content) >= 2:
            (interval,) = struct.unpack_from(">H", content)
        elif kind == _SCAN:
            scan = data[at + 2 + length :]
            one_scan = len(frame) > 5 and content[:1] == frame[5:6]
            return one_scan and _markers(scan) == _restarts(frame, interval)
        at += 2 + length
    return False


def _markers(scan: bytes) -> int:
    """The number of markers within a scan: restarts, if it is a scan's only content. FF 00 is a value."""
    return scan.count(b"\xff") - scan.count(b"\xff\x00")


def _restarts(frame: bytes, interval: int) -> int:
    """The number of restart markers in the one scan of a frame."""
    height, width, components = struct.unpack_from(">HHB", frame, 1)
    if not interval or len(frame) < 6 + 3 * components:
        return 0
    factors = [frame[7 + 3 * i] for i in range(components)] if components > 1 else [0x11]
    across, down = (8 * max(f >> shift & 15 for f in factors) for shift in (4, 0))
    units = -(-width // max(across, 1)) * -(-height // max(down, 1))
    return -(-units // interval) - 1
