"""Superpixels of the crops that a classifier learns from: SLIC, by scikit-image, which is an extra."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from wsssbench.models.preprocess import IMAGENET_MEAN, IMAGENET_STD


def need_scikit_image(wanted: str) -> None:
    """Make sure, before long work, that `wanted`, a parameter as it was given, can be had.

    Raises:
        ValueError: scikit-image is not installed.
    """
    if find_spec("skimage") is None:
        raise ValueError(
            f"{wanted} needs scikit-image, which is not installed: pip install "
            '"wsssbench[baselines]"'
        )


def slic_superpixels(image: Tensor, count: int, compactness: float) -> np.ndarray:
    """SLIC superpixels (Achanta et al., TPAMI 2012) of `image` (3, H, W), ImageNet-normalised.

    They are those of its colours in CIELAB, not of the normalised values.

    Args:
        image: ImageNet-normalised.
        count: about as many superpixels; an image of few colours has fewer.
        compactness: weight of the distance in space against that in colour.

    Returns:
        The number of each pixel's superpixel, (H, W) int64, from 1 on.
    """
    # Here, since it takes long to import, and is an extra.
    from skimage.segmentation import slic

    std, mean = (torch.tensor(of)[:, None, None] for of in (IMAGENET_STD, IMAGENET_MEAN))
    colours = (image.detach().cpu().float() * std + mean).clamp(0, 1)
    pixels = np.ascontiguousarray(colours.permute(1, 2, 0).numpy())
    return np.asarray(slic(pixels, n_segments=count, compactness=compactness, start_label=1))


def memberships(numbers: Tensor, size: tuple[int, int]) -> Tensor:
    """How much of each superpixel lies at each place of a map of `size`: (S, h, w) in [0, 1], which sum to 1.

    Args:
        numbers: of the superpixels at the size of the image, (H, W) int64, any; S of them are different. They are
            enlarged or made smaller one by one, bilinearly; the corner pixels stay in the corners.
    """
    planes = (numbers[None] == numbers.unique()[:, None, None]).float()
    if planes.shape[1:] == size:
        return planes
    return F.interpolate(planes[None], size, mode="bilinear", align_corners=True)[0]
