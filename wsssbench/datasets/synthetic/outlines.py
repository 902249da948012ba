"""Outlines of the synthetic objects and how one is put into an image.

An outline is an implicit function of local coordinates u, v: negative inside, about the distance to the edge near it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Field = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Outlines lie within this square; area and reach are measured on its grid.
_AXIS = np.linspace(-2, 2, 65, dtype=np.float32)
_STEP = float(_AXIS[1] - _AXIS[0])
_U, _V = np.meshgrid(_AXIS, _AXIS)


@dataclass(frozen=True)
class Outline:
    """A shape of its own size: `field` as above, its `area` in squared local units and its `reach` from (0, 0)."""

    field: Field
    area: float
    reach: float


@dataclass(frozen=True)
class Patch:
    """An outline put into an image: the window it touches, and there local coordinates and coverage, all (h, w).

    Attributes:
        window: row and column slices of the image.
        u: local coordinate along the outline's own first axis.
        v: local coordinate along its second axis.
        depth: how far inside the outline a pixel is, in local units; 0 outside.
        alpha: coverage in [0, 1]; soft at the edge.
    """

    window: tuple[slice, slice]
    u: np.ndarray
    v: np.ndarray
    depth: np.ndarray
    alpha: np.ndarray

    def inside(self, size: int) -> np.ndarray:
        """The covered pixels of the whole image, (size, size) bool."""
        mask = np.zeros((size, size), dtype=bool)
        mask[self.window] = self.alpha > 0.5
        return mask


def outline(rng: np.random.Generator, family: str) -> Outline:
    """A random outline of `family`, one of `FAMILIES`."""
    field = FAMILIES[family](rng)
    inside = field(_U, _V) < 0
    reach = float(np.hypot(_U[inside], _V[inside]).max())
    return Outline(field, float(inside.sum()) * _STEP**2, reach + _STEP)


def place(
    shape: Outline,
    size: int,
    centre: tuple[float, float],
    area: float,
    angle: float,
    edge: float = 1.0,
) -> Patch:
    """Put `shape` into an image of `size` x `size` pixels.

    Args:
        shape: what to put.
        size: side of the image in pixels.
        centre: (x, y) in pixels; may lie outside of the image.
        area: of the shape in pixels, if nothing is cut off.
        angle: rotation in radians.
        edge: width of the soft edge in pixels.
    """
    scale = math.sqrt(area / shape.area)  # pixels per local unit
    reach = shape.reach * scale + edge
    columns, rows = (
        slice(int(np.clip(c - reach, 0, size - 1)), int(np.clip(c + reach + 1, 1, size)))
        for c in centre
    )
    x = (np.arange(columns.start, columns.stop, dtype=np.float32) - float(centre[0])) / scale
    y = ((np.arange(rows.start, rows.stop, dtype=np.float32) - float(centre[1])) / scale)[:, None]
    u = x * math.cos(angle) + y * math.sin(angle)
    v = y * math.cos(angle) - x * math.sin(angle)
    field = shape.field(u, v)
    alpha = np.clip(0.5 - field * scale / edge, 0, 1)
    return Patch((rows, columns), u, v, np.maximum(-field, 0), alpha)


def _radial(radius: Callable[[np.ndarray], np.ndarray]) -> Field:
    return lambda u, v: np.hypot(u, v) - radius(np.arctan2(v, u))


def _blob(rng: np.random.Generator) -> Field:
    waves = [(k, rng.uniform(0.04, 0.14), rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4)]

    def radius(angle: np.ndarray) -> np.ndarray:
        total = np.ones_like(angle)
        for count, strength, phase in waves:
            total += strength * np.cos(count * angle + phase)
        return total

    return _radial(radius)


def _box(rng: np.random.Generator) -> Field:
    a, b, power = rng.uniform(0.9, 1.15), rng.uniform(0.55, 0.8), rng.uniform(4, 8)
    lean = rng.uniform(-0.2, 0.2)

    def field(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        inner = (np.abs((u - lean * v) / a) ** power + np.abs(v / b) ** power) ** (1 / power)
        return (inner - 1) * b

    return field


def _star(rng: np.random.Generator) -> Field:
    points = int(rng.integers(4, 7))
    strength, phase = rng.uniform(0.2, 0.3), rng.uniform(0, 2 * np.pi)
    return _radial(lambda t: 0.95 + strength * np.cos(points * t + phase))


def _long(rng: np.random.Generator) -> Field:
    bend, thickness = rng.uniform(-0.45, 0.45), rng.uniform(0.38, 0.5)

    def field(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        v = v + bend * (u**2 - 0.5)
        return (np.hypot(u / 1.4, v / thickness) - 1) * thickness

    return field


def _pear(rng: np.random.Generator) -> Field:
    reach, head, side = rng.uniform(0.85, 1.1), rng.uniform(0.4, 0.55), rng.uniform(-0.35, 0.35)

    def field(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        body = np.hypot(u + 0.3, v * 1.15) - 0.85
        neck = np.hypot(u - reach, v - side) - head
        gap = np.clip(0.5 + (neck - body) / 0.8, 0, 1)  # smooth union of the two discs
        return neck + (body - neck) * gap - 0.4 * gap * (1 - gap)

    return field


def _disc(rng: np.random.Generator) -> Field:
    strength, phase = rng.uniform(0, 0.06), rng.uniform(0, 2 * np.pi)
    return _radial(lambda t: 1 + strength * np.cos(3 * t + phase))


def _bar(rng: np.random.Generator) -> Field:
    bend, taper = rng.uniform(-0.15, 0.15), rng.uniform(-0.03, 0.03)

    def field(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.maximum(np.abs(v + bend * u**2) - 0.13 - taper * u, np.abs(u) - 1.8)

    return field


BODIES = ("blob", "box", "long", "pear", "star")

FAMILIES: dict[str, Callable[[np.random.Generator], Field]] = {
    "blob": _blob,
    "box": _box,
    "long": _long,
    "pear": _pear,
    "star": _star,
    "disc": _disc,
    "bar": _bar,
}
