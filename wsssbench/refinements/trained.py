"""What refinements have in common that train a network of their own first."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from wsssbench.interfaces import (
    Artefact,
    Backbone,
    Cam,
    Cams,
    FitItem,
    Refinement,
    RunContext,
    Scores,
    photo_of,
)
from wsssbench.models.classifier import without_weights
from wsssbench.models.preprocess import normalise
from wsssbench.plugins import load as load_plugins
from wsssbench.training.checkpoints import WEIGHTS, load_weights
from wsssbench.training.engine import seed_everything, train
from wsssbench.training.rehearsal import (
    images_per_step,
    on_tiny_images,
    tiny_photo,
    training_step,
)
from wsssbench.training.schedule import Schedule, precision_of
from wsssbench.training.task import TrainingTask


class NetworkTask(TrainingTask):
    """The training of one network, which has a ``backbone``; all its other parts are new.

    Args:
        network: what `load` gives back to the refinement.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network


class TrainedRefinement(Refinement):
    """Trains a network on crops of the training images, and refines with it.

    A derived class says what the network is, what it learns from and by which losses, and how it refines. The training
    itself, what is loaded in worker processes, the protocol card and the rehearsal are here.

    Args:
        backbone: config of a registered backbone.
        schedule: parameters of `wsssbench.training.schedule.Schedule`.
        crop: side of the training crops, pixels, a multiple of `stride`.
        stride: pixels per cell of the labels.

    Attributes:
        network_name: in messages, and on the protocol card.

    Raises:
        ValueError: `crop` is no multiple of `stride`. UserError: unknown backbone, wrong schedule.
    """

    takes: ClassVar[tuple[type[Artefact], ...]] = (Cams,)
    fitted = True
    network_name: ClassVar[str]

    def __init__(
        self, backbone: Mapping[str, Any], schedule: Mapping[str, Any], crop: int, stride: int
    ) -> None:
        if crop % stride:
            raise ValueError(f"crop={crop} has to be a multiple of stride={stride}")
        name = type(self).__name__
        self._backbone_at, self._schedule_at = f"{name}: backbone", f"{name}: schedule"
        self.schedule = Schedule.from_config(schedule, self._schedule_at)
        self.backbone = load_plugins().registries.backbone.resolve(backbone, self._backbone_at)
        self.crop = crop
        self.stride = stride
        self._network: Any = None
        self._device = "cpu"

    def __getstate__(self) -> dict[str, Any]:
        # worker processes load the network themselves
        return {**self.__dict__, "_network": None, "_device": "cpu"}

    @abstractmethod
    def task(self, backbone: Backbone) -> NetworkTask:
        """Return the training of a new network on `backbone`; its batches are those of `crops`."""

    @abstractmethod
    def crops(self, items: Sequence[FitItem], context: RunContext) -> Dataset[dict[str, Tensor]]:
        """Return what the network learns from; what takes time is done once and kept in ``context.directory``."""

    def tiny_batch(self, images: int, side: int) -> dict[str, Tensor]:
        """Return a batch as of `crops`, for the rehearsal: equal `images` of that `side`, and random labels 0..2."""
        pixels = torch.from_numpy(np.stack([normalise(tiny_photo(side))] * images))
        cells = torch.randint(0, 3, (images, *[-(-side // self.stride)] * 2))
        return {"images": pixels, "labels": cells.to(torch.uint8)}

    def card(self) -> Mapping[str, Any]:
        amp = self.schedule.amp
        used = f"{self.network_name} {precision_of(amp)}"
        return {"mixed precision": (used,)} if amp else {}

    def fit(self, items: Sequence[FitItem], num_classes: int, context: RunContext) -> None:
        """Make labels from what `items` give, then train; both go on after a kill."""
        data = self.crops(items, context)
        seed_everything(context.seed)
        task = self._build()
        faster = {
            f"network.{path}": self.schedule.new_layers_lr for path in new_layers(task.network)
        }
        train(task, data, self.schedule, context, faster, title=self.network_name)

    def rehearse(self, context: RunContext, pretrained: bool) -> None:
        """Do one training step on random labels, and refine with what it has made."""
        task = self._build(pretrained)
        whole = math.lcm(self.stride, backbone_of(task.network).strides[-1])
        images = images_per_step(self.schedule, context.device, self._schedule_at)

        def attempt(side: int) -> None:
            training_step(task, self.tiny_batch(images, side), self.schedule, context.device)

        on_tiny_images(attempt, self.crop, whole)
        self._device, self._network = context.device, task.network.eval()
        try:
            self.refine(photo_of(tiny_photo(4 * whole)), self._tiny_given(4 * whole))
        finally:
            self._device, self._network = "cpu", None

    def load(self, directory: Path, device: str) -> None:
        """Read the network that `fit` left in `directory`."""
        task = self._build(pretrained=False)
        load_weights(task, Path(directory) / WEIGHTS)
        self._device = device
        self._network = task.network.to(device).eval()

    @property
    def loaded(self) -> Any:
        """The trained network, in evaluation mode."""
        if self._network is None:
            raise RuntimeError(f"{type(self).__name__}: load() comes before refine()")
        return self._network

    def _build(self, pretrained: bool = True) -> NetworkTask:
        config = self.backbone if pretrained else without_weights(self.backbone, self._backbone_at)
        backbones = load_plugins().registries.backbone
        return self.task(backbones.build(config, where=self._backbone_at))

    def _tiny_given(self, side: int) -> Cam | Scores:
        classes, size = np.ones(1, np.uint8), (side, side)
        if Cams in self.takes:
            return Cam(classes, np.full((1, *size), 0.5, np.float32), size)
        return Scores(classes, np.full((2, *size), 0.5, np.float32), size)


def new_layers(network: nn.Module) -> tuple[str, ...]:
    """Return the first parts of the names of those parameters of `network` that no pretraining has seen."""
    own = (name for name, _ in network.named_children() if name != "backbone")
    return (*own, *(f"backbone.{path}" for path in backbone_of(network).new_layers))


def backbone_of(network: nn.Module) -> Backbone:
    """Return the part of `network` that is its backbone."""
    return cast(Backbone, network.backbone)
