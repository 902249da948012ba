"""Reading photos and label maps, writing label maps as palette PNGs."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin

from wsssbench.errors import UserError
from wsssbench.files import jpeg, png
from wsssbench.files.atomic import write_atomically
from wsssbench.files.limits import require_pixels
from wsssbench.files.reading import reading

USUAL_SUFFIXES = (".jpg", ".jpeg", ".png")
OTHER_SUFFIXES = (".webp", ".bmp", ".tif", ".tiff")
IMAGE_SUFFIXES = (*USUAL_SUFFIXES, *OTHER_SUFFIXES)
_USUAL = ("PNG", "JPEG")
# Whatever the file is called. Not EPS, for which Pillow starts another program.
_OTHERS = ("BMP", "GIF", "PPM", "WEBP", "TIFF", "JPEG2000", "AVIF")
_LOSSY = ("JPEG", "MPO", "WEBP")
_JPEG_END = b"\xff\xd9"
_NO_LABEL = 254  # which hardly any label map has
_ORIENTATION = 0x0112  # EXIF's tag
_BITS = 258  # TIFF's tag of the bits of a value
# Bytes. Editors store megabytes of text beside the pixels, which nothing here needs.
_MAX_TEXT = 1 << 26

# Our own limit, `require_pixels`, stands in for Pillow's, which warns on the terminal before it refuses.
Image.MAX_IMAGE_PIXELS = None
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = _MAX_TEXT


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as (H, W, 3) uint8 RGB, whatever its mode; EXIF is ignored, as masks have none.

    Raises:
        UserError: no such file, or not a whole and readable image.
    """
    with reading("image", path), Path(path).open("rb") as file, _opened(file) as image:
        return _rgb(_loaded(image, file))


def _rgb(image: Image.Image) -> np.ndarray:
    depth = _depth(image)
    if depth > 8:  # convert() would clip to white
        grey = (np.asarray(image) >> (depth - 8)).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        _require_bytes_in_32_bits(image)
    return np.array(image.convert("RGB"))


def _depth(image: Image.Image) -> int:
    """The bits of the grey values that Pillow does not bring down to 8 itself: as the file says, or 16; else 0."""
    if image.mode == "I" and image.format == "PPM":  # Pillow scales all of them to 16 bits
        return 16
    if not image.mode.startswith("I;16"):
        return 0
    stated = getattr(image, "tag_v2", {}).get(_BITS, (16,))
    return int(stated[0]) if 8 < stated[0] < 16 else 16


def _require_bytes_in_32_bits(image: Image.Image) -> None:
    """Raise ValueError unless the 32-bit values of `image` are surely those of 8 bits."""
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and (1 < high <= 255 or high == 0)):
        raise ValueError(
            f"it has 32-bit values from {low:g} to {high:g}, and nothing says which of them is white: save it with 8 "
            "or 16 bits"
        )


@dataclass(frozen=True)
class ImageFacts:
    """A readable image file.

    Attributes:
        size: (H, W).
        mode: Pillow's.
        deep: whether its values have 16 bits, or as many between 8 and 16 as the file says.
        orientation: EXIF's (1: upright).
        digest: of the file's bytes.
        unused: of a deep image, the number of highest bits that no value uses.
        ended: whether it has the end marker of its format.
    """

    size: tuple[int, int]
    mode: str
    deep: bool
    orientation: int = 1
    digest: bytes = b""
    unused: int = 0
    ended: bool = True


def inspect_image(path: str | Path) -> ImageFacts:
    """Read and decode all of an image, as `read_image` does, for what it says about itself.

    Raises:
        UserError: what `read_image` raises.
    """
    with reading("image", path):
        data = Path(path).read_bytes()
        file = io.BytesIO(data)
        with _opened(file) as image:
            deep = _is_deep(image)
            loaded = _loaded(image, file)
            unused = 0
            if deep or loaded.mode not in ("RGB", "L"):
                rgb, depth = _rgb(loaded), _depth(loaded)
                largest = np.asarray(loaded) if depth else rgb
                unused = (depth or 8) - int(largest.max()).bit_length() if deep else 0
            return ImageFacts(
                (image.height, image.width),
                loaded.mode,
                deep,
                _orientation(image),
                hashlib.blake2b(data, digest_size=16).digest(),
                unused,
                loaded is image,
            )


