"""AEFT as its released code computes it, where that differs from the paper.

The facts are those of https://github.com/KAIST-vilab/AEFT (its `aeft_gpp` model); the code is not. The plugin's README
has both side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from wsssbench.interfaces import Batch
from wsssbench.parallel.whole_batch import of_all_ranks
from wsssbench_aeft.maths import mean_below, mean_where, squared_distance, unit
from wsssbench_aeft.triplet import AEFT, Difference, Weight

FLOOR = 1e-5  # added to every maximum that divides
FEW = 4  # no more hard triplets than these are not learnt from


class AEFTReleased(AEFT):
    """AEFT with the losses of its released code (https://github.com/KAIST-vilab/AEFT, `aeft_gpp`).

    Each difference from the paper has a name, and `paper` turns it back. Two more are parameters of
    AEFT: ``attract=0.15, present_only=False`` turns them back.

    * ``activation``: in place of eq. 1, A is ReLU(f) from each map's minimum to
      its maximum.
    * ``mask_size``: for eq. 6, ReLU(f) is upsampled to the image and activated
      there, so peaks between pixels are cut off; the paper upsamples A^fg.
    * ``attract_distance``: eq. 9 is |e_A - e_P| averaged over the K classes,
      not a sum of squares.
    * ``attract_norm``: e_A and e_P of eq. 9 keep their length; the paper's have
      unit length.
    * ``attract_relu``: only the positive part of the attention makes e_A and
      e_P of eq. 9.
    * ``attract_classes``: e_A and e_P of eq. 9 are 0 for classes that the
      anchor does not have.
    * ``repel_norm``: in eq. 10 the attention is divided by its largest absolute
      value, per class and image; the paper's embeddings have unit length.
    * ``repel_classes``: in eq. 10, anchor and negative are 0 for classes they
      do not have themselves; they share none.
    * ``repel_rows``: only anchors nearer to their negative than the margin make
      eq. 10's mean, and it is 0 unless they are at least five.
    * ``negative``: any image without a common class is drawn, not the next one
      in batch order.
    * ``negative_region``: e_N is the mean over the pixels where A^k < 1, not
      over the whole image.

    Args:
        paper: names of differences in which the paper is followed, e.g. ``("repel_rows",)``.
        attract: as AEFT's; the released code's weight.
        present_only: as AEFT's; the released code takes the image's own classes.

    Raises:
        ValueError: as AEFT; `paper` names a difference of eq. 9 that a rigid attraction does not
            compute; a margin of 0, to which no triplet is near enough.
    """

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        paper: tuple[Difference, ...] = (),
        attract: Weight = 0.2,
        present_only: bool = True,
        **rest: Any,
    ) -> None:
        super().__init__(num_classes, channels, attract=attract, present_only=present_only, **rest)
        idle = [name for name in paper if name.startswith("attract_")]
        if self.attraction == "rigid" and idle:
            raise ValueError(
                f"paper={idle} is about the embeddings of eq. 9, which attraction='rigid' does not "
                "compare: leave it out, or use attraction='soft'"
            )
        if "repel_rows" not in paper and self.repel and self.margin == 0:
            raise ValueError(
                "the released code keeps the anchors nearer to their negative than the margin, and "
                "margin=0 leaves none: give a positive margin, repel=0 or paper=('repel_rows',)"
            )
        self.paper = frozenset(paper)

    def activation(self, maps: Tensor) -> Tensor:
        return super().activation(maps) if "activation" in self.paper else min_max(maps)

    def foreground(self, maps: Tensor, batch: Batch) -> Tensor:
        if "mask_size" not in self.paper:
            size = batch.images.shape[-2:]
            maps = F.interpolate(maps.relu(), size=size, mode="bilinear", align_corners=False)
        return super().foreground(maps, batch)

    def attract_embedding(self, space: Tensor, labels: Tensor) -> Tensor:
        positive = space if "attract_relu" in self.paper else space.relu()
        means = positive.mean(dim=(2, 3))
        scaled = unit(means) if "attract_norm" in self.paper else means
        return scaled if "attract_classes" in self.paper else scaled * labels

    def attract_distance(self, e_a: Tensor, e_p: Tensor) -> Tensor:
        if "attract_distance" in self.paper:
            return super().attract_distance(e_a, e_p)
        return (e_a - e_p).abs().mean(dim=1)

    def repel_embeddings(
        self, space: Tensor, activation: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        if "repel_norm" not in self.paper:
            space = over_peak(space)

        def scale(means: Tensor) -> Tensor:
            scaled = unit(means) if "repel_norm" in self.paper else means
            return scaled if "repel_classes" in self.paper else scaled * labels

        e_a = scale(space.mean(dim=(2, 3)))
        e_al = scale(mean_below(space, activation, self.t_low)) if self.repelled == "low" else e_a
        if "negative_region" in self.paper:
            return e_al, e_a
        return e_al, scale(mean_below(space, activation, 1.0))

    def choose(self, labels: Tensor, batch: Batch) -> Tensor:
        if "negative" in self.paper:
            return super().choose(labels, batch)
        rows = [one.random(len(labels)) for one in batch.generators("AEFTReleased")]
        scores = torch.tensor(np.stack(rows), device=labels.device)
        return random_negatives(labels, of_all_ranks(scores))

    def repel_loss(self, e_al: Tensor, e_n: Tensor, chosen: Tensor) -> Tensor:
        if "repel_rows" in self.paper:
            return super().repel_loss(e_al, e_n, chosen)
        distance = squared_distance(e_al, e_n[chosen.clamp(min=0)], self.distance == "mean")
        hard = (chosen >= 0) & (distance < self.margin)
        mean = mean_where(F.relu(self.margin - distance), hard)
        return torch.where(hard.sum() > FEW, mean, 0)


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


def random_negatives(labels: Tensor, random_scores: Tensor) -> Tensor:
    """Draw one negative per image at random: of its negatives the one with the highest score.

    Args:
        labels: (N, K) in {0, 1}.
        random_scores: random numbers in [0, 1), (N, N): row by anchor, column by negative.

    Returns:
        Index into the batch, -1 without a negative; (N,) int64.
    """
    valid = labels @ labels.T == 0
    # An image without classes is not its own negative.
    valid &= ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    highest, chosen = torch.where(valid, random_scores, -1.0).max(dim=1)
    return torch.where(highest >= 0, chosen, -1)
