"""Global max pooling: the most active place of a class map alone counts."""

from __future__ import annotations

from torch import Tensor

from wsssbench.interfaces import Pooled, Pooling


class MaxPooling(Pooling):
    """Global max pooling, GMP (Oquab et al., CVPR 2015): the logit of a class is the maximum of its map.

    One place of a map learns in each step, so that the smallest part that tells a class suffices, and CAMs
    under-activate. Of equal maxima, on which the paper is silent, each gets the same share of the gradient.

    Args:
        num_classes: K; supplied by the toolkit, not needed here.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()

    def forward(self, maps: Tensor) -> Pooled:
        """Pool `maps` (N, K, h, w) to logits (N, K), of the same dtype; no attention."""
        return Pooled(maps.amax(dim=(2, 3)))
