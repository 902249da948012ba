"""What IRNet and its heirs have in common: edges from a network that learned them, and a walk that stops there."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from wsssbench.interfaces import (
    Backbone,
    Cam,
    FitItem,
    LabelMaps,
    Photo,
    RunContext,
    Scores,
)
from wsssbench.models.preprocess import normalise
from wsssbench.ops.affinity import pair_offsets
from wsssbench.ops.cam import upsample
from wsssbench.refinements.affinity_training import make_labels
from wsssbench.refinements.trained import NetworkTask, TrainedRefinement
from wsssbench.training.transforms import Side
from wsssbench_baselines.labellings.confident_seeds import ConfidentSeeds, Constant
from wsssbench_baselines.refinements.edge_network import EdgeNet, SeedCrops, SeedMaker
from wsssbench_baselines.refinements.edge_walk import walk_between_edges

Radius = Annotated[int, Field(ge=2, le=40)]
Factor = Annotated[float, Field(gt=0, le=8)]
Beta = Annotated[float, Field(gt=0, le=1000)]


class EdgeRefinement(TrainedRefinement):
    """Edges learned from confident seeds, and a random walk of the CAM between them; trained on CAMs alone.

    The CAM times 1 - B, B being the edge probabilities, walks `steps` steps with the affinities to the power beta (see
    `edge_walk`), is divided by its maximum over all classes and pixels, and has to exceed `background`.

    Args:
        backbone: config of a registered backbone; IRN's is ResNet-50 with ImageNet weights at output stride 16. Nothing
            of it learns.
        seeds: a stage that makes label maps of the same images, e.g. a `ConfidentSeeds` under ``stages``, which several
            methods may share; None: made here, of what is refined.
        confidence: `foreground` and `background` of `ConfidentSeeds` then; the method's own if None.
        stride: pixels per cell of the grid of edges, a power of 2.
        channels: of what is read from each stage of the backbone, a multiple of 4.
        steps: length of the walk; 8 squarings are 256.
        exponent: of the CAM before the walk, which the seeds are not made of: 1 in IRN, 1.5 in AdvCAM, 1.3 in RIB.
        background: score of the background beside the walked CAM, whose largest value is 1.
        crop: side of the training crops, pixels, a multiple of `stride`.
        scales: range of the factor on the size of a training image.
        flip: mirror half of the crops.

    Attributes:
        own_confidence: `confidence` where none is given.

    Raises:
        ValueError: a parameter out of range. UserError: unknown backbone, wrong schedule.
    """

    own_confidence: ClassVar[tuple[float, float]]

    def __init__(
        self,
        walked: int,
        beta: float,
        schedule: dict[str, Any],
        *,
        backbone: dict[str, Any],
        seeds: LabelMaps | None = None,
        confidence: tuple[Constant, Constant] | None = None,
        stride: Annotated[int, Field(ge=1, le=32)] = 4,
        channels: Annotated[int, Field(ge=4, le=1024, multiple_of=4)] = 32,
        steps: Annotated[int, Field(ge=0, le=4096)] = 256,
        exponent: Annotated[float, Field(gt=0, le=100)] = 1.0,
        background: Constant = 0.25,
        crop: Side = 512,
        scales: tuple[Factor, Factor] = (0.5, 1.5),
        flip: bool = True,
    ) -> None:
        if stride & (stride - 1):
            raise ValueError(
                f"stride={stride} has to be a power of 2, as the strides of networks are"
            )
        if scales[0] > scales[1]:
            raise ValueError(f"scales={scales} has to be (low, high)")
        if seeds is not None and confidence is not None:
            raise ValueError(
                f"confidence={confidence} has no effect, since seeds are given: leave one of the two out"
            )
        super().__init__(backbone, schedule, crop, stride)
        much, little = confidence or self.own_confidence
        self.labelling = ConfidentSeeds((), foreground=much, background=little)
        self.walked = pair_offsets(walked)
        self.beta = beta
        self.seeds = seeds
        self.channels = channels
        self.steps = steps
        self.exponent = exponent
        self.background = background
        self.scales = scales
        self.flip = flip

    @abstractmethod
    def training_of(self, network: EdgeNet) -> NetworkTask:
        """Return the training of `network`, on batches of `crops`."""

    def task(self, backbone: Backbone) -> NetworkTask:
        return self.training_of(EdgeNet(backbone, channels=self.channels, stride=self.stride))

    def crops(self, items: Sequence[FitItem], context: RunContext) -> SeedCrops:
        """Make labels of the images; the crops are of random scale."""
        return SeedCrops(
            [item.image for item in items],
            self.labels_of(items, context),
            crop=self.crop,
            stride=self.stride,
            flip=self.flip,
            seed=context.seed,
            scales=self.scales,
        )

    def labels_of(self, items: Sequence[FitItem], context: RunContext) -> list[Path]:
        """Return the files of what the network learns from: by default the seeds, made here unless they are given."""
        if self.seeds is not None:
            return [self.seeds.path(item.id) for item in items]
        maker = SeedMaker(self.labelling)
        return make_labels(items, maker, context.directory / "seeds", context, "seeds")

    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        """Scores after the walk: on the grid if the image is a multiple of it, else full size."""
        assert isinstance(given, Cam)
        if not len(given.classes):
            return Scores(given.classes, np.ones((1, *given.size), np.float32), given.size)
        edges = self.edges(photo.image)
        maps = upsample(given.maps, (edges.shape[0], edges.shape[1])) ** self.exponent
        walked = walk_between_edges(maps, edges, self.walked, self.beta, self.steps)
        full = upsample(walked, (edges.shape[0] * self.stride, edges.shape[1] * self.stride))
        full = full[:, : given.size[0], : given.size[1]]
        planes = walked if all(n % self.stride == 0 for n in given.size) else full
        planes = planes / max(float(full.max()), np.finfo(np.float32).tiny)
        constant = np.full((1, *planes.shape[1:]), self.background, np.float32)
        return Scores(given.classes, np.concatenate([constant, planes]), given.size)

    @torch.no_grad()
    def edges(self, image: np.ndarray) -> np.ndarray:
        """Edge probabilities (ceil(H / stride), ceil(W / stride)) float32 of `image` (H, W, 3) uint8."""
        views = torch.from_numpy(np.stack([normalise(image), normalise(image[:, ::-1])]))
        height, width = image.shape[:2]
        logits = self.loaded(self.padded(views).to(self._device))[:, 0]
        grid = (-(-height // self.stride), -(-width // self.stride))
        return edges_of_views(logits.float(), grid).cpu().numpy()

    def padded(self, views: Tensor) -> Tensor:
        """Return the images (2, 3, H, W) as the network sees them, perhaps with something to their right and below."""
        return views


def edges_of_views(logits: Tensor, grid: tuple[int, int]) -> Tensor:
    """Edge probabilities (h, w) of logits (2, H, W) of an image and of its mirror image, both padded right and below.

    The padding is cut off first; then the second one is turned back, and the sigmoid is that of their mean.
    """
    image, mirrored = logits[:, : grid[0], : grid[1]]
    return ((image + mirrored.flip(-1)) / 2).sigmoid()
