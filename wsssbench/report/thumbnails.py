"""Gallery pictures as ``data:`` addresses, small enough to send round in one file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from wsssbench.report.pictures import shrink
from wsssbench.report.results import GalleryRow

# (longer side in pixels, JPEG quality), tried from the first on until the gallery fits.
_SIZES = ((320, 85), (256, 85), (256, 75), (200, 75), (160, 70), (128, 60), (96, 50))
_SAMPLE = 8  # rows
_FLAT = 256  # colours; a picture with no more is stored without loss


@dataclass(frozen=True)
class Thumbnail:
    """A picture ready for an ``img``: its `title`, `address` (``data:...``), and size in pixels."""

    title: str
    address: str
    width: int
    height: int


def encode(picture: np.ndarray, side: int = 320, quality: int = 85) -> tuple[str, int, int]:
    """`picture` (H, W, 3) uint8 as a ``data:`` address, and its width and height.

    Shrunk to `side` pixels. PNG if it has few colours (a bare label map), otherwise JPEG.
    """
    picture = np.ascontiguousarray(picture, dtype=np.uint8)
    stream = io.BytesIO()
    if _is_flat(picture):
        step = -(-max(picture.shape[:2]) // side)  # every step-th pixel: no new colours
        small = Image.fromarray(np.ascontiguousarray(picture[::step, ::step]))
        small.save(stream, "PNG", optimize=True)
        kind = "png"
    else:
        small = Image.fromarray(shrink(picture, side))
        small.save(stream, "JPEG", quality=quality, optimize=True)
        kind = "jpeg"
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/{kind};base64,{text}", small.width, small.height


def fit(rows: Sequence[GalleryRow], budget: int) -> list[list[Thumbnail]]:
    """Every panel of `rows` as a thumbnail: the largest size at which all take `budget` bytes.

    If not even the smallest size fits, the rows at the end are dropped.
    """
    sample = rows[:: max(1, len(rows) // _SAMPLE)]
    share = 1.2 * budget * len(sample) / max(1, len(rows))
    for side, quality in _SIZES[:-1]:
        # A few rows tell sizes that are far too large from those worth trying on all.
        if len(_all(sample, side, quality, share)) < len(sample):
            continue
        made = _all(rows, side, quality, budget)
        if len(made) == len(rows):
            return made
    return _all(rows, *_SIZES[-1], budget)


def _all(
    rows: Sequence[GalleryRow], side: int, quality: int, budget: float
) -> list[list[Thumbnail]]:
    """Thumbnails of as many `rows` as take `budget` bytes together."""
    made: list[list[Thumbnail]] = []
    for row in rows:
        panels = [
            Thumbnail(title, *encode(picture, side, quality)) for title, picture in row.panels
        ]
        budget -= sum(len(panel.address) for panel in panels)
        if budget < 0:
            break
        made.append(panels)
    return made


def _is_flat(picture: np.ndarray) -> bool:
    codes = picture.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    # A photo shows itself in a part of its pixels, which is quicker than all of them.
    return all(np.unique(part).size <= _FLAT for part in (codes[::8, ::8], codes))
