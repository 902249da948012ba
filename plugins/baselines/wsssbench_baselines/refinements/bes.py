"""BES: a network learns boundaries themselves, from labels that say where they lie; a random walk stops there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from wsssbench.files.artefacts import read_label
from wsssbench.files.images import write_label
from wsssbench.interfaces import IGNORE, FitItem, Losses, RunContext
from wsssbench.parallel import ranks
from wsssbench.parallel.jobs import ImageJob
from wsssbench.parallel.whole_batch import mean_of_all_ranks
from wsssbench.refinements.affinity_training import LabelItem, make_labels
from wsssbench.refinements.trained import NetworkTask
from wsssbench_baselines.refinements.edge_network import EdgeNet
from wsssbench_baselines.refinements.edge_refinement import Beta, EdgeRefinement, Radius

BACKGROUND, FOREGROUND, BOUNDARY = 0, 1, 2  # of boundary labels; 255: ignored
FLOOR = 1e-4  # of probabilities, from both ends; beyond it there is no gradient

# The released code's; momentum is what its optimiser really has (see Schedule).
BES_SCHEDULE: dict[str, Any] = {
    "batch_size": 16,
    "epochs": 3,
    "lr": 0.1,
    "momentum": 1e-4,
    "weight_decay": 1e-4,
    "new_layers_lr": 1.0,
}


@dataclass(frozen=True)
class BoundaryRule:
    """Seeds -> where boundaries are, where none are, and where it is not known.

    Attributes:
        window: side of the windows, pixels, odd.
        share: what each of the two labels that meet at a boundary has to exceed in the window; twice as much inside.
        difference: the two differ by less than this at a boundary, and by at least twice as much inside.
        between_classes: places where two classes meet are boundaries, too, not only outlines against the background.
    """

    window: int
    share: float
    difference: float
    between_classes: bool

    def labels(self, seeds: np.ndarray) -> np.ndarray:
        """Return the boundary labels (H, W) uint8 of `seeds` (H, W) uint8, a label map."""
        background, first, second = window_shares(seeds, self.window)
        sure, apart = 2 * self.share, 2 * self.difference
        result = np.full(seeds.shape, IGNORE, np.uint8)
        result[(background > sure) & (background - first >= apart)] = BACKGROUND
        result[(first > sure) & (first - background >= apart)] = FOREGROUND
        outline = np.minimum(background, first) > self.share
        result[outline & (np.abs(background - first) < self.difference)] = BOUNDARY
        if self.between_classes:
            result[(second > self.share) & (first - second < self.difference)] = BOUNDARY
        return result


def window_shares(seeds: np.ndarray, window: int) -> np.ndarray:
    """The shares of labels in the window around each pixel, of what of the window lies in the image.

    Returns:
        (3, H, W) float32: of the background, of the class with the largest share there, and of the next one. Ignored
        pixels have no class, but count as pixels.
    """
    classes = np.setdiff1d(seeds, (0, IGNORE))
    indicators = torch.from_numpy(np.stack([seeds == value for value in (0, *classes)])).float()
    shares = F.avg_pool2d(
        indicators, window, stride=1, padding=window // 2, count_include_pad=False
    )
    background, others = shares[:1], shares[1:]
    padded = torch.cat([others, others.new_zeros(2, *seeds.shape)])
    return torch.cat([background, padded.topk(2, dim=0).values]).numpy()


@dataclass(frozen=True)
class BoundaryMaker(ImageJob[LabelItem]):
    """Seeds -> boundary labels, a palette PNG of the image's size."""

    rule: BoundaryRule

    def target(self, item: LabelItem) -> Path:
        return item.target

    def valid(self, path: Path) -> None:
        read_label(path)

    def run(self, item: LabelItem) -> None:
        write_label(item.target, self.rule.labels(read_label(item.given)))


class BoundaryTask(NetworkTask):
    """An edge network that learns boundary labels; under torchrun by the loss of the whole batch.

    Args:
        network: (N, 3, H, W) -> logits (N, 1, h, w) on the labels' grid.
        power: see `boundary_losses`.
    """

    def __init__(self, network: EdgeNet, power: float) -> None:
        super().__init__(network)
        self.power = power

    def forward(self, batch: Mapping[str, Any], progress: float) -> Losses:
        """`batch`: images (N, 3, H, W), labels (N, h, w) uint8."""
        logits = self.network(batch["images"])[:, 0].float()
        background, foreground, boundary = boundary_losses(logits, batch["labels"], self.power)
        return Losses(
            {
                "loss_background": background / 2,
                "loss_foreground": foreground / 2,
                "loss_boundary": boundary,
            }
        )


