"""How large a file's content may be. Readers look at the size that a file claims before they take memory for it.

A few hundred bytes can claim millions of rows. The one limit is a number of pixels, 100 million, and the environment
variable WSSSBENCH_MAX_PIXELS changes it.
"""

from __future__ import annotations

import os

from wsssbench.errors import UserError

MAX_PIXELS = "WSSSBENCH_MAX_PIXELS"  # the environment variable
_MAX_PIXELS = 100_000_000  # e.g. 10,000 x 10,000
_BYTES_PER_PIXEL = (
    16  # of the arrays in an archive: 16 maps of the image's size in 8 bits, or 4 in 32
)


def max_pixels() -> int:
    """Return how many pixels an image may have.

    Raises:
        UserError: the environment variable is no positive number.
    """
    given = os.environ.get(MAX_PIXELS)
    if given is None:
        return _MAX_PIXELS
    if not (given.isascii() and given.isdigit() and len(given) < 19 and int(given)):
        raise UserError(f"{MAX_PIXELS}={given}: has to be a whole number of pixels, at least 1")
    return int(given)


def require_pixels(size: tuple[int, int]) -> None:
    """Look at the size (H, W) that a file claims, before memory is taken for it.

    Raises:
        ValueError: it has more pixels than `max_pixels`.
    """
    height, width = size
    limit = max_pixels()
    if height * width > limit:
        raise ValueError(
            f"it says {height} x {width} pixels, and more than {limit:,} are not read: set {MAX_PIXELS} to more if it "
            "is sound"
        )


def require_bytes(size: int) -> None:
    """Look at the number of bytes that the arrays of an archive claim to have, before memory is taken for them.

    Raises:
        ValueError: it is more than 16 times `max_pixels`.
    """
    limit = _BYTES_PER_PIXEL * max_pixels()
    if size > limit:
        raise ValueError(
            f"it says that it holds {size:,} bytes, and more than {limit:,} ({_BYTES_PER_PIXEL} per pixel) are not "
            f"read: set {MAX_PIXELS} to more if it is sound"
        )
