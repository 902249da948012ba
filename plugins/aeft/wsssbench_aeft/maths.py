"""The equations of AEFT as pure functions on tensors; `gpp` and `triplet` are the modules around.

Equation numbers are those of Yoon et al., "Adversarial Erasing Framework via Triplet with Gated
Pyramid Pooling Layer for Weakly Supervised Semantic Segmentation", ECCV 2022.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

# Embeddings shorter than this are not stretched to unit length: keeps values and gradients finite.
NORM_FLOOR = 1e-5


def at_least_float32(x: Tensor) -> Tensor:
    """`x`, in float32 if it is half precision: products of maps would overflow or vanish."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def pyramid(maps: Tensor, bins: Sequence[int]) -> list[Tensor]:
    """P_b for every b of `bins`: means of `maps` over b x b cells, upsampled; (N, K, h, w) all."""
    size = maps.shape[-2:]
    cells = (F.adaptive_avg_pool2d(maps, b) for b in bins)  # (N, K, b, b)
    return [F.interpolate(c, size=size, mode="bilinear", align_corners=False) for c in cells]


def merge(first: Tensor, second: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Eq. 4: two levels (N, K, h, w) into one, with weights (N, 2, h, w) per sign.

    `alpha` weighs the positive and `beta` the negative parts. All weights are positive, so the
    result has the sign of its inputs wherever these agree.
    """
    positive = F.relu(first) * alpha[:, :1] + F.relu(second) * alpha[:, 1:]
    negative = F.relu(-first) * beta[:, :1] + F.relu(-second) * beta[:, 1:]
    return (positive - negative) / 2


def attention_logits(maps: Tensor, attention: Tensor) -> Tensor:
    """Eq. 5 before the sigmoid: `maps` weighted by `attention`, (N, K, h, w) both, to (N, K).

    Where the two disagree in sign, the pixel counts for nothing.
    """
    agreeing = F.relu(attention) * F.relu(maps) - F.relu(-attention) * F.relu(-maps)
    return agreeing.mean(dim=(2, 3))


def unit(means: Tensor) -> Tensor:
    """`means` (N, K) at unit Euclidean length over K; one shorter than 1e-5 is left short."""
    return F.normalize(means, dim=1, eps=NORM_FLOOR)


def embed(attention: Tensor) -> Tensor:
    """e_A, e_P, e_N: the spatial mean of `attention` (N, K, h, w) at unit length over K, (N, K)."""
    return unit(attention.mean(dim=(2, 3)))


def mean_below(attention: Tensor, cam: Tensor, bound: float) -> Tensor:
    """For each class k the mean of `attention` over the pixels where A^k is below `bound`, (N, K).

    Args:
        attention: (N, K, h, w).
        cam: A of eq. 1, (N, K, h, w) in [0, 1].
        bound: pixels at or above it are left out; a class that has no other pixel gets 0.
    """
    low = cam < bound
    count = low.sum(dim=(2, 3)).clamp(min=1)  # N^k
    return (attention * low).sum(dim=(2, 3)) / count


def embed_low(attention: Tensor, cam: Tensor, t_low: float) -> Tensor:
    """e_AL, eq. 8: as `embed`, but of the pixels of low activation only; see `mean_below`."""
    return unit(mean_below(attention, cam, t_low))


def squared_distance(a: Tensor, b: Tensor, reduce_mean: bool) -> Tensor:
    """||a - b||^2 per row of `a` and `b` (N, K): squares summed, or averaged, over K; (N,)."""
    squares = (a - b) ** 2
    return squares.mean(dim=1) if reduce_mean else squares.sum(dim=1)


def negatives(labels: Tensor) -> Tensor:
    """Each image's negative, as an index into the batch, -1 if it holds none; (N,) int64.

    An image is a negative of another if they share no class. Of several the next one in batch order
    is taken, starting over at the end: batches are shuffled already, and a rule without a draw of
    its own resumes exactly.

    Args:
        labels: (N, K) in {0, 1}.
    """
    n = len(labels)
    index = torch.arange(n, device=labels.device)
    steps = (index[None, :] - index[:, None]) % n  # (anchor, other) -> how far behind; 0: itself
    valid = (labels @ labels.T == 0) & (steps > 0)
    nearest, chosen = torch.where(valid, steps, n).min(dim=1)
    return torch.where(nearest < n, chosen, -1)


def mean_where(values: Tensor, counted: Tensor) -> Tensor:
    """The mean of those `values` (N,) that are `counted` (N,) bool; 0 if none is."""
    return (values * counted).sum() / counted.sum().clamp(min=1)
