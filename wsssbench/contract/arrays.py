"""What CAMs and scores of one image have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from wsssbench.contract.checks import need


def need_planes(
    classes: Any,
    planes: Any,
    size: Any,
    *,
    extra: int,
    image: tuple[int, int],
    present: tuple[int, ...],
) -> None:
    """`planes` (extra + K', h, w) float32, finite and not negative, of the `present` classes of an `image` (H, W)."""
    given = f"of an image {image} with the classes {list(present)}"
    need(
        isinstance(classes, np.ndarray) and classes.dtype == np.uint8 and classes.ndim == 1,
        f"{given} `classes` is {_described(classes)}",
        "a vector (K',) of uint8 is needed",
    )
    need(
        classes.tolist() == list(present),
        f"{given} `classes` holds {classes.tolist()}",
        "it has to hold the label-map values 1..K of the present classes, ascending",
    )
    name = "planes" if extra else "maps"
    need(
        isinstance(planes, np.ndarray) and planes.dtype == np.float32 and planes.ndim == 3,
        f"{given} `{name}` is {_described(planes)}",
        f"float32 of shape {_shape(extra, present)} is needed",
    )
    need(
        len(planes) == extra + len(present),
        f"{given} `{name}` has shape {planes.shape}",
        f"{_shape(extra, present)} is needed",
    )
    height, width = image
    need(
        tuple(size) == (height, width),
        f"{given} `size` is {size}",
        "it has to be the image's (H, W)",
    )
    need(
        1 <= planes.shape[1] <= height and 1 <= planes.shape[2] <= width,
        f"{given} `{name}` has shape {planes.shape}",
        "it may be smaller than the image, but neither larger nor empty",
    )
    need(
        bool(np.isfinite(planes).all()),
        f"{given} `{name}` has NaN or infinite values",
        "it has to be finite",
    )
    need(
        not planes.size or bool(planes.min() >= 0),
        f"{given} `{name}` goes down to {planes.min() if planes.size else 0:.4g}",
        "it must not be negative",
    )


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return f"a {type(value).__name__}"


def _shape(extra: int, present: tuple[int, ...]) -> str:
    return f"({'1 + ' if extra else ''}K', h, w), here {extra + len(present)} planes,"
