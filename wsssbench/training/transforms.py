"""From photos to the classifier's input: normalisation, resizing, and the training augmentation.

Every random choice is drawn from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from PIL import Image
from pydantic import Field

from wsssbench.interfaces import IGNORE
from wsssbench.models.preprocess import normalise, resize_image

# Pixels. Larger crops than any network of the field is trained on would only take the memory.
Side = Annotated[int, Field(ge=1, le=4096)]
Strength = Annotated[float, Field(ge=0, le=5)]
Hue = Annotated[float, Field(ge=0, le=0.5)]


class TrainTransform:
    """AffinityNet's augmentation: random size, flip, colour jitter, crop with zero padding.

    Args:
        resize_long: the longer side becomes a random length of this range (both ends included);
            None keeps the size.
        crop: side of the square output, pixels.
        flip: mirror half of the images.
        jitter: strength of brightness, contrast, saturation and hue; AEFT's values.
        jitter_probability: share of the images whose colours are changed.

    Raises:
        ValueError: a parameter out of range.
    """

    def __init__(
        self,
        *,
        resize_long: tuple[Side, Side] | None = None,
        crop: Side,
        flip: bool = True,
        jitter: tuple[Strength, Strength, Strength, Hue] = (0.4, 0.4, 0.4, 0.1),
        jitter_probability: Annotated[float, Field(ge=0, le=1)] = 0.8,
    ) -> None:
        if resize_long is not None and not 1 <= resize_long[0] <= resize_long[1]:
            raise ValueError(f"resize_long={resize_long} is not a range of lengths (low, high)")
        if crop < 1:
            raise ValueError(f"crop={crop} has to be at least 1")
        if min(jitter) < 0 or jitter[3] > 0.5:
            raise ValueError(f"jitter={jitter} has to be non-negative, and the hue at most 0.5")
        if not 0 <= jitter_probability <= 1:
            raise ValueError(f"jitter_probability={jitter_probability} has to be in [0, 1]")
        self.resize_long = resize_long
        self.crop = crop
        self.flip = flip
        self.jitter = jitter
        self.jitter_probability = jitter_probability

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """`image` (H, W, 3) uint8 -> (3, crop, crop) float32, normalised; 0 outside the image."""
        return self.with_planes(image, {}, rng)[0]

    def with_planes(
        self, image: np.ndarray, planes: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The same, and what lies over the image moved along: resized to the nearest value, 255 outside.

        Args:
            planes: by name, (H, W) uint8.

        Returns:
            The image, and the planes (crop, crop) uint8.
        """
        moved = dict(planes)
        if self.resize_long is not None:
            longer = int(rng.integers(*self.resize_long, endpoint=True))
            size = _size(image.shape[:2], longer)
            image = resize_image(image, size)
            moved = {name: _resize_plane(plane, size) for name, plane in moved.items()}
        if self.flip and rng.random() < 0.5:
            image = image[:, ::-1]
            moved = {name: plane[:, ::-1] for name, plane in moved.items()}
        if rng.random() < self.jitter_probability and any(self.jitter):
            image = _jitter(image, self.jitter, rng)
        windows = _windows(image.shape[:2], self.crop, rng)
        source, target = zip(*windows, strict=True)
        output = np.zeros((3, self.crop, self.crop), dtype=np.float32)
        output[:, target[0], target[1]] = normalise(image[source])
        for name, plane in moved.items():
            moved[name] = np.full((self.crop, self.crop), IGNORE, np.uint8)
            moved[name][target] = plane[source]
        return output, moved


def _size(size: tuple[int, int], longer: int) -> tuple[int, int]:
    height, width = size
    factor = longer / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def _resize_plane(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    picture = Image.fromarray(np.ascontiguousarray(plane))
    return np.array(picture.resize((size[1], size[0]), Image.Resampling.NEAREST))


def _jitter(
    image: np.ndarray, strength: tuple[float, float, float, float], rng: np.random.Generator
) -> np.ndarray:
    """Brightness, contrast, saturation and hue by random factors, in random order."""
    # here, since torchvision takes as long to import as torch, and only a training needs it
    from torchvision.transforms import functional as TF

    adjust = (TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation, TF.adjust_hue)
    low = [max(0.0, 1 - s) for s in strength[:3]] + [-strength[3]]
    high = [1 + s for s in strength[:3]] + [strength[3]]
    factors = rng.uniform(low, high)
    picture = Image.fromarray(np.ascontiguousarray(image))
    for i in rng.permutation(4):
        if strength[i] > 0:
            picture = adjust[i](picture, float(factors[i]))
    return np.array(picture)


def _windows(
    size: tuple[int, int], crop: int, rng: np.random.Generator
) -> list[tuple[slice, slice]]:
    """Per axis, what is taken of the image and where it goes.

    A random window where the image is larger than `crop`, a random place where it is smaller.
    """
    windows = []
    for length in size:
        offset = int(rng.integers(0, abs(length - crop), endpoint=True))
        kept = min(length, crop)
        source, target = (offset, 0) if length > crop else (0, offset)
        windows.append((slice(source, source + kept), slice(target, target + kept)))
    return windows