def boundary_losses(logits: Tensor, labels: Tensor, power: float) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy of p = sigmoid(logits), limited to [1e-4, 1 - 1e-4], on the three kinds of labels.

    Each is the sum over its n pixels in the batch of all ranks, divided by n + 1: of -log(1 - p) inside of background
    and of objects, and of -p^power log p, p^power being a constant, on boundaries.

    Args:
        logits: (N, h, w) float.
        labels: (N, h, w) boundary labels.
    """
    p = logits.sigmoid().clamp(FLOOR, 1 - FLOOR)
    inside, boundary = -torch.log(1 - p), -torch.log(p) * p.detach() ** power

    def mean(values: Tensor, kind: int) -> Tensor:
        where = labels == kind
        return torch.where(where, values, 0).sum() / (
            mean_of_all_ranks(where.sum().float()) + 1 / ranks.world_size()
        )

    return mean(inside, BACKGROUND), mean(inside, FOREGROUND), mean(boundary, BOUNDARY)


class BES(EdgeRefinement):
    """Boundary exploration: boundaries learned from boundary labels, then IRNet's random walk; trained on CAMs alone.

    L. Chen, W. Wu, C. Fu, X. Han and Y. Zhang, *Weakly Supervised Semantic Segmentation with Boundary Exploration*,
    ECCV 2020. IRNet learns edges by the pairs that they separate, BES from labels of their own. Confident seeds have
    shares in a window around each pixel: p0 the background's, p1 >= p2 those of the two largest classes. Then

    * background: p0 > 2 t and p0 - p1 >= 2 d; an object: p1 > 2 t and p1 - p0 >= 2 d,
    * boundary: min(p0, p1) > t and |p0 - p1| < d, or p2 > t and p1 - p2 < d,

    with t = `share` and d = `difference`; later rules go before earlier ones, and other pixels are ignored. An edge
    network (IRNet's, on a frozen backbone) learns them: (L_background + L_object) / 2 + L_boundary, see
    `boundary_losses`. The CAM walks between its edges as in IRNet. `AttentionPooling` is BES's classifier, and a
    `DenseCRF` with ``preset="bes"`` comes last.

    Labels, losses and defaults are those of the released code (https://github.com/mt-cly/BES, commit 9343488), whose
    authors say that its rule for labels is not the paper's, which has no boundaries between two classes [?]: that is
    `between_classes=False`. Losses are sums over the batch; here that of all ranks. Images are not padded at inference,
    unlike IRNet's. That edges come from an image and its mirror image, as IRNet's, was not verified [?].

    Its own `confidence` is (0.30, 0.07). Further parameters are those of `EdgeRefinement`.

    Args:
        window: side of the windows, pixels, odd.
        share: t. The labels that meet at a boundary each exceed it; inside, one exceeds twice as much.
        difference: d. At a boundary, they differ by less; inside, by at least twice as much.
        between_classes: two classes that meet have a boundary, too; False: objects have it against background alone.
        power: exponent of the constant factor p^power of boundary pixels: the less probable ones count less. 0: all
            alike.
        radius: in the walk: only cells closer than this are paired.
        beta: exponent of the affinities in the walk.
        schedule: parameters of `wsssbench.training.schedule.Schedule`.

    Raises:
        ValueError: a parameter out of range. UserError: unknown backbone, wrong schedule.
    """

    title = "BES"
    network_name = "BES"
    own_confidence = (0.30, 0.07)  # the released code's

    def __init__(
        self,
        *,
        window: Annotated[int, Field(ge=3, le=255)] = 13,
        share: Annotated[float, Field(ge=0, lt=0.5)] = 0.3,
        difference: Annotated[float, Field(gt=0, le=0.5)] = 0.1,
        between_classes: bool = True,
        power: Annotated[float, Field(ge=0, le=10)] = 0.5,
        radius: Radius = 5,
        beta: Beta = 5.0,
        schedule: dict[str, Any] = BES_SCHEDULE,
        **rest: Any,
    ) -> None:
        if window % 2 == 0:
            raise ValueError(f"window={window} has to be odd: a window lies around its pixel")
        super().__init__(radius, beta, schedule, **rest)
        self.rule = BoundaryRule(window, share, difference, between_classes)
        self.power = power

    def training_of(self, network: EdgeNet) -> BoundaryTask:
        return BoundaryTask(network, self.power)

    def labels_of(self, items: Sequence[FitItem], context: RunContext) -> list[Path]:
        """Make boundary labels of the seeds."""
        seeds = super().labels_of(items, context)
        seeded = [replace(item, given=path) for item, path in zip(items, seeds, strict=True)]
        folder = context.directory / "boundaries"
        return make_labels(seeded, BoundaryMaker(self.rule), folder, context, "boundary labels")
