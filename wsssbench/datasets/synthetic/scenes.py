"""Synthetic scenes for WSSS: a random generator in, image and label map out.

A scene is painted from back to front: two-part background, clutter, the grounds that belong to classes, bodies with
their badge, occluders, light and camera. The layout, the grounds and the paint have random streams of their own, so
changing e.g. ``context_probability`` leaves objects and masks where they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from wsssbench.datasets.synthetic.outlines import BODIES, Patch, outline, place
from wsssbench.datasets.synthetic.scene_layout import (
    Layout,
    SceneParameters,
    Thing,
    arrange,
    body_style,
)
from wsssbench.datasets.synthetic.textures import (
    BADGES,
    GOLDEN,
    GROUNDS,
    MATERIALS,
    blend,
    colour,
    fractal_noise,
)

CLASS_NAMES = tuple(BADGES)


@dataclass(frozen=True)
class Scene:
    """A painted scene of H x W pixels.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        mask: label map, (H, W) uint8; class index + 1, 0 for background, 255 near a boundary.
        labels: indices of the classes present, ascending.
        things: the objects from back to front.
        grounds: indices of the classes whose ground is painted, with or without the class, ascending.
        ground: pixels of any class's ground, (H, W) bool, whether objects hide them or not.
        clutter: pixels of clutter, (H, W) bool, whether hidden or not.
    """

    image: np.ndarray
    mask: np.ndarray
    labels: tuple[int, ...]
    things: tuple[Thing, ...]
    grounds: tuple[int, ...]
    ground: np.ndarray
    clutter: np.ndarray


def draw_scene(rng: np.random.Generator, parameters: SceneParameters, first: int) -> Scene:
    """A scene with an object of class `first` (index from 0) and random others; a pure function of its arguments."""
    layout_rng, ground_rng, paint_rng = rng.spawn(3)
    layout = arrange(layout_rng, parameters, first)
    size = parameters.image_size
    canvas = _paint_background(paint_rng, size)
    clutter = _paint_clutter(paint_rng, canvas, parameters.clutter)
    grounds, ground = _paint_grounds(ground_rng, canvas, parameters, layout)
    light = paint_rng.uniform(0, 2 * np.pi)
    for thing in layout.things:
        _paint_thing(paint_rng, canvas, thing, parameters, light)
    for patch in layout.occluders:
        _paint_shadow(canvas, patch, light)
        _paint_material(paint_rng, canvas, patch, "grain", _earthy(paint_rng))
    labels = tuple(sorted({thing.category for thing in layout.things}))
    image = _photograph(paint_rng, canvas, light)
    return Scene(image, layout.mask, labels, layout.things, grounds, ground, clutter)


def _paint(canvas: np.ndarray, patch: Patch, colours: np.ndarray) -> None:
    """Put `colours` (h, w, 3) where `patch` covers the `canvas` (H, W, 3)."""
    view = canvas[patch.window]
    view += patch.alpha[..., None] * (colours - view)


def _paint_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Two textured halves with an uneven, tilted border between them, (size, size, 3) in [0, 1]."""
    y, x = _coordinates((slice(0, size), slice(0, size)), size)
    cloud = fractal_noise(rng, (size, size), 1.6)
    far, near = (
        _natural(rng, fractal_noise(rng, (size, size), rng.uniform(0.8, 1.8), stretch))
        for stretch in ((2.0, 0.7), (1.0, 1.0))
    )
    border = rng.uniform(0.1, 0.9) + rng.normal(0, 0.25) * (x - 0.5) + 0.5 * (cloud - 0.5)
    canvas = far + np.clip(0.5 + (y - border) * rng.uniform(5, 40), 0, 1)[..., None] * (near - far)
    return canvas * (0.8 + 0.4 * cloud)[..., None]


def _natural(rng: np.random.Generator, factor: np.ndarray) -> np.ndarray:
    """Muted earth, leaf or sky colours for `factor` (h, w): two near hues, one lighter."""
    hue = (0.06, 0.11, 0.2, 0.3, 0.38, 0.55, 0.6, 0.66)[rng.integers(8)]
    dark = colour(rng, hue, (0.1, 0.5), (0.15, 0.6), 0.04)
    bright = colour(rng, hue, (0.05, 0.45), (0.5, 0.95), 0.04)
    return blend(factor, dark, bright)


