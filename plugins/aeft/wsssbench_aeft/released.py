"""What the released code of AEFT computes where it differs from the paper, as pure functions.

The facts are those of https://github.com/KAIST-vilab/AEFT (its `aeft_gpp` model); the code is not. Which parameter of
`AEFT` switches which of them on is in its docstring, and side by side with the paper in the plugin's README.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from wsssbench_aeft.maths import squared_distance

FLOOR = 1e-5  # added to every maximum that divides
FEW = 4  # no more hard triplets than these are not learnt from


def min_max(maps: Tensor) -> Tensor:
    """Activation in place of eq. 1: ReLU, then each map's minimum to 0 and its maximum to nearly 1.

    1e-5 is subtracted above and added below the line, so the peak m of a map ends at 1 - 2e-5 / m, not at 1: in
    float32 it rounds to 1 only where m is in the hundreds.

    Args:
        maps: f, (N, K, h, w), single or double precision.

    Returns:
        (N, K, h, w) in [0, 1]; zero where a map is nowhere positive, or constant.
    """
    positive = maps.relu()
    low = positive.amin(dim=(2, 3), keepdim=True)
    high = positive.amax(dim=(2, 3), keepdim=True)
    return F.relu(positive - low - FLOOR) / (high - low + FLOOR)


def over_peak(attention: Tensor) -> Tensor:
    """Each class's `attention` (N, K, h, w) over its own largest absolute value: in (-1, 1), signs kept."""
    return attention / (attention.abs().amax(dim=(2, 3), keepdim=True) + FLOOR)


def absolute_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean over K of |a - b|, per row of `a` and `b` (N, K): in place of eq. 9's squares; (N,)."""
    return (a - b).abs().mean(dim=1)


def random_negatives(labels: Tensor, lots: Tensor) -> Tensor:
    """As `maths.negatives`, but of an image's negatives the one with the highest lot.

    Args:
        labels: (N, K) in {0, 1}.
        lots: random numbers in [0, 1), (N, N): row by anchor, column by negative.

    Returns:
        Index into the batch, -1 without a negative; (N,) int64.
    """
    valid = labels @ labels.T == 0
    valid &= ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)  # one without classes
    highest, chosen = torch.where(valid, lots, -1.0).max(dim=1)
    return torch.where(highest >= 0, chosen, -1)


def hinge_over_hard(
    anchors: Tensor, others: Tensor, chosen: Tensor, margin: float, reduce_mean: bool
) -> Tensor:
    """Eq. 10 over the hard triplets alone: their mean if there are more than four, else 0.

    Arguments as `maths.hinge_over_negatives`, which counts also the anchors beyond the margin.
    """
    distance = squared_distance(anchors, others[chosen.clamp(min=0)], reduce_mean)
    hard = (chosen >= 0) & (distance < margin)
    count = hard.sum()
    mean = (F.relu(margin - distance) * hard).sum() / count.clamp(min=1)
    return torch.where(count > FEW, mean, 0)
