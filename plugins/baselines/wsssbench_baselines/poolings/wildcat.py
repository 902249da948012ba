"""WILDCAT's pooling: the places that speak most for a class, and those that speak most against it."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from wsssbench.interfaces import Pooled, Pooling

Places = Annotated[float, Field(ge=0, le=1_000_000)]


class WILDCAT(Pooling):
    """Top-k and bottom-k pooling (Durand et al., CVPR 2017).

    s_k = (mean of the k+ highest values of f_k + alpha x mean of its k- lowest) / 2. Without lowest ones, i.e. for
    k- = 0 or alpha = 0, it is the mean of the k+ highest alone: top-k pooling, for k+ = 1 the maximum. With all places
    and alpha = 1 it is the average.

    Formula and defaults are those of the released code (https://github.com/durandtibo/wildcat.pytorch) in its VOC 2007
    demo. The factor 1/2 is its, too; whether the paper has it could not be verified [?]. Its paper averages M = 8 maps
    per class before the pooling. A mean of M maps of a linear head is one map of such a head, so there is one here; the
    released backward pass leaves out the division by M, which multiplies what the backbone learns from it by M.
    Its alpha = 0.0 halves the mean of the highest, its alpha = 0 does not; here none does.

    Args:
        num_classes: K; supplied by the toolkit, not needed here.
        kmax: k+; below 1 a share of the places, rounded as Python rounds, else their number. It is at least one place,
            where the released code divides by none, and at most all.
        kmin: k-, in the same way; None: as `kmax`. 0: none.
        alpha: weight of the lowest.

    Raises:
        ValueError: `kmax` is 0; a number of places is not whole.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        kmax: Places = 0.2,
        kmin: Places | None = None,
        alpha: Annotated[float, Field(ge=0, le=1000)] = 0.7,
    ) -> None:
        super().__init__()
        kmin = kmax if kmin is None else kmin
        if not kmax:
            raise ValueError("kmax=0 pools nothing: give a share below 1, or a number of places")
        for name, value in (("kmax", kmax), ("kmin", kmin)):
            if value >= 1 and value != int(value):
                raise ValueError(f"{name}={value} is above 1, and so has to be a whole number")
        self.kmax, self.kmin, self.alpha = kmax, kmin, alpha

    def forward(self, maps: Tensor) -> Pooled:
        """Pool `maps` (N, K, h, w) to logits (N, K), half precision in float32; no attention."""
        flat = maps.flatten(2).to(torch.promote_types(maps.dtype, torch.float32))  # (N, K, h * w)
        highest = flat.topk(_places(self.kmax, flat.shape[2])).values.mean(dim=2)
        if not self.kmin or not self.alpha:
            return Pooled(highest)
        lowest = flat.topk(_places(self.kmin, flat.shape[2]), largest=False).values.mean(dim=2)
        return Pooled((highest + self.alpha * lowest) / 2)


def _places(k: float, total: int) -> int:
    """The number of places that `k` means in a map of `total` places, from 1 to `total`."""
    return min(max(round(k * total) if k < 1 else int(k), 1), total)
