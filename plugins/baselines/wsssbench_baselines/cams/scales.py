"""What AdvCAM and RIB share with IRN's CAMs: two views of a photo at each scale, and the sum of their maps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from wsssbench.interfaces import Cam
from wsssbench.models.preprocess import normalise as normalise_image
from wsssbench.models.preprocess import resize_image
from wsssbench.ops.cam import normalise

Scales = Annotated[tuple[Annotated[float, Field(gt=0, le=8)], ...], Field(min_length=1)]
Multiple = Annotated[int, Field(ge=1, le=64)]


@contextmanager
def with_gradients() -> Iterator[None]:
    """Compute gradients inside, also for a caller who needs none."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def views(image: np.ndarray, scale: float, device: torch.device) -> Tensor:
    """Return `image` (H, W, 3) uint8 at a `scale`, and its mirror image, (2, 3, H_s, W_s), normalised."""
    height, width = (max(1, round(n * scale)) for n in image.shape[:2])
    resized = torch.from_numpy(normalise_image(resize_image(image, (height, width)))).to(device)
    return torch.stack([resized, resized.flip(-1)])


def turned_back(maps: Tensor) -> Tensor:
    """Return the sum (..., h, w) of the `maps` (2, ..., h, w) of both views, the mirrored one turned back."""
    return maps[0] + maps[1].flip(-1)


def enlarged(maps: Tensor, size: tuple[int, int], multiple: int) -> Tensor:
    """Return `maps` (K', h, w) at `size`: bilinearly, to the next multiples, and then cut.

    That is IRN's way: a map of stride 16 has a cell for a last column of fewer than 16 pixels, too.
    """
    whole = [-(-n // multiple) * multiple for n in size]
    large = F.interpolate(maps[None], whole, mode="bilinear", align_corners=False)[0]
    return large[:, : size[0], : size[1]]


def cam_of(
    maps: Iterable[Tensor], present: np.ndarray, size: tuple[int, int], multiple: int
) -> Cam:
    """Return the CAM of `present` classes (K',), from 0 on: the sum of `maps` (K', h_s, w_s) at all scales.

    Each class is divided by its maximum. The released codes add 1e-5 to that, which leaves peaks below 1.
    """
    total = torch.stack([enlarged(one, size, multiple) for one in maps]).sum(dim=0)
    scaled = normalise(total).cpu().numpy().astype(np.float32)
    return Cam((present + 1).astype(np.uint8), scaled, size)


def without_class(size: tuple[int, int]) -> Cam:
    """Return the CAM of a photo without a class, which has no maps."""
    return Cam(np.zeros(0, np.uint8), np.zeros((0, *size), np.float32), size)
