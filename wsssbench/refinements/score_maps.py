"""The score maps that a refinement starts from: at the image's size, background first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsssbench.errors import UserError
from wsssbench.interfaces import Cam, Scores
from wsssbench.ops.cam import background_alpha, upsample


@dataclass(frozen=True)
class Background:
    """The background score that a CAM gets: (1 - max_k A_k)^alpha (PSA), or one `constant` everywhere (IRN)."""

    alpha: float = 1.0
    constant: float | None = None

    def of(self, maps: np.ndarray) -> np.ndarray:
        """Return the score (H, W) float32 beside the maps (K', H, W) in [0, 1]."""
        if self.constant is None or not len(maps):
            return background_alpha(maps, self.alpha)
        return np.full(maps.shape[1:], self.constant, np.float32)


def start_scores(
    image: np.ndarray, given: Cam | Scores, background: Background | float
) -> np.ndarray:
    """Bring `given` to the size of `image`: scores (1 + K', H, W) float32, background first.

    Args:
        image: (H, W, 3) uint8.
        given: scores are taken as they are; a CAM gets the `background`.
        background: a number is the exponent alpha.

    Raises:
        UserError: `given` belongs to an image of another size.
    """
    size = image.shape[:2]
    if tuple(given.size) != tuple(size):
        raise UserError(
            f"an image of {size[0]} x {size[1]} pixels comes with scores made for one of "
            f"{given.size[0]} x {given.size[1]}: make the CAMs again from these images"
        )
    if isinstance(given, Scores):
        return upsample(given.planes, size)
    maps = upsample(given.maps, size)
    if not isinstance(background, Background):
        background = Background(background)
    return np.concatenate([background.of(maps)[None], maps])
