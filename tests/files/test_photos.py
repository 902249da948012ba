"""Photos that are sound in an unusual way: no end marker, more than 8 bits; and programs that must not run."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from wsssbench.errors import UserError
from wsssbench.files.images import (
    image_size,
    inspect_image,
    label_size,
    orientation,
    read_image,
    read_label,
)
from wsssbench.files.jpeg import complete_without_end

READERS = (read_image, inspect_image, image_size, orientation, read_label, label_size)


def photo(height: int, width: int, seed: int = 0) -> Image.Image:
    """A photo-like picture: soft colours with some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.arange(height)[:, None, None] / 9, np.arange(width)[None, :, None] / 9
    values = (
        120 + 60 * np.sin(y + rng.random(3)) * np.cos(x) + rng.normal(0, 12, (height, width, 3))
    )
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


JPEGS = {
    "colour": {"subsampling": 2},
    "full colour": {"subsampling": 0, "quality": 95},
    "restarts": {"restart_marker_blocks": 3},
    "a restart per row": {"restart_marker_rows": 1, "subsampling": 1},
    "grey": {},
}


@pytest.mark.parametrize("kind", list(JPEGS))
def test_a_jpeg_that_lacks_its_end_alone_is_read(tmp_path: Path, kind: str) -> None:
    given = photo(45, 70).convert("L" if kind == "grey" else "RGB")
    path = tmp_path / "x.jpg"
    given.save(path, **JPEGS[kind])  # type: ignore[arg-type]
    data, whole = path.read_bytes(), read_image(path)
    assert inspect_image(path).ended
    for cut in (1, 2):
        path.write_bytes(data[:-cut])
        np.testing.assert_array_equal(read_image(path), whole)
        assert not inspect_image(path).ended and image_size(path) == (45, 70)
    start = data.index(b"\xff\xda") + 20
    for cut in range(3, len(data) - start, 37):  # pixels are missing, or nothing of them changes
        kept = complete_without_end(data[:-cut])
        assert kept is None or np.array_equal(np.asarray(kept.convert("RGB")), whole)
    path.write_bytes(data[: start + (len(data) - start) // 2])
    with pytest.raises(UserError, match="lacks the end of a JPEG"):
        read_image(path)


def test_a_progressive_jpeg_may_lack_whole_scans_and_is_refused(tmp_path: Path) -> None:
    photo(45, 70).save(tmp_path / "x.jpg", progressive=True)
    (tmp_path / "x.jpg").write_bytes((tmp_path / "x.jpg").read_bytes()[:-2])
    with pytest.raises(UserError, match="lacks the end of a JPEG"):
        read_image(tmp_path / "x.jpg")


def tiff(bits: int, values: bytes, width: int, height: int) -> bytes:
    """A grey TIFF, by the format's description: values of `bits` bits, packed, highest bit first."""
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, 1), (273, 122), (278, height)]
    entries = [struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags]
    entries.append(struct.pack("<HHII", 279, 4, 1, len(values)))
    header = struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + b"".join(entries) + bytes(4)
    return header.ljust(122, b"\0") + values


def test_the_bits_that_a_file_says_are_those_of_white(tmp_path: Path) -> None:
    values = [0, 255, 2048, 4095]
    packed = int("".join(f"{v:012b}" for v in values), 2).to_bytes(6, "big")
    (tmp_path / "12.tif").write_bytes(tiff(12, packed, 4, 1))
    assert read_image(tmp_path / "12.tif")[0, :, 0].tolist() == [0, 15, 128, 255]
    assert inspect_image(tmp_path / "12.tif").unused == 0
    (tmp_path / "16.tif").write_bytes(tiff(16, np.array(values, "<u2").tobytes(), 4, 1))
    assert read_image(tmp_path / "16.tif")[0, :, 0].tolist() == [0, 0, 8, 15]
    assert inspect_image(tmp_path / "16.tif").unused == 4
    (tmp_path / "x.pgm").write_bytes(b"P5 4 1 4095\n" + np.array(values, ">u2").tobytes())
    assert read_image(tmp_path / "x.pgm")[0, :, 0].tolist() == [0, 15, 128, 255]


def deep_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits, (H, W, C) uint16, which Pillow does not write in colour."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    height, width, channels = values.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("largest", "unused"), [(4095, 4), (1023, 6), (16383, 2), (65535, 0), (300, 7)]
)
def test_unused_bits_of_deep_images(
    tmp_path: Path, channels: int, largest: int, unused: int
) -> None:
    values = np.full((2, 3, channels), 7, np.uint16)
    values[1, 2, -1] = largest
    (tmp_path / "x.png").write_bytes(deep_png(values))
    facts = inspect_image(tmp_path / "x.png")
    assert facts.deep and facts.unused == unused
    assert read_image(tmp_path / "x.png").max() == largest >> 8


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_images_of_32_bits_are_read_where_white_is_known(tmp_path: Path, dtype: type) -> None:
    Image.fromarray(np.array([[0, 100, 255]], dtype)).save(tmp_path / "x.tif")
    assert read_image(tmp_path / "x.tif")[0, :, 0].tolist() == [0, 100, 255]
    for values in ([0, 1], [0, 4095], [-1, 200]):
        Image.fromarray(np.array([values], dtype)).save(tmp_path / "x.tif")
        with pytest.raises(UserError, match=r"x\.tif.*32-bit values from .* save it with 8 or 16"):
            read_image(tmp_path / "x.tif")


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.eps"])
def test_no_other_program_is_started(tmp_path: Path, monkeypatch, name: str) -> None:
    mark = tmp_path / "mark"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # Pillow looks for it once
    path = tmp_path / name
    photo(8, 8).save(path, "EPS")
    with suppress(Exception), Image.open(path) as image:
        image.load()
    assert mark.exists()  # what happens if a reader leaves the choice to Pillow
    mark.unlink()
    for read in READERS:
        with pytest.raises(UserError, match="it is not an image, or damaged"):
            read(path)
    assert not mark.exists()


def test_orientation_is_read_from_the_header(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(8, 9).save(tmp_path / "x.jpg", exif=exif)
    assert orientation(tmp_path / "x.jpg") == 6
    buffer = io.BytesIO()
    photo(8, 9).save(buffer, "PNG")
    (tmp_path / "y.png").write_bytes(buffer.getvalue())
    assert orientation(tmp_path / "y.png") == 1