def _paint_clutter(rng: np.random.Generator, canvas: np.ndarray, share: float) -> np.ndarray:
    """Cover about `share` of the canvas with small shapes of every material; returns where, (H, W) bool."""
    size = len(canvas)
    covered = np.zeros((size, size), dtype=bool)
    while covered.mean() < share:
        patch = place(
            outline(rng, str(rng.choice(BODIES))),
            size,
            _spot(rng, size),
            (rng.uniform(0.06, 0.22) * size) ** 2,
            rng.uniform(0, 2 * np.pi),
        )
        hue = rng.uniform()
        pair = (
            colour(rng, hue, (0.1, 0.6), (0.2, 0.6)),
            colour(rng, hue, (0.1, 0.5), (0.5, 0.9), 0.1),
        )
        _paint_material(rng, canvas, patch, str(rng.choice(list(MATERIALS))), pair)
        covered |= patch.inside(size)
    return covered


def _paint_grounds(
    rng: np.random.Generator, canvas: np.ndarray, parameters: SceneParameters, layout: Layout
) -> tuple[tuple[int, ...], np.ndarray]:
    """Paint the class-correlated context: around objects of the class, and now and then without any."""
    size = len(canvas)
    shown: set[int] = set()
    covered = np.zeros((size, size), dtype=bool)
    present = {thing.category for thing in layout.things}
    spots = [
        (thing.category, thing.centre, thing.span, parameters.context_probability)
        for thing in layout.things
    ]
    for category in sorted(set(range(parameters.num_classes)) - present):
        span = rng.uniform(*parameters.object_size) * size
        spots.append((category, _spot(rng, size), span, parameters.context_leak))
    rng.shuffle(spots)
    for category, (x, y), span, probability in spots:
        paint_rng = rng.spawn(1)[0]
        if paint_rng.uniform() >= probability:
            continue
        below = (x + 0.15 * span * paint_rng.normal(), y + 0.25 * span)
        area = paint_rng.uniform(*parameters.context_size) * span**2
        patch = place(outline(paint_rng, "blob"), size, below, area, 0.0, edge=0.06 * size)
        _paint_ground(paint_rng, canvas, patch, category)
        shown.add(category)
        covered |= patch.inside(size)
    return tuple(sorted(shown)), covered


def _paint_ground(
    rng: np.random.Generator, canvas: np.ndarray, patch: Patch, category: int
) -> None:
    y, x = _coordinates(patch.window, rng.uniform(0.065, 0.1) * len(canvas))
    tilt = rng.uniform(-0.35, 0.35)
    x, y = x * math.cos(tilt) + y * math.sin(tilt), y * math.cos(tilt) - x * math.sin(tilt)
    surface = GROUNDS[list(GROUNDS)[category % len(GROUNDS)]]
    noise = fractal_noise(rng, patch.alpha.shape, 1.3)
    factor = surface(x, y, noise)
    ragged = patch.alpha + 4 * patch.alpha * (1 - patch.alpha) * (noise - 0.5)
    patch = replace(patch, alpha=np.clip(ragged, 0, 1))
    hue = category * GOLDEN + 0.42  # far from the bodies' hues, for the default classes
    dark = colour(rng, hue, (0.2, 0.55), (0.2, 0.45), 0.05)
    bright = colour(rng, hue, (0.1, 0.45), (0.6, 0.9), 0.05)
    _paint(canvas, patch, blend(factor, dark, bright))


def _paint_thing(
    rng: np.random.Generator,
    canvas: np.ndarray,
    thing: Thing,
    parameters: SceneParameters,
    light: float,
) -> None:
    """A body as all classes of its group have it, and on it the badge of its class."""
    group, _, material = body_style(thing.category, parameters.classes_per_body)
    _paint_shadow(canvas, thing.patch, light)
    pair = _contrasting(rng, group * GOLDEN + 0.05, canvas[thing.body].mean(axis=0))
    before = canvas[thing.patch.window].copy()
    _paint_material(rng, canvas, thing.patch, material, pair)
    hue = thing.category * GOLDEN + 0.6
    ink = colour(rng, hue, (0.75, 1.0), (0.4, 0.85), 0.05)
    paper = colour(rng, hue + 0.5, (0.0, 0.2), (0.85, 1.0), 0.1)
    pattern = BADGES[CLASS_NAMES[thing.category]](thing.badge.u, thing.badge.v)
    faint = replace(thing.badge, alpha=thing.badge.alpha * parameters.part_contrast)
    _paint(canvas, faint, blend(np.clip(pattern, 0, 1), paper, ink))
    _shade(canvas, before, thing.patch, light)


