"""Gated Pyramid Pooling (eq. 2-5): class maps weighted by themselves at several scales."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.interfaces import Pooled, Pooling
from wsssbench_aeft.maths import at_least_float32, attention_logits, merge, pyramid


class GPP(Pooling):
    """Gated Pyramid Pooling (Yoon et al., ECCV 2022, section 3.3).

    Args:
        num_classes: K; supplied by the toolkit.
        bins: the pyramid's grids, b x b each, from coarse to fine. One bin alone is used as it is,
            without gates.
        aggregation: how several bins become one attention: ``coarse_to_fine`` (the paper's, by
            gated convolutions), ``fine_to_coarse`` (the same, the other way round), or ``average``
            (without gates).

    Raises:
        ValueError: `bins` are not positive and ascending.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        bins: Annotated[tuple[Annotated[int, Field(ge=1, le=256)], ...], Field(min_length=1)] = (
            2,
            4,
            8,
            16,
        ),
        aggregation: Literal["coarse_to_fine", "fine_to_coarse", "average"] = "coarse_to_fine",
    ) -> None:
        super().__init__()
        if not bins or min(bins) < 1 or any(a >= b for a, b in pairwise(bins)):
            raise ValueError(f"bins={tuple(bins)} have to be positive and ascending, as (2, 4, 8)")
        self.bins = tuple(bins)
        self.aggregation = aggregation
        steps = 0 if aggregation == "average" else len(bins) - 1
        self.alpha = nn.ModuleList(_Gate(num_classes) for _ in range(steps))
        self.beta = nn.ModuleList(_Gate(num_classes) for _ in range(steps))
        self._warned = False

    def forward(self, maps: Tensor) -> Pooled:
        """Pool `maps` (N, K, h, w) to logits (N, K); the attention P̂ is (N, K, h, w).

        Half precision becomes float32. In training, the first map that is smaller than a bin raises
        a `UserWarning`.
        """
        self._warn_about_idle_bins(*maps.shape[-2:])
        maps = at_least_float32(maps)
        attention = self._aggregate(pyramid(maps, self.bins))
        return Pooled(attention_logits(maps, attention), attention)

    def _aggregate(self, levels: list[Tensor]) -> Tensor:
        """The attention (N, K, h, w) from the pyramid's levels, coarse first."""
        if self.aggregation == "average":
            return torch.stack(levels).mean(dim=0)
        ordered: Iterator[Tensor] = iter(levels)
        if self.aggregation == "fine_to_coarse":
            ordered = reversed(levels)
        attention = next(ordered)  # P̂ of the first level is P itself
        for level, alpha, beta in zip(ordered, self.alpha, self.beta, strict=True):
            attention = merge(attention, level, alpha(attention, level), beta(-attention, -level))
        return attention

    def _warn_about_idle_bins(self, height: int, width: int) -> None:
        idle = [b for b in self.bins if b > min(height, width)]
        # Only in training: CAM inference at scale 0.5 has half-size maps, which needs no action.
        if not idle or self._warned or not self.training:
            return
        self._warned = True
        which = f"bin {idle[0]} is" if len(idle) == 1 else f"bins {', '.join(map(str, idle))} are"
        warnings.warn(
            f"GPP: {which} larger than the {height} x {width} map and only repeat"
            f"{'s' if len(idle) == 1 else ''} it: use smaller bins, larger images or a smaller "
            "output stride",
            UserWarning,
            stacklevel=2,
        )


class _Gate(nn.Module):
    """Eq. 2: one weight in (0, 1) per pixel for each of two levels, shared by all classes."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        # The paper says nothing about a bias; the released code has none.
        self.conv = nn.Conv2d(2 * num_classes, 2, kernel_size=3, padding=1, bias=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Weights (N, 2, h, w) for `first` and `second`, (N, K, h, w) each."""
        both = torch.cat([F.relu(first), F.relu(second)], dim=1)  # (N, 2K, h, w)
        return torch.sigmoid(at_least_float32(self.conv(both.to(self.conv.weight.dtype))))
