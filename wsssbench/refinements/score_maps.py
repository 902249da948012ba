"""The score maps that a refinement starts from: at the image's size, background first."""

from __future__ import annotations

import numpy as np

from wsssbench.errors import UserError
from wsssbench.interfaces import Cam, Scores
from wsssbench.ops.cam import background_alpha, upsample


def start_scores(image: np.ndarray, given: Cam | Scores, alpha: float) -> np.ndarray:
    """Bring `given` to the size of `image`: scores (1 + K', H, W) float32, background first.

    Args:
        image: (H, W, 3) uint8.
        given: scores are taken as they are; a CAM gets the background (1 - max_k A_k)^alpha.
        alpha: exponent of that background.

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
    return np.concatenate([background_alpha(maps, alpha)[None], maps])