def _contrasting(
    rng: np.random.Generator, hue: float, behind: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Two body colours near `hue` that differ from what is `behind` (3,): an edge that a CRF can find."""
    best, most = None, -1.0
    for _ in range(6):
        pair = (
            colour(rng, hue, (0.25, 0.75), (0.2, 0.55), 0.09),
            colour(rng, hue, (0.15, 0.65), (0.55, 0.95), 0.09),
        )
        distance = float(np.abs((pair[0] + pair[1]) / 2 - behind).sum())
        if distance > most:
            best, most = pair, distance
        if most > 0.45:
            break
    assert best is not None
    return best


def _paint_material(
    rng: np.random.Generator,
    canvas: np.ndarray,
    patch: Patch,
    material: str,
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    """Fill `patch` with a material whose structure follows the outline's own axes."""
    wavelength = rng.uniform(0.22, 0.38)  # of the outline's local unit
    noise = fractal_noise(rng, patch.alpha.shape, 1.1)
    factor = MATERIALS[material](patch.u / wavelength, patch.v / wavelength, noise)
    _paint(canvas, patch, blend(np.clip(factor, 0, 1), *pair))


def _earthy(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    hue = rng.uniform(0.05, 0.35)
    return colour(rng, hue, (0.2, 0.6), (0.1, 0.3)), colour(rng, hue, (0.2, 0.6), (0.35, 0.6), 0.03)


def _paint_shadow(canvas: np.ndarray, patch: Patch, light: float) -> None:
    """Darken what is behind `patch`, on the side away from the light."""
    margin = math.ceil(0.08 * len(canvas))
    window = tuple(slice(max(s.start - margin, 0), s.stop + margin) for s in patch.window)
    view = canvas[window]
    cover = np.zeros(view.shape[:2], dtype=np.float32)
    top, left = (
        inner.start - outer.start for inner, outer in zip(patch.window, window, strict=True)
    )
    height, width = patch.alpha.shape
    cover[top : top + height, left : left + width] = patch.alpha
    away = [round(-0.03 * len(canvas) * part) for part in (math.sin(light), math.cos(light))]
    cover = ndimage.shift(cover, away, order=0, mode="nearest")
    view *= 1 - 0.45 * ndimage.gaussian_filter(cover, 0.02 * len(canvas))[..., None]


def _shade(canvas: np.ndarray, before: np.ndarray, patch: Patch, light: float) -> None:
    """Roundness: darker towards the edge and away from the light. `before` is the window without the object."""
    y, x = _coordinates(patch.window, 1.0)
    side = x * math.cos(light) + y * math.sin(light)
    weight = patch.alpha.sum() + 1e-9
    side -= (side * patch.alpha).sum() / weight
    side /= np.sqrt((side**2 * patch.alpha).sum() / weight) + 1e-9
    rim = np.sqrt(np.clip(patch.depth / 0.35, 0, 1))
    shade = np.clip(1 + 0.13 * side, 0.5, 1.5) * (0.55 + 0.45 * rim)
    view = canvas[patch.window]
    view[...] = before + patch.alpha[..., None] * (view * shade[..., None] - before)


def _photograph(rng: np.random.Generator, canvas: np.ndarray, light: float) -> np.ndarray:
    """Light falling off, tone, colour cast, a soft lens and sensor noise: (H, W, 3) uint8."""
    size = len(canvas)
    y, x = _coordinates((slice(0, size), slice(0, size)), size)
    side = (x - 0.5) * math.cos(light) + (y - 0.5) * math.sin(light)
    cast = rng.uniform(0.93, 1.07, 3).astype(np.float32)
    image = np.clip(canvas * (1 + rng.uniform(0.1, 0.5) * side)[..., None] * cast, 0, 1)
    image **= rng.uniform(0.75, 1.25)
    blur = rng.uniform(0.3, 0.6) * max(size / 128, 1)
    image = ndimage.gaussian_filter(image, (blur, blur, 0))
    image += rng.uniform(0.01, 0.025) * rng.standard_normal(image.shape, dtype=np.float32)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _coordinates(window: tuple[slice, slice], unit: float) -> tuple[np.ndarray, np.ndarray]:
    """The pixels' y and x in the image, in units of `unit` pixels, both (h, w) float32."""
    y, x = (np.arange(s.start, s.stop, dtype=np.float32) / unit for s in window)
    shape = (len(y), len(x))
    return np.broadcast_to(y[:, None], shape), np.broadcast_to(x[None, :], shape)


def _spot(rng: np.random.Generator, size: int) -> tuple[float, float]:
    x, y = rng.uniform(0, size, 2).tolist()
    return x, y
