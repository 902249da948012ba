"""Reading photos and label maps, writing label maps as palette PNGs."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from wsssbench.errors import UserError
from wsssbench.files.atomic import write_atomically

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_LOSSY = ("JPEG", "MPO", "WEBP")
_ORIENTATION = 0x0112  # EXIF's tag
# What Pillow raises for damaged files; a LeakError of the guard is none of these and passes.
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)


def read_image(path: str | Path) -> np.ndarray:
    """The image as (H, W, 3) uint8 RGB, whatever its mode; EXIF is ignored, as masks have none.

    Raises:
        UserError: no such file, or not a readable image.
    """
    try:
        with Image.open(path) as image:
            return _rgb(image)
    except _UNREADABLE as error:
        raise _unreadable("image", path, error) from error


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16"):  # convert() would clip 16 bits to white
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.array(image.convert("RGB"))


@dataclass(frozen=True)
class ImageFacts:
    """A readable image file: its (H, W), Pillow's mode, EXIF orientation (1: upright), and digest of its bytes."""

    size: tuple[int, int]
    mode: str
    orientation: int
    digest: bytes


def inspect_image(path: str | Path) -> ImageFacts:
    """Read and decode all of an image, as `read_image` does, for what it says about itself.

    Raises:
        UserError: what `read_image` raises.
    """
    try:
        data = Path(path).read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            size, mode = (image.height, image.width), image.mode
            if mode in ("RGB", "L"):
                image.load()
            else:
                _rgb(image)
            digest = hashlib.blake2b(data, digest_size=16).digest()
            return ImageFacts(size, mode, _orientation(image), digest)
    except _UNREADABLE as error:
        raise _unreadable("image", path, error) from error


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF, which nothing else here looks at
        return 1


def image_size(path: str | Path) -> tuple[int, int]:
    """The (H, W) of an image or label map, from its header: nothing is decoded.

    Raises:
        UserError: no such file, or no image header.
    """
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except _UNREADABLE as error:
        raise _unreadable("image", path, error) from error


def read_label(path: str | Path) -> np.ndarray:
    """The label map (H, W) uint8 in a palette PNG (its indices) or an 8-bit grey PNG (its values).

    Raises:
        UserError: unreadable; or a file that cannot hold indices: RGB, lossy, more than 8 bits in
        use.
    """
    try:
        with Image.open(path) as image:
            _refuse_pictures(image, path)
            values = np.array(image)
    except _UNREADABLE as error:
        raise _unreadable("label map", path, error) from error
    if values.dtype.kind == "f" or int(values.min()) < 0 or int(values.max()) > 255:
        raise UserError(
            f"label map {path} has values outside 0..255: a label map holds class indices"
        )
    return values.astype(np.uint8)


def label_size(path: str | Path) -> tuple[int, int]:
    """The (H, W) of a label map, from its header: nothing is decoded.

    Raises:
        UserError: no such file, no image header, or one of a file that cannot hold indices.
    """
    try:
        with Image.open(path) as image:
            _refuse_pictures(image, path)
            return image.height, image.width
    except _UNREADABLE as error:
        raise _unreadable("label map", path, error) from error


def _refuse_pictures(image: Image.Image, path: str | Path) -> None:
    if image.format in _LOSSY:
        raise UserError(
            f"label map {path} is a {image.format} file, whose compression changes class "
            "indices: save label maps as palette PNGs"
        )
    if len(image.getbands()) != 1:
        raise _colours(path, image.mode)


def write_label(path: str | Path, label: np.ndarray) -> None:
    """Write `label` (H, W) uint8 as a palette PNG in VOC colours; equal labels give equal bytes.

    Raises:
        ValueError: not (H, W) uint8.
        UserError: the disk is full.
    """
    if label.ndim != 2 or label.dtype != np.uint8:
        raise ValueError(f"a label map is (H, W) uint8, not {label.shape} {label.dtype}")
    image = Image.fromarray(np.ascontiguousarray(label))
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


def _colours(path: str | Path, mode: str) -> UserError:
    return UserError(
        f"label map {path} is a colour image (mode {mode}), but a label map holds one class index "
        "per pixel: if it is painted in VOC colours, convert it once with wsssbench.files.images: "
        "write_label(path, label_from_colours(read_image(path)))"
    )


def _unreadable(kind: str, path: str | Path, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"{kind} {path} does not exist")
    if isinstance(error, Image.UnidentifiedImageError):
        return UserError(f"{kind} {path} cannot be read: it is not an image, or damaged")
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UserError(f"{kind} {path} cannot be read: {reason}")
