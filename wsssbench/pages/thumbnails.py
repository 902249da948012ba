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

from wsssbench.pages import pictures
from wsssbench.progress import Progress, Silent
from wsssbench.results.run import GalleryRow

# (longer side in pixels, JPEG quality of the photo), tried from the first on until the gallery fits.
_SIZES = ((448, 82), (384, 80), (320, 80), (256, 76), (200, 74), (160, 68), (128, 60), (96, 50))
_HEAT = 4  # a heat map is that much smaller than its photo; the browser smooths it
_SAMPLE = 8  # rows


@dataclass(frozen=True)
class Thumbnail:
    """An image ready for the page: the addresses of its photo and of its overlays by title, the size in pixels."""

    id: str
    photo: str
    width: int
    height: int
    layers: dict[str, str]

    @property
    def bytes(self) -> int:
        return len(self.photo) + sum(map(len, self.layers.values()))

    @property
    def style(self) -> str:
        """Its photo and its proportions, for the style sheet."""
        return f"--photo:url({self.photo});--ratio:{self.width / self.height:.4f}"


def encode_photo(photo: np.ndarray, side: int, quality: int) -> tuple[str, int, int]:
    """`photo` (H, W, 3) uint8 as the address of a JPEG of at most `side` pixels, and its width and height."""
    small = Image.fromarray(pictures.shrink(np.ascontiguousarray(photo, np.uint8), side))
    return _address(small, "JPEG", quality=quality), small.width, small.height


def encode_overlay(overlay: pictures.Overlay) -> str:
    """`overlay` as the address of a palette PNG with opacities."""
    image = Image.fromarray(np.ascontiguousarray(overlay.indices))
    image.putpalette(overlay.colours[:, :3].tobytes())
    return _address(image, "PNG", transparency=overlay.colours[:, 3].tobytes())


def encode_layer(plane: np.ndarray, side: int, palette: np.ndarray) -> str:
    """A layer's heat (h, w) float or label map (h, w) uint8 as the address of its overlay."""
    if plane.dtype == np.uint8:
        return encode_overlay(pictures.label_overlay(pictures.shrink_label(plane, side), palette))
    return encode_overlay(
        pictures.heat_overlay(pictures.shrink_heat(plane, max(24, side // _HEAT)))
    )


def fit(
    rows: Sequence[GalleryRow],
    budget: int,
    palette: np.ndarray,
    progress: Progress | None = None,
) -> list[Thumbnail]:
    """Every image of `rows` at the largest size at which all take `budget` bytes.

    If not even the smallest size fits, the rows at the end are dropped.

    Args:
        rows: the images.
        budget: bytes.
        palette: (256, 3) uint8 colour per label value.
        progress: is told of every image.
    """
    made: list[Thumbnail] = []
    if not rows:
        return made
    sample = rows[:: max(1, len(rows) // _SAMPLE)]
    share = 1.2 * budget * len(sample) / len(rows)
    for size in _SIZES:
        # A few rows tell sizes that are far too large from those worth trying on all.
        smallest = size == _SIZES[-1]
        if not smallest and len(_encoded(sample, size, share, palette, Silent())) < len(sample):
            continue
        made = _encoded(rows, size, budget, palette, progress or Silent())
        if len(made) == len(rows):
            break
    return made


def _encoded(
    rows: Sequence[GalleryRow],
    size: tuple[int, int],
    budget: float,
    palette: np.ndarray,
    progress: Progress,
) -> list[Thumbnail]:
    """Thumbnails of as many `rows` as take `budget` bytes together."""
    made: list[Thumbnail] = []
    with progress.track("thumbnails", total=len(rows)) as task:
        for row in rows:
            layers = {one.title: encode_layer(one.plane, size[0], palette) for one in row.layers}
            thumbnail = Thumbnail(row.id, *encode_photo(row.photo, *size), layers)
            budget -= thumbnail.bytes
            if budget < 0:
                break
            made.append(thumbnail)
            task.advance()
    return made


def _address(image: Image.Image, kind: str, **options: object) -> str:
    stream = io.BytesIO()
    image.save(stream, kind, optimize=True, **options)
    content = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{content}"
