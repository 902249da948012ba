"""PNG files that hold less than they say, made by hand: all depths and kinds of colour, interlaced or not."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.files import artefacts
from wsssbench.files.images import (
    image_size,
    inspect_image,
    label_size,
    read_image,
    read_label,
    write_label,
)
from wsssbench.files.png import Header, read_header, require_checksums

KINDS = [(depth, 0) for depth in (1, 2, 4, 8, 16)] + [(depth, 3) for depth in (1, 2, 4, 8)]
KINDS += [(depth, colour) for colour in (2, 4, 6) for depth in (8, 16)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
HEIGHT, WIDTH = 11, 13
# Row by row: which of the seven passes brings each pixel of an 8 x 8 block (from the specification's figure).
BLOCK = [
    "16462646",
    "77777777",
    "56565656",
    "77777777",
    "36463646",
    "77777777",
    "56565656",
    "77777777",
]


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def row_of(pixels: int, bits: int, value: int) -> bytes:
    return b"\0" + bytes([value]) * -(-pixels * bits // 8)


def passes(bits: int, value: int) -> list[bytes]:
    """The rows of an interlaced image, in their order."""
    rows = []
    for number in "1234567":
        for y in range(HEIGHT):
            pixels = sum(BLOCK[y % 8][x % 8] == number for x in range(WIDTH))
            if pixels:
                rows.append(row_of(pixels, bits, value))
    return rows


def picture(
    depth: int, colour: int, interlaced: bool = False, value: int = 0, without: int = 0
) -> bytes:
    """A PNG of 11 x 13 pixels whose stream of pixels ends properly, `without` so many bytes of its end."""
    bits = depth * CHANNELS[colour]
    rows = passes(bits, value) if interlaced else [row_of(WIDTH, bits, value)] * HEIGHT
    pixels = b"".join(rows)
    pixels = pixels[: len(pixels) - without]
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, interlaced)
    palette = chunk(b"PLTE", bytes(range(256)) * 3) if colour == 3 and depth == 8 else b""
    palette = palette or (chunk(b"PLTE", bytes(3 << depth)) if colour == 3 else b"")
    body = (
        chunk(b"IHDR", head) + palette + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("depth", "colour"), KINDS)
def test_whole_images_are_read_and_others_refused(
    tmp_path: Path, depth: int, colour: int, interlaced: bool, value: int
) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(picture(depth, colour, interlaced, value))
    assert read_image(path).shape == (HEIGHT, WIDTH, 3)
    inspect_image(path)
    last = len(row_of(WIDTH, depth * CHANNELS[colour], value))
    for without, sentence in ((1, "it holds|is truncated"), (last, "it holds ")):
        path.write_bytes(picture(depth, colour, interlaced, value, without))
        for read in (read_image, inspect_image):
            with pytest.raises(UserError, match=rf"x\.png cannot be read: .*({sentence})"):
                read(path)


@pytest.mark.parametrize("value", [0, 3, 254])
def test_masks_and_artefacts_with_fewer_rows_are_refused(tmp_path: Path, value: int) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(picture(8, 3, value=value))
    assert (read_label(path) == value).all() and (artefacts.read_label(path) == value).all()
    path.write_bytes(picture(8, 3, value=value, without=4 * (1 + WIDTH)))
    require_checksums(path.read_bytes())
    with pytest.raises(UserError, match="it holds 7 of 11 rows"):
        read_label(path)
    with pytest.raises(CorruptArtefactError, match="it holds 7 of 11 rows"):
        artefacts.read_label(path)


@pytest.mark.parametrize("label", [0, 254, 255])
def test_label_maps_that_end_with_one_value_are_whole(tmp_path: Path, label: int) -> None:
    given = np.full((40, 31), label, np.uint8)
    write_label(tmp_path / "x.png", given)
    assert np.array_equal(read_label(tmp_path / "x.png"), given)


@pytest.mark.parametrize(
    "size", [(8_000_000, 20), (8_000_000, 1), (5_000, 5_000), (2**31 - 1, 2**31 - 1)]
)
def test_a_header_of_millions_of_rows_takes_no_memory_and_no_warning(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    data = bytearray(picture(8, 3))
    data[16:24] = struct.pack(">II", size[1], size[0])
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    path = tmp_path / "x.png"
    path.write_bytes(data)
    code = (
        "import resource, sys\n"
        "from wsssbench.errors import UserError\n"
        "from wsssbench.files.images import inspect_image, read_image, read_label\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "for read in (read_image, read_label, inspect_image):\n"
        "    try: read(sys.argv[1])\n"
        "    except UserError as error: print(error)\n"
        "print((peak() - before) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    *sentences, mebibytes = done.stdout.splitlines()
    assert len(sentences) == 3 and all(
        f"it says {size[0]} x {size[1]} pixels" in s for s in sentences
    )
    assert int(mebibytes) < 50 and done.stderr == ""


def test_the_limit_holds_for_every_reader_and_format(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("WSSSBENCH_MAX_PIXELS", "100")
    for name in ("x.png", "x.jpg", "x.bmp", "x.gif", "x.tif"):
        Image.new("L", (11, 10)).save(tmp_path / name)
        for read in (read_image, inspect_image, image_size):
            with pytest.raises(UserError, match=r"10 x 11 pixels.*WSSSBENCH_MAX_PIXELS"):
                read(tmp_path / name)
    for read in (read_label, label_size):
        with pytest.raises(UserError, match="WSSSBENCH_MAX_PIXELS"):
            read(tmp_path / "x.png")
    monkeypatch.setenv("WSSSBENCH_MAX_PIXELS", "110")
    assert image_size(tmp_path / "x.png") == (10, 11)


def test_large_images_are_read_without_a_warning(tmp_path: Path) -> None:
    Image.new("1", (9_500, 9_500)).save(
        tmp_path / "x.png"
    )  # more than Pillow's own limit of warnings
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_label(tmp_path / "x.png").shape == (9_500, 9_500)


def test_long_text_beside_the_pixels_is_no_reason_to_refuse(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("XML:com.adobe.xmp", "x" * 3_000_000, zip=True)
    Image.new("RGB", (5, 4)).save(tmp_path / "x.png", pnginfo=text)
    assert read_image(tmp_path / "x.png").shape == (4, 5, 3)


def test_headers_say_what_pillow_writes() -> None:
    for mode, bits in (
        ("1", 1),
        ("L", 8),
        ("RGB", 24),
        ("RGBA", 32),
        ("LA", 16),
        ("I;16", 16),
    ):
        buffer = io.BytesIO()
        Image.new(mode, (5, 4)).save(buffer, "PNG")
        assert read_header(buffer) == Header((4, 5), bits, False)
    assert read_header(io.BytesIO(b"GIF89a" * 9)) is None


@pytest.mark.parametrize("damage", ["cut", "checksum", "more", "short", "no end"])
def test_checksums_are_looked_at_to_the_last_byte(damage: str) -> None:
    data = picture(8, 3)
    require_checksums(data)
    damaged = {
        "cut": data[:-1],
        "checksum": data[:60] + bytes([data[60] ^ 1]) + data[61:],
        "more": data + b"x",
        "short": data[:5],
        "no end": data[:-12],
    }
    with pytest.raises(ValueError):
        require_checksums(damaged[damage])
