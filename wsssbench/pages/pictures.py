"""Overlays of a photo: a CAM's heat or a label map, in few colours with opacity. Pure functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from wsssbench.ops import IGNORE

# Heat to colour, one polynomial in the heat per channel, constant term first: our least-squares fit
# to the map "plasma" (Smith & van der Walt, CC0), whose lightness grows evenly. Error < 0.02.
_HEAT = np.array(
    [
        [0.068, 1.981, -1.019, -0.475, 1.279, -0.897],
        [0.048, -0.777, 2.874, 0.766, -4.588, 2.665],
        [0.516, 1.554, -5.098, 4.492, -1.882, 0.560],
    ]
)
HEAT_LEVELS = 48  # steps that no eye tells apart once the photo shows through
_WHITE = (255, 255, 255)
_HEAT_OPACITY = 255 * 0.75  # of heat 1
_CLASS_OPACITY = round(255 * 0.6)


@dataclass(frozen=True, eq=False)
class Overlay:
    """A picture of few colours.

    Attributes:
        indices: (h, w) uint8.
        colours: of the indices, (n, 4) uint8: red, green, blue, opacity (not premultiplied).
    """

    indices: np.ndarray
    colours: np.ndarray


def heat_colours(heat: np.ndarray) -> np.ndarray:
    """Colours of `heat` (...) in [0, 1]: (..., 3) uint8, deep blue over magenta to yellow."""
    powers = np.clip(heat, 0.0, 1.0)[..., None] ** np.arange(_HEAT.shape[1])
    return np.clip(np.rint(255 * (powers @ _HEAT.T)), 0, 255).astype(np.uint8)


def heat_overlay(heat: np.ndarray) -> Overlay:
    """A CAM over its photo: clear where nothing is active, the more colour the more active.

    Args:
        heat: (h, w) float in [0, 1], e.g. the maximum over the present classes; clipped.
    """
    # The square root lets weak activations show; a linear ramp hides all below 0.3. Levels that are even in it have
    # no visible steps.
    roots = np.linspace(0.0, 1.0, HEAT_LEVELS)
    opacity = np.rint(_HEAT_OPACITY * roots).astype(np.uint8)
    indices = np.rint(np.sqrt(np.clip(heat, 0.0, 1.0)) * (HEAT_LEVELS - 1)).astype(np.uint8)
    return Overlay(indices, np.column_stack([heat_colours(roots**2), opacity]))


def label_overlay(label: np.ndarray, palette: np.ndarray) -> Overlay:
    """A label map over its photo: class colours, white lines between classes, 255 hatched.

    Args:
        label: (h, w) uint8; 0 = background (clear), 255 = ignored.
        palette: (256, 3) uint8 colour per label value.
    """
    values, indices = np.unique(label, return_inverse=True)
    indices = indices.reshape(label.shape).astype(np.uint8)
    colours = [(*palette[value], _CLASS_OPACITY if value else 0) for value in values]
    ignored = label == IGNORE
    if ignored.any():
        colours[-1] = (*_WHITE, round(255 * 0.45))
        y, x = np.indices(label.shape)
        period = max(4, max(label.shape) // 50)  # so that the stripes survive a thumbnail
        indices[ignored & ((x + y) % period < period // 2)] = len(colours)
        colours.append((*_WHITE, round(255 * 0.85)))
    edge = contours(label)
    if edge.any():
        indices[edge] = len(colours)
        colours.append((*_WHITE, 255))
    return Overlay(indices, np.array(colours, np.uint8))


def contours(label: np.ndarray) -> np.ndarray:
    """The pixels where `label` (H, W) changes to the right or below: (H, W) bool, one pixel wide.

    The border of an ignored region is not a contour: the hatching shows it.
    """
    edge = np.zeros(label.shape, bool)
    for here, there, mine in (
        (label[:, :-1], label[:, 1:], edge[:, :-1]),
        (label[:-1], label[1:], edge[:-1]),
    ):
        mine |= (here != there) & (here != IGNORE) & (there != IGNORE)
    return edge


def over(photo: np.ndarray, overlay: Overlay) -> np.ndarray:
    """`photo` (H, W, 3) uint8 with an `overlay` of its size over it, (H, W, 3) uint8."""
    colour = overlay.colours[overlay.indices].astype(np.float32)  # (H, W, 4)
    share = colour[..., 3:] / 255
    return np.rint(photo * (1 - share) + colour[..., :3] * share).astype(np.uint8)


def shrink(picture: np.ndarray, side: int) -> np.ndarray:
    """`picture` (H, W, 3) uint8 with its longer side at most `side` pixels; never enlarged."""
    return _resized(picture, side, Image.Resampling.LANCZOS)


def shrink_heat(heat: np.ndarray, side: int) -> np.ndarray:
    """`heat` (h, w) float with its longer side at most `side` pixels, float32; never enlarged."""
    return _resized(heat.astype(np.float32), side, Image.Resampling.BILINEAR)


def shrink_label(label: np.ndarray, side: int) -> np.ndarray:
    """`label` (H, W) uint8 with its longer side at most `side` pixels: the values at pixel centres."""
    return _resized(label, side, Image.Resampling.NEAREST)


def _resized(picture: np.ndarray, side: int, resample: Image.Resampling) -> np.ndarray:
    high, wide = picture.shape[:2]
    factor = min(1.0, side / max(high, wide))
    size = (max(1, round(wide * factor)), max(1, round(high * factor)))
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(size, resample))
