"""PAMR: scores move along pixels of alike colours, without anything learned and without a CRF library."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from wsssbench.interfaces import Cam, Photo, Refinement, Scores
from wsssbench.refinements.score_maps import Background, start_scores

FLOOR = 1e-8  # of the divisor
NARROWING = 0.1  # factor of the standard deviation

Dilation = Annotated[int, Field(ge=1, le=256)]


class PAMR(Refinement):
    """Pixel-adaptive mask refinement (Araslanov & Roth, CVPR 2020).

    The neighbours n of a pixel p are the 8 around it in 3 x 3 windows of every dilation; beyond the border they are the
    nearest pixels inside. Of colours I in [0, 1] and with the standard deviation s(p) of each colour over all windows:

    * k(p, n) = mean over the colours of -|I(p) - I(n)| / (1e-8 + 0.1 s(p)),
    * w(p, .) = softmax of k(p, .) over all neighbours of p, of all dilations together,
    * m(p) <- sum over n of w(p, n) m(n), in each iteration, for every plane.

    The deviation is the unbiased one of 9 values per dilation, in each of which p is one. The kernel and the defaults
    are those of the released code (https://github.com/visinf/1-stage-wseg), which refines what its network predicts
    while it learns. There masks are enlarged with aligned corners; here as everywhere in this toolkit. What it does to
    CAMs beside a CRF is not published [?].

    Args:
        alpha: CAMs get the background (1 - max_k A_k)^alpha, which is refined with them; scores have one already.
            The paper's masks have one, too: 4 is `DenseCRF`'s.
        dilations: of the windows, pixels.
        iterations: how often it is repeated.
    """

    title = "PAMR"

    def __init__(
        self,
        *,
        alpha: Annotated[float, Field(gt=0, le=1000)] = 4.0,
        dilations: Annotated[tuple[Dilation, ...], Field(min_length=1)] = (1, 2, 4, 8, 12, 24),
        iterations: Annotated[int, Field(ge=1, le=1000)] = 10,
    ) -> None:
        self.background = Background(alpha)
        self.dilations, self.iterations = dilations, iterations

    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        """Scores at the image's size; they stay between the least and the greatest value of their plane."""
        image = photo.image
        planes = torch.from_numpy(start_scores(image, given, self.background))
        colours = torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255
        with torch.inference_mode():
            refined = pamr(colours[None], planes[None], self.dilations, self.iterations)
        return Scores(given.classes, refined[0].numpy(), given.size)


def pamr(images: Tensor, masks: Tensor, dilations: tuple[int, ...], iterations: int) -> Tensor:
    """Refine `masks` (N, C, H, W) by the colours of `images` (N, 3, H, W) in [0, 1].

    Returns:
        (N, C, H, W); the gradient reaches the masks, and not the images.
    """
    weights = _kernel(images, dilations)
    for _ in range(iterations):
        # a sum plane by plane: all neighbours at once would take 48 times the memory of the masks
        neighbours = _neighbours(masks, dilations)
        refined = torch.zeros_like(masks)
        for weight, neighbour in zip(weights.unbind(1), neighbours, strict=True):
            refined = torch.addcmul(refined, weight[:, None], neighbour)
        masks = refined
    return masks


@torch.no_grad()
def _kernel(images: Tensor, dilations: tuple[int, ...]) -> Tensor:
    """The weights of the neighbours, (N, 8 x len(dilations), H, W); they sum to 1."""
    values = 9 * len(dilations)
    mean = len(dilations) * images
    for neighbour in _neighbours(images, dilations):
        mean = mean + neighbour
    mean = mean / values
    squares = len(dilations) * (images - mean) ** 2
    for neighbour in _neighbours(images, dilations):
        squares = squares + (neighbour - mean) ** 2
    width = FLOOR + NARROWING * (squares / (values - 1)).sqrt()
    distances = [
        ((images - neighbour).abs() / width).mean(dim=1)
        for neighbour in _neighbours(images, dilations)
    ]
    return torch.stack(distances, dim=1).neg().softmax(dim=1)


def _neighbours(planes: Tensor, dilations: tuple[int, ...]) -> Iterator[Tensor]:
    """The planes (N, C, H, W) moved by each neighbour's offset; what comes from outside repeats the border."""
    height, width = planes.shape[2:]
    for d in dilations:
        padded = F.pad(planes, (d, d, d, d), mode="replicate")
        for top, left in product((0, d, 2 * d), repeat=2):
            if (top, left) != (d, d):
                yield padded[:, :, top : top + height, left : left + width]