def image_header(path: str | Path) -> ImageFacts:
    """Read what the header of an image says about it, except for its orientation: nothing is decoded.

    Raises:
        UserError: no such file, or no image header.
    """
    with reading("image", path), Path(path).open("rb") as file, _opened(file) as image:
        return ImageFacts((image.height, image.width), image.mode, _is_deep(image))


def orientation(path: str | Path) -> int:
    """Read an image's EXIF orientation: 1 if it is upright, or if there is none.

    Raises:
        UserError: no such file, or no image header.
    """
    with reading("image", path), Path(path).open("rb") as file, _opened(file) as image:
        return _orientation(image)


def _is_deep(image: Image.Image) -> bool:
    """Whether a file that was opened and not read has values of 16 bits, which Pillow may halve as it reads them."""
    return _depth(image) > 8 or any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF, which nothing else here looks at
        return 1


def image_size(path: str | Path) -> tuple[int, int]:
    """Read the (H, W) of an image or label map from its header: nothing is decoded.

    Raises:
        UserError: no such file, or no image header.
    """
    with reading("image", path), Path(path).open("rb") as file, _opened(file) as image:
        return image.height, image.width


def read_label(path: str | Path) -> np.ndarray:
    """Read the label map (H, W) uint8 in a palette PNG (its indices) or an 8-bit grey PNG (its values).

    Raises:
        UserError: missing, damaged or not whole; or a file that cannot hold indices: RGB, lossy, more than 8 bits in
        use.
    """
    with reading("label map", path), Path(path).open("rb") as file:
        return decode_label(file)


def decode_label(file: BinaryIO) -> np.ndarray:
    """Read from an open file what `read_label` reads.

    Raises:
        Exception: damaged bytes make Pillow raise all sorts of things: see `reading`.
    """
    with _opened(file) as image:
        _refuse_pictures(image)
        values = np.array(_loaded(image, file))
    if values.dtype.kind == "f" or int(values.min()) < 0 or int(values.max()) > 255:
        raise ValueError("it has values outside 0..255: a label map holds class indices")
    return values.astype(np.uint8)


def label_size(path: str | Path) -> tuple[int, int]:
    """Read the (H, W) of a label map from its header: nothing is decoded.

    Raises:
        UserError: no such file, no image header, or one of a file that cannot hold indices.
    """
    with reading("label map", path), Path(path).open("rb") as file, _opened(file) as image:
        _refuse_pictures(image)
        return image.height, image.width


@contextmanager
def _opened(file: BinaryIO) -> Iterator[Image.Image]:
    """The image in `file`, whose header promises no more than can be there. Raises ValueError otherwise."""
    with _identified(file) as image:
        require_pixels((image.height, image.width))
        yield image


def _identified(file: BinaryIO) -> Image.Image:
    try:
        return Image.open(file, formats=_USUAL)
    except Image.UnidentifiedImageError:
        Image.init()  # once: it imports the readers of all formats
    try:
        return Image.open(file, formats=[name for name in _OTHERS if name in Image.OPEN])
    except Image.UnidentifiedImageError:
        raise ValueError("it is not an image, or damaged") from None


