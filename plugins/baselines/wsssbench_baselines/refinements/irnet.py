"""IRNet's semantic part: a network learns where classes meet, and a random walk stops there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from wsssbench.interfaces import (
    Artefact,
    Cam,
    Cams,
    FitItem,
    LabelMaps,
    Photo,
    Refinement,
    RunContext,
    Scores,
    photo_of,
)
from wsssbench.models.classifier import without_weights
from wsssbench.models.preprocess import normalise
from wsssbench.ops.affinity import pair_offsets
from wsssbench.ops.cam import upsample
from wsssbench.plugins import load as load_plugins
from wsssbench.refinements.affinity_training import AffinityTask, make_labels, rehearse_pairs
from wsssbench.training.checkpoints import load_weights
from wsssbench.training.engine import seed_everything, train
from wsssbench.training.rehearsal import tiny_photo
from wsssbench.training.schedule import Schedule, precision_of
from wsssbench.training.transforms import Side
from wsssbench_baselines.labellings.confident_seeds import ConfidentSeeds, Constant
from wsssbench_baselines.refinements.edge_network import (
    EdgeNet,
    SeedCrops,
    SeedMaker,
    edge_affinities,
)
from wsssbench_baselines.refinements.edge_walk import walk_between_edges

Radius = Annotated[int, Field(ge=2, le=40)]
Factor = Annotated[float, Field(gt=0, le=8)]
_WHERE = "IRNet: backbone"
_CONFIDENCE = (0.30, 0.05)  # the released code's
# The released code's; momentum is what its optimiser really has (see Schedule).
IRN_SCHEDULE: dict[str, Any] = {
    "batch_size": 32,
    "epochs": 3,
    "lr": 0.1,
    "momentum": 1e-4,
    "weight_decay": 1e-4,
    "new_layers_lr": 1.0,
}


class IRNet(Refinement):
    """Class boundaries learned from confident seeds, then a random walk between them; trained on CAMs alone.

    J. Ahn, S. Cho and S. Kwak, *Weakly Supervised Learning of Instance Segmentation with Inter-pixel Relations*,
    CVPR 2019. Edge probabilities B are read from every stage of a frozen ImageNet network. Two pixels' affinity is
    a = 1 - max of B on the line between them, and the loss is that of AffinityNet on it: pairs of sure background / 4,
    of one class / 4, of two / 2. The CAM times 1 - B walks `steps` steps with a^beta, is divided by its maximum over
    all classes and pixels, and has to exceed `background`.

    Formulas and defaults are those of the released code (jiwoon-ahn/irn a2ece00); which of the numbers the paper names
    was not verified. As there, B comes from the mean of an image's and its mirror image's logits. Otherwise there:
    pairs nearest to the border of a crop are left out; images larger than the crop are cut at inference (here: never);
    classes from 21 on are dropped silently (here: none); several GPUs learn something else (irn#13; here ranks have the
    loss of the whole batch); the last incomplete batch of an epoch is dropped; the last stage of ResNet-50 is not
    dilated, as it is in ``TorchvisionBackbone(output_stride=16)``. The displacement branch, which serves instances and
    shares no trained layer, is left out.

    Args:
        backbone: config of a registered backbone; IRN's is ResNet-50 with ImageNet weights at output stride 16. Nothing
            of it learns.
        seeds: a stage that makes label maps of the same images, e.g. a `ConfidentSeeds` under ``stages``, which several
            methods may share; None: made here, of what is refined.
        confidence: `foreground` and `background` of `ConfidentSeeds` then; 0.30 and 0.05 if None.
        stride: pixels per cell of the grid of edges, a power of 2.
        channels: of what is read from each stage of the backbone, a multiple of 4.
        radius: in training and in the walk: only cells closer than this are paired.
        beta: exponent of the affinities in the walk.
        steps: length of the walk; 8 squarings are 256.
        exponent: of the CAM before the walk, which the seeds are not made of: 1 in IRN, 1.5 in AdvCAM, 1.3 in RIB.
        background: score of the background beside the walked CAM, whose largest value is 1.
        crop: side of the training crops, pixels, a multiple of `stride`. Smaller images are padded to it at inference,
            since the group normalisations have learned with what lies outside.
        scales: range of the factor on the size of a training image.
        flip: mirror half of the crops.
        schedule: parameters of `wsssbench.training.schedule.Schedule`.

    Raises:
        ValueError: a parameter out of range. UserError: unknown backbone, wrong schedule.
    """

    takes: ClassVar[tuple[type[Artefact], ...]] = (Cams,)
    fitted: ClassVar[bool] = True
    title = "IRNet"

    def __init__(
        self,
        *,
        backbone: dict[str, Any],
        seeds: LabelMaps | None = None,
        confidence: tuple[Constant, Constant] | None = None,
        stride: Annotated[int, Field(ge=1, le=32)] = 4,
        channels: Annotated[int, Field(ge=4, le=1024, multiple_of=4)] = 32,
        radius: tuple[Radius, Radius] = (10, 5),
        beta: Annotated[float, Field(gt=0, le=1000)] = 10.0,
        steps: Annotated[int, Field(ge=0, le=4096)] = 256,
        exponent: Annotated[float, Field(gt=0, le=100)] = 1.0,
        background: Constant = 0.25,
        crop: Side = 512,
        scales: tuple[Factor, Factor] = (0.5, 1.5),
        flip: bool = True,
        schedule: dict[str, Any] = IRN_SCHEDULE,
    ) -> None:
        if stride & (stride - 1):
            raise ValueError(
                f"stride={stride} has to be a power of 2, as the strides of networks are"
            )
        if crop % stride or crop < radius[0] * stride:
            raise ValueError(
                f"crop={crop} has to be a multiple of stride={stride}, and at least {radius[0] * stride} for pairs of "
                f"radius={radius[0]}"
            )
        if scales[0] > scales[1]:
            raise ValueError(f"scales={scales} has to be (low, high)")
        if seeds is not None and confidence is not None:
            raise ValueError(
                f"confidence={confidence} has no effect, since seeds are given: leave one of the two out"
            )
        much, little = confidence or _CONFIDENCE
        self.labelling = ConfidentSeeds((), foreground=much, background=little)
        self.learned, self.walked = (pair_offsets(one) for one in radius)
        self.schedule = Schedule.from_config(schedule, "IRNet: schedule")
        self.backbone = load_plugins().registries.backbone.resolve(backbone, _WHERE)
        self.seeds = seeds
        self.stride = stride
        self.channels = channels
        self.beta = beta
        self.steps = steps
        self.exponent = exponent
        self.background = background
        self.crop = crop
        self.scales = scales
        self.flip = flip
        self._network: EdgeNet | None = None
        self._device = "cpu"

    def __getstate__(self) -> dict[str, Any]:
        # worker processes load the network themselves
        return {**self.__dict__, "_network": None, "_device": "cpu"}

    def card(self) -> Mapping[str, Any]:
        amp = self.schedule.amp
        return {"mixed precision": (f"IRNet {precision_of(amp)}",)} if amp else {}

    def fit(self, items: Sequence[FitItem], num_classes: int, context: RunContext) -> None:
        """Make seeds from the CAMs of `items`, unless they are given, then train; both go on after a kill."""
        data = SeedCrops(
            [item.image for item in items],
            self._seeds_of(items, context),
            crop=self.crop,
            stride=self.stride,
            flip=self.flip,
            seed=context.seed,
            scales=self.scales,
        )
        seed_everything(context.seed)
        task = self._task(self._build())
        faster = dict.fromkeys(("network.levels", "network.edge"), self.schedule.new_layers_lr)
        train(task, data, self.schedule, context, faster, title="IRNet")

    def _seeds_of(self, items: Sequence[FitItem], context: RunContext) -> list[Path]:
        if self.seeds is not None:
            return [self.seeds.path(item.id) for item in items]
        maker = SeedMaker(self.labelling)
        return make_labels(items, maker, context.directory / "seeds", context, "seeds")

    def rehearse(self, context: RunContext, pretrained: bool) -> None:
        """Do one training step on random labels, and a walk."""
        network = self._build(pretrained)
        coarsest = network.backbone.stage_strides[-1]
        rehearse_pairs(
            self._task(network),
            self.schedule,
            crop=self.crop,
            stride=self.stride,
            coarsest=coarsest,
            device=context.device,
            where="IRNet: schedule",
        )
        side = 2 * max(coarsest, self.stride)
        cam = Cam(np.ones(1, np.uint8), np.full((1, side, side), 0.5, np.float32), (side, side))
        self._device, self._network = context.device, network.eval()
        try:
            self.refine(photo_of(tiny_photo(side)), cam)
        finally:
            self._device, self._network = "cpu", None

    def load(self, directory: Path, device: str) -> None:
        """Read the network that `fit` left in `directory`."""
        network = self._build(pretrained=False)
        load_weights(self._task(network), Path(directory) / "weights.pth")
        self._device = device
        self._network = network.to(device).eval()

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
        if self._network is None:
            raise RuntimeError("IRNet: load() comes before refine()")
        height, width = image.shape[:2]
        views = torch.from_numpy(np.stack([normalise(image), normalise(image[:, ::-1])]))
        padded = F.pad(views, (0, max(self.crop - width, 0), 0, max(self.crop - height, 0)))
        logits = self._network(padded.to(self._device))[:, 0]
        grid = (-(-height // self.stride), -(-width // self.stride))
        return edges_of_views(logits.float(), grid).cpu().numpy()

    def _task(self, network: EdgeNet) -> AffinityTask:
        return AffinityTask(network, self.learned, edge_affinities)

    def _build(self, pretrained: bool = True) -> EdgeNet:
        config = self.backbone if pretrained else without_weights(self.backbone, _WHERE)
        backbone = load_plugins().registries.backbone.build(config, where=_WHERE)
        return EdgeNet(backbone, channels=self.channels, stride=self.stride)


def edges_of_views(logits: Tensor, grid: tuple[int, int]) -> Tensor:
    """Edge probabilities (h, w) of logits (2, H, W) of an image and of its mirror image, both padded right and below.

    The padding is cut off first; then the second one is turned back, and the sigmoid is that of their mean.
    """
    image, mirrored = logits[:, : grid[0], : grid[1]]
    return ((image + mirrored.flip(-1)) / 2).sigmoid()
