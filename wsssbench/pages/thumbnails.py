"""Gallery pictures as ``data:`` addresses, small enough to send round in one file.

A photo is stored once. What is shown over it, a CAM's heat or a label map, is a picture of its own of few colours,
which takes a fraction of the bytes of the two together.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from wsssbench.pages.pictures import (
    Overlay,
    heat_overlay,
    label_overlay,
    shrink,
    shrink_heat,
    shrink_label,
)
from wsssbench.progress import Progress, Silent, Task
from wsssbench.results.run import GalleryRow

# (longer side in pixels, JPEG quality of the photo), tried from the first on until the gallery fits.
_SIZES = ((448, 82), (384, 80), (320, 80), (256, 76), (200, 74), (160, 68), (128, 60), (96, 50))
_HEAT = 4  # a heat map is that much smaller than its photo; the browser smooths it
_SAMPLE = 8  # rows


@dataclass(frozen=True)
class Picture:
    """A layer's `title` and the `address` (``data:...``) of its overlay."""

    title: str
    address: str


@dataclass(frozen=True)
class Thumbnail:
    """An image ready for the page: the address of its photo, its size in pixels, and the overlays."""

    id: str
    photo: str
    width: int
    height: int
    layers: tuple[Picture, ...]

    @property
    def bytes(self) -> int:
        return len(self.photo) + sum(len(layer.address) for layer in self.layers)


def encode_photo(photo: np.ndarray, side: int, quality: int) -> tuple[str, int, int]:
    """`photo` (H, W, 3) uint8 as the address of a JPEG of at most `side` pixels, and its width and height."""
    small = Image.fromarray(shrink(np.ascontiguousarray(photo, np.uint8), side))
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=quality, optimize=True)
    return _address("jpeg", stream), small.width, small.height


def encode_overlay(overlay: Overlay) -> str:
    """`overlay` as the address of a palette PNG with opacities."""
    image = Image.fromarray(np.ascontiguousarray(overlay.indices))
    image.putpalette(overlay.colours[:, :3].tobytes())
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True, transparency=overlay.colours[:, 3].tobytes())
    return _address("png", stream)


def encode_layer(plane: np.ndarray, side: int, palette: np.ndarray) -> str:
    """A layer's heat (h, w) float or label map (h, w) uint8 as the address of its overlay."""
    if plane.dtype == np.uint8:
        return encode_overlay(label_overlay(shrink_label(plane, side), palette))
    return encode_overlay(heat_overlay(shrink_heat(plane, max(24, side // _HEAT))))


def fit(
    rows: Sequence[GalleryRow],
    budget: int,
    palette: np.ndarray,
    progress: Progress | None = None,
) -> list[Thumbnail]:
    """Every image of `rows` at the largest size at which all take `budget` bytes.

    If not even the smallest size fits, the rows at the end are dropped.

    Args:
        palette: (256, 3) uint8 colour per label value.
    """
    if not rows:
        return []
    sample = rows[:: max(1, len(rows) // _SAMPLE)]
    share = 1.2 * budget * len(sample) / len(rows)
    with (progress or Silent()).track("thumbnails", total=len(rows)) as task:
        counted = _Counted(task)
        for side, quality in _SIZES[:-1]:
            # A few rows tell sizes that are far too large from those worth trying on all.
            if len(_all(sample, side, quality, share, palette)) < len(sample):
                continue
            made = _all(rows, side, quality, budget, palette, counted)
            if len(made) == len(rows):
                return made
        return _all(rows, *_SIZES[-1], budget, palette, counted)


class _Counted:
    """Tells `task` of rows that were not reached at an earlier size."""

    def __init__(self, task: Task) -> None:
        self.task, self.most = task, 0

    def reached(self, count: int) -> None:
        self.task.advance(max(0, count - self.most))
        self.most = max(self.most, count)


def _all(
    rows: Sequence[GalleryRow],
    side: int,
    quality: int,
    budget: float,
    palette: np.ndarray,
    counted: _Counted | None = None,
) -> list[Thumbnail]:
    """Thumbnails of as many `rows` as take `budget` bytes together."""
    made: list[Thumbnail] = []
    for row in rows:
        layers = (Picture(x.title, encode_layer(x.plane, side, palette)) for x in row.layers)
        made.append(
            Thumbnail(row.id, *encode_photo(row.photo, side, quality), layers=tuple(layers))
        )
        budget -= made[-1].bytes
        if budget < 0:
            made.pop()
            break
        if counted is not None:
            counted.reached(len(made))
    return made


def _address(kind: str, stream: io.BytesIO) -> str:
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/{kind};base64,{text}"