def _loaded(image: Image.Image, file: BinaryIO) -> Image.Image:
    """Decode `image`, all of it. Raises ValueError or OSError if `file` does not hold all of it.

    Returns:
        `image`; another one with its pixels if the file is a JPEG that lacks nothing but its end.
    """
    header = png.read_header(file) if image.format == "PNG" else None
    unset = 0  # what Pillow leaves in rows that are missing
    if header is not None:
        png.require_room(header, file)
        if image.mode in ("L", "P"):
            unset = _NO_LABEL
            image.im = Image.core.fill(image.mode, image.size, unset)
    try:
        image.load()
    except OSError:
        if image.format not in ("JPEG", "MPO"):
            raise
        file.seek(0)
        data = file.read()
        whole = jpeg.complete_without_end(data)
        if whole is not None:
            return whole
        if data.endswith(_JPEG_END):
            raise
        raise ValueError(
            "it lacks the end of a JPEG file: copy or fetch it again, or, if a viewer shows all of it, open it "
            "in an image editor and save it anew"
        ) from None
    if header is None:
        return image
    # A last row with other values is proof enough that no row is missing; to count them takes as long as to decode.
    last = image.crop((0, image.height - 1, image.width, image.height)).tobytes()
    if header.interlaced or not last.strip(bytes([unset])):
        file.seek(0)
        png.require_rows(header, file.read())
    return image


def _refuse_pictures(image: Image.Image) -> None:
    if image.format in _LOSSY:
        raise ValueError(
            f"it is a {image.format} file, whose compression changes class indices: save label maps as palette PNGs"
        )
    if len(image.getbands()) == 1:
        return
    values = _rgb(image)
    if (values == values[..., :1]).all():
        advice = "its three channels are equal: keep one of them"
        recipe = "read_image(path)[..., 0]"
    else:
        advice = "if it is painted in VOC colours, convert it once"
        recipe = "label_from_colours(read_image(path))"
    raise ValueError(
        f"it is a colour image (mode {image.mode}), but a label map holds one class index per pixel: {advice}, with "
        f"wsssbench.files.images: write_label(path, {recipe})"
    )


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write `image` (H, W, 3) uint8 RGB as a PNG.

    Raises:
        UserError: the disk is full.
    """
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    write_atomically(Path(path), buffer.getvalue())


def write_label(path: str | Path, label: np.ndarray, coloured: bool = True) -> None:
    """Write `label` (H, W) uint8 as a palette PNG in VOC colours; equal labels give equal bytes.

    Args:
        coloured: False writes the indices as grey values instead.

    Raises:
        ValueError: not (H, W) uint8.
        UserError: the disk is full.
    """
    if label.ndim != 2 or label.dtype != np.uint8:
        raise ValueError(f"a label map is (H, W) uint8, not {label.shape} {label.dtype}")
    image = Image.fromarray(np.ascontiguousarray(label))
    if coloured:
        image.putpalette(voc_palette().tobytes())  # turns grey into indices, values unchanged
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    write_atomically(Path(path), buffer.getvalue())


@lru_cache(maxsize=1)
def voc_palette() -> np.ndarray:
    """VOC's colours of the label values, (256, 3) uint8 (read-only).

    Bit 3j + c of the value is bit 7 - j of channel c, so that neighbouring values get distant
    colours.
    """
    values = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for channel in range(3):
        for j in range(3):
            bit = (values >> (3 * j + channel)) & 1
            palette[:, channel] |= (bit << (7 - j)).astype(np.uint8)
    palette.flags.writeable = False
    return palette


def label_from_colours(image: np.ndarray) -> np.ndarray:
    """Turn a mask painted in VOC colours, (H, W, 3) uint8, back into its label map (H, W) uint8.

    Raises:
        UserError: a colour that is not in the VOC palette (a resized or JPEG-compressed mask).
    """
    weights = np.array([1 << 16, 1 << 8, 1])
    codes = image[..., :3].astype(np.int64) @ weights
    palette = voc_palette().astype(np.int64) @ weights
    order = np.argsort(palette)
    at = np.minimum(np.searchsorted(palette[order], codes), 255)
    label = order[at].astype(np.uint8)
    wrong = palette[label] != codes
    if wrong.any():
        colour = tuple(int(v) for v in image[wrong][0][:3])
        raise UserError(
            f"{int(wrong.sum())} pixels are not in VOC colours, e.g. {colour}: was the mask "
            "resized, saved as JPEG, or painted in another palette?"
        )
    return label
