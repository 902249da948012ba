"""Textures for the synthetic scenes: noise, surfaces and badge patterns, as pure functions of coordinates.

Coordinates are arrays of one shape (h, w). A surface or pattern returns a blend factor (h, w) in [0, 1] between two
colours. Everything depends on its arguments and on the given random generator only.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np

Surface = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
Pattern = Callable[[np.ndarray, np.ndarray], np.ndarray]

TURN = 2 * np.pi
GOLDEN = 0.381966  # turns between successive hues: any number of them stays well spread


def fractal_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    slope: float = 1.2,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """Noise with amplitude 1/f^`slope`, (h, w) float32 in [0, 1] with mean 0.5.

    Args:
        rng: where the noise comes from.
        shape: (h, w) in pixels.
        slope: 0 is white noise, 2 is smooth clouds.
        stretch: how much longer the structures are along y and along x.
    """
    height, width = shape
    spectrum = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    fy = np.fft.fftfreq(height).astype(np.float32)[:, None] * stretch[0]
    fx = np.fft.rfftfreq(width).astype(np.float32)[None, :] * stretch[1]
    power = fy**2 + fx**2
    power[0, 0] = np.inf  # no constant part
    field = np.fft.irfft2(spectrum * power ** (-slope / 2), s=shape)
    return np.clip(0.5 + field / (5 * field.std() + 1e-12), 0, 1).astype(np.float32)


def colour(
    rng: np.random.Generator,
    hue: float,
    saturation: tuple[float, float],
    value: tuple[float, float],
    jitter: float = 0.0,
) -> np.ndarray:
    """A random colour near `hue` (in turns, +- `jitter`) within the two ranges: RGB (3,) in [0, 1]."""
    hue = (hue + rng.uniform(-jitter, jitter)) % 1.0
    rgb = colorsys.hsv_to_rgb(hue, rng.uniform(*saturation), rng.uniform(*value))
    return np.array(rgb, dtype=np.float32)


def blend(factor: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Colour `low` where `factor` is 0 and `high` where it is 1: (h, w) -> (h, w, 3)."""
    return low + factor[..., None] * (high - low)


