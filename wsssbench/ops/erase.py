"""Erasing what the classifier saw: the foreground map and the masked image (AEFT eq. 6 and 7)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def foreground(cam: Tensor, labels: Tensor | None = None) -> Tensor:
    """AEFT eq. 6: the largest activation of any class at each place.

    Args:
        cam: A, (N, K, h, w) in [0, 1].
        labels: (N, K) in {0, 1}: only over the classes each image has, as the released code does;
            None: over all K.

    Returns:
        A^fg, (N, 1, h, w); zero for an image without classes.
    """
    if labels is not None:
        # A >= 0, so 0 takes a class out of the maximum
        cam = cam * labels.to(cam.dtype)[:, :, None, None]
    return cam.amax(dim=1, keepdim=True)


def masked_image(images: Tensor, foreground: Tensor, t_high: float) -> Tensor:
    """AEFT eq. 7, the soft mask: 0 where A^fg >= t_high, A^fg times the image elsewhere.

    0 is the mean colour, since images are normalised. The gradient flows through A^fg where it is
    below `t_high`.

    Args:
        images: I_A, (N, 3, H, W).
        foreground: A^fg, (N, 1, h, w) in [0, 1], upsampled bilinearly to the image.
        t_high: t_H in (0, 1].

    Returns:
        I_P, (N, 3, H, W).
    """
    at_pixels = _at_pixels(foreground, images)
    return images * torch.where(at_pixels >= t_high, 0, at_pixels).to(images.dtype)


def hard_masked_image(images: Tensor, foreground: Tensor, threshold: float) -> Tensor:
    """The rigid mask (AE-PSL, CVPR 2017): 0 where A^fg >= threshold, the image elsewhere.

    Arguments and result as in `masked_image`; no gradient reaches `foreground`.
    """
    return images * (_at_pixels(foreground, images) < threshold).to(images.dtype)


def _at_pixels(foreground: Tensor, images: Tensor) -> Tensor:
    """(N, 1, h, w) -> (N, 1, H, W)."""
    return F.interpolate(foreground, size=images.shape[-2:], mode="bilinear", align_corners=False)
