"""Pictures of what a run made: heat and class colours over the photo. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

UNSURE = 255  # interfaces.IGNORE; not imported, so that a report can be made without torch

# Heat to colour, one polynomial in the heat per channel, constant term first: our least-squares fit
# to the map "plasma" (Smith & van der Walt, CC0), whose lightness grows evenly. Error < 0.02.
_HEAT = np.array(
    [
        [0.068, 1.981, -1.019, -0.475, 1.279, -0.897],
        [0.048, -0.777, 2.874, 0.766, -4.588, 2.665],
        [0.516, 1.554, -5.098, 4.492, -1.882, 0.560],
    ]
)
_LUMA = np.array([0.299, 0.587, 0.114])  # Rec. 601


def heat_colours(heat: np.ndarray) -> np.ndarray:
    """Colours of `heat` (...) in [0, 1]: (..., 3) uint8, deep blue over magenta to yellow."""
    powers = np.clip(heat, 0.0, 1.0)[..., None] ** np.arange(_HEAT.shape[1])
    return _to_uint8(255 * (powers @ _HEAT.T))


def overlay_cam(image: np.ndarray, heat: np.ndarray, *, strength: float = 0.75) -> np.ndarray:
    """A CAM over its photo: grey where nothing is active, the more colour the more active.

    Args:
        image: (H, W, 3) uint8 RGB.
        heat: (H, W) float in [0, 1], e.g. the maximum over the present classes.
        strength: opacity of the colour at heat 1.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: the shapes do not fit.
    """
    _check(image, heat)
    heat = np.clip(heat.astype(np.float64), 0.0, 1.0)
    # The square root lets weak activations show; a linear ramp hides all below 0.3.
    opacity = strength * np.sqrt(heat)[..., None]
    return _to_uint8((1 - opacity) * _greyed(image, 0.35) + opacity * heat_colours(heat))


def overlay_label(
    image: np.ndarray, label: np.ndarray, palette: np.ndarray, *, strength: float = 0.6
) -> np.ndarray:
    """A label map over its photo: class colours, white lines between classes, 255 hatched.

    Args:
        image: (H, W, 3) uint8 RGB.
        label: (H, W) uint8; 0 = background (the photo, greyed), 255 = unsure.
        palette: (256, 3) uint8 colour per label value.
        strength: opacity of the class colours.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: the shapes do not fit.
    """
    _check(image, label)
    if palette.shape != (256, 3):
        raise ValueError(f"a palette is (256, 3), not {palette.shape}")
    picture = _greyed(image, 0.35)
    classes = (label != 0) & (label != UNSURE)
    colours = palette[label[classes]].astype(np.float64)
    picture[classes] = (1 - strength) * image[classes] + strength * colours
    unsure = label == UNSURE
    y, x = np.indices(label.shape)
    period = max(4, max(label.shape) // 50)  # so that the stripes survive a thumbnail
    stripe = (x + y) % period < period // 2
    for where, white in ((unsure & stripe, 0.85), (unsure & ~stripe, 0.45)):
        picture[where] = (1 - white) * picture[where] + white * 255
    picture[contours(label)] = 255
    return _to_uint8(picture)


def contours(label: np.ndarray) -> np.ndarray:
    """Where `label` (H, W) changes to the right or below: (H, W) bool, one pixel wide.

    The border of an unsure region is not a contour: the hatching shows it.
    """
    edge = np.zeros(label.shape, bool)
    for here, there, mine in (
        (label[:, :-1], label[:, 1:], edge[:, :-1]),
        (label[:-1], label[1:], edge[:-1]),
    ):
        mine |= (here != there) & (here != UNSURE) & (there != UNSURE)
    return edge


def side_by_side(
    pictures: Sequence[np.ndarray], *, gap: int = 4, colour: tuple[int, int, int] = (255, 255, 255)
) -> np.ndarray:
    """`pictures`, each (H_i, W_i, 3) uint8, from left to right with `gap` pixels between: uint8.

    Lower ones are centred on the height of the highest; what is left over has `colour`.
    """
    if not pictures:
        raise ValueError("side_by_side needs at least one picture")
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] for picture in pictures) + gap * (len(pictures) - 1)
    sheet = np.empty((height, width, 3), np.uint8)
    sheet[:] = colour
    left = 0
    for picture in pictures:
        high, wide = picture.shape[:2]
        top = (height - high) // 2
        sheet[top : top + high, left : left + wide] = picture
        left += wide + gap
    return sheet


def shrink(picture: np.ndarray, side: int) -> np.ndarray:
    """`picture` (H, W, 3) uint8 with its longer side at most `side` pixels; never enlarged."""
    high, wide = picture.shape[:2]
    if max(high, wide) <= side:
        return picture
    factor = side / max(high, wide)
    size = (max(1, round(wide * factor)), max(1, round(high * factor)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _check(image: np.ndarray, plane: np.ndarray) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"an image is (H, W, 3) uint8, not {image.shape} {image.dtype}")
    if plane.shape != image.shape[:2]:
        raise ValueError(f"{plane.shape} does not lie over an image of {image.shape[:2]}")


def _greyed(image: np.ndarray, colour: float) -> np.ndarray:
    """`image` as float, with the share `colour` of its colour left so that overlays stand out."""
    grey = (image @ _LUMA)[..., None]
    return colour * image + (1 - colour) * grey


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