def _wave(phase: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.sin(phase)


def _soft(signed: np.ndarray, sharpness: float) -> np.ndarray:
    """1 where `signed` is positive, 0 where negative, with a ramp between (keeps thin lines from aliasing)."""
    return np.clip(0.5 + signed * sharpness, 0, 1)


def _line(position: np.ndarray, width: float) -> np.ndarray:
    """Lines of `width` (share of the period) at every integer `position`."""
    return _soft(width / 2 - np.abs(position - np.round(position)), 5)


def _bricks(x: np.ndarray, y: np.ndarray, noise: np.ndarray) -> np.ndarray:
    row = np.floor(y * 1.6)
    joints = np.maximum(_line(x * 0.8 + 0.5 * (row % 2), 0.16), _line(y * 1.6, 0.24))
    return np.clip(joints + 0.5 * noise - 0.2, 0, 1)


def _rails(x: np.ndarray, y: np.ndarray, noise: np.ndarray) -> np.ndarray:
    sleepers = 0.55 * _line(x * 1.3, 0.45)
    return np.clip(np.maximum(sleepers, _line(y * 0.7, 0.18)) + 0.3 * noise - 0.1, 0, 1)


# What bodies and clutter are made of. x, y in wavelengths, along and across the body; noise (h, w) in [0, 1].
MATERIALS: dict[str, Surface] = {
    "grain": lambda x, y, noise: _wave(TURN * (y + 0.8 * noise)),
    "mottled": lambda x, y, noise: _soft(noise - 0.5, 5),
    "scaly": lambda x, y, noise: 0.75 * _wave(TURN * (x + y)) * _wave(TURN * (x - y)) + 0.3 * noise,
    "cloudy": lambda x, y, noise: noise,
    "ribbed": lambda x, y, noise: 0.7 * _wave(TURN * 0.8 * x) ** 2 + 0.3 * noise,
}

# The grounds that belong to a class (class i has ground i modulo their number, in a hue of its own).
GROUNDS: dict[str, Surface] = {
    "rails": _rails,
    "water": lambda x, y, noise: _wave(TURN * (y + 0.25 * np.sin(TURN * 0.6 * x) + 0.7 * noise)),
    "bricks": _bricks,
    "grass": lambda x, y, noise: _wave(TURN * (2.2 * x + 0.25 * y + 1.6 * noise)),
    "tiles": lambda x, y, noise: (
        0.85 * _soft(np.sin(np.pi * x) * np.sin(np.pi * y), 4) + 0.15 * noise
    ),
    "pebbles": lambda x, y, noise: np.sqrt(
        np.abs(np.sin(np.pi * (x + noise)) * np.sin(np.pi * (y - noise)))
    ),
    "planks": lambda x, y, noise: np.clip(
        _line(y * 0.9, 0.2) + 0.5 * _wave(TURN * (0.3 * x + 3 * noise)) - 0.1, 0, 1
    ),
    "bubbles": lambda x, y, noise: _soft(
        np.cos(TURN * x) * np.cos(TURN * y) - 0.35 + 0.3 * (noise - 0.5), 2.5
    ),
}


def _polar(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.hypot(u, v), np.arctan2(v, u)


def _rays(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _soft(np.sin(6 * _polar(u, v)[1]), 2)


def _spiral(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    radius, angle = _polar(u, v)
    return _soft(np.sin(angle + 10 * radius), 2)


def _star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    radius, angle = _polar(u, v)
    return _soft(0.55 + 0.25 * np.cos(5 * angle) - radius, 5)


def _flower(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    radius, angle = _polar(u, v)
    return _soft(0.8 * np.abs(np.cos(2 * angle)) - radius, 5) * _soft(radius - 0.2, 5)


# The discriminative part of a class is a badge with its pattern: u, v in [-1, 1] across the badge. A class is called
# what its badge shows.
BADGES: dict[str, Pattern] = {
    "flag": lambda u, v: _soft(np.sin(8 * v), 2),
    "chess": lambda u, v: _soft(np.sin(5.5 * u) * np.sin(5.5 * v), 4),
    "target": lambda u, v: _soft(np.cos(9 * np.hypot(u, v)), 2),
    "cross": lambda u, v: _soft(0.25 - np.minimum(np.abs(u), np.abs(v)), 5),
    "dice": lambda u, v: _soft(np.cos(6.5 * u) * np.cos(6.5 * v) - 0.25, 2.5),
    "wheel": _rays,
    "moon": lambda u, v: _soft(0.8 - np.hypot(u, v), 5) * _soft(np.hypot(u - 0.4, v) - 0.6, 5),
    "arrow": lambda u, v: _soft(np.sin(7 * (v + np.abs(u))), 2),
    "snail": _spiral,
    "star": _star,
    "window": lambda u, v: _soft(np.maximum(np.abs(u), np.abs(v)) - 0.5, 5),
    "eye": lambda u, v: _soft(0.5 - np.hypot(u, 2 * v), 4) + _soft(np.hypot(u, v) - 0.75, 5),
    "net": lambda u, v: np.maximum(_line(2 * u, 0.35), _line(2 * v, 0.35)),
    "kite": lambda u, v: _soft(0.6 - np.abs(u) - np.abs(v), 5),
    "wave": lambda u, v: _soft(np.sin(7 * v + 2 * np.sin(4 * u)), 2),
    "half": lambda u, v: _soft(u, 5),
    "tent": lambda u, v: _soft(v + 0.6, 5) * _soft(0.55 - v - 1.6 * np.abs(u), 4),
    "flower": _flower,
    "bolt": lambda u, v: _soft(0.22 - np.abs(u - 0.5 * np.sign(v) * (0.5 - np.abs(v))), 5),
    "ring": lambda u, v: _soft(0.17 - np.abs(np.hypot(u, v) - 0.65), 6),
}
