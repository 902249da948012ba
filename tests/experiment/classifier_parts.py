"""An objective, erasings with a guide and augmentations in their shortest form, as a plugin has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wsssbench.hookspecs import hookimpl
from wsssbench.interfaces import (
    Augmentation,
    Batch,
    Cams,
    Classifier,
    Erasing,
    LabelMaps,
    Losses,
    Objective,
    Output,
    Photo,
    TrainedClassifier,
)
from wsssbench.plugins import load


class Mirrored(Augmentation):
    """Two views, of which the second is mirrored; a plane has the number of the view."""

    count = 2

    def views(self, photo: Photo, random: np.random.Generator) -> Sequence[Photo]:
        image, noise = photo.image, random.integers(0, 9, dtype=np.uint8)
        planes = [{"view": np.full(image.shape[:2], view, np.uint8)} for view in range(2)]
        second = photo.changed(image=image[:, ::-1] // 2 + noise, planes=planes[1])
        return [photo.changed(planes=planes[0]), second]


class BlankRegions(Augmentation):
    """Erases what another stage has marked.

    Args:
        regions: the stage.
    """

    def __init__(self, *, regions: LabelMaps) -> None:
        self.regions = regions

    def views(self, photo: Photo, random: np.random.Generator) -> Sequence[Photo]:
        image, region = photo.image, self.regions.read(photo.id)
        image[region > 0] = 0
        return [photo.changed(image=image, planes={"region": region})]


class Halves(Objective):
    """A head of its own has to tell the views apart; the loss counts random halves of the images' classes."""

    classification_weight = 0.5

    def __init__(
        self, num_classes: int, channels: tuple[int, ...], *, plane: str = "", weight: float = 1.0
    ) -> None:
        super().__init__()
        self.plane, self.weight = plane, weight
        self.head = nn.Conv2d(channels[-1], num_classes, 1)

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        assert len(batch.ids) == len(batch.images) and batch.positions is not None
        assert output.images is batch.images and output.labels is batch.labels
        logits = self.head(output.features[-1]).mean((2, 3))
        drawn = [one.random(logits.shape[1]) for one in batch.generators("Halves")]
        half = torch.tensor(np.stack(drawn), dtype=logits.dtype) > 0.5
        target = batch.labels.clone()
        if self.plane:
            target = batch.planes[self.plane].amax((1, 2))[:, None].clamp(max=1).to(logits.dtype)
        return Losses({"halves": self.weight * ((logits - target) * half).square().mean()})

    def maps(self, classifier: Classifier, output: Output) -> Tensor:
        assert output.labels is not None
        return output.maps + self.head(output.features[-1]) * output.labels[:, :, None, None]


class Recalling(Objective):
    """Reads the CAMs of the photos of a batch.

    Args:
        cams: the stage.
    """

    def __init__(self, num_classes: int, channels: tuple[int, ...], *, cams: Cams) -> None:
        super().__init__()
        self.cams = cams

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        for id, labels in zip(batch.ids, batch.labels, strict=True):
            classes = self.cams.read(id).classes.tolist()
            assert classes == (labels.nonzero()[:, 0] + 1).tolist()
        return Losses({"recalled": output.logits.square().mean()})


class Asking(Erasing):
    """Asks a guide about images that are erased by the class maps; the gradient of its answer reaches the images."""

    def __init__(
        self, num_classes: int, channels: tuple[int, ...], *, guide: TrainedClassifier
    ) -> None:
        super().__init__()
        self.guide = guide.frozen()

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        erased = batch.images * (1 - output.maps.mean((1, 2, 3), keepdim=True).sigmoid())
        answer = self.guide(erased).logits.mean()
        (gradient,) = torch.autograd.grad(answer, erased, create_graph=True)
        assert gradient.any()
        return Losses({"loss_guide": answer + gradient.square().sum()})


class AskingForMaps(Asking):
    """Adds the guide's maps to its own."""

    def maps(self, classifier: Classifier, output: Output) -> Tensor:
        assert output.images is not None
        return output.maps + self.guide(output.images).maps


class WithNetwork(Objective):
    """Has a network of its own, with initial weights from a file."""

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        backbone: dict[str, Any],
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.network = load().registries.backbone.build(backbone)
        self.start = nn.Parameter(torch.zeros(1) if weights is None else torch.load(weights))

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        features = self.network(batch.images)
        return Losses({"own": sum(f.mean() for f in features) + self.start.sum()})


@hookimpl
def register(registries: Any) -> None:
    for registry, classes in (
        (registries.augmentation, (Mirrored, BlankRegions)),
        (registries.objective, (Halves, Recalling, WithNetwork)),
        (registries.erasing, (Asking, AskingForMaps)),
    ):
        for cls in classes:
            name = cls.__name__
            registry.add(name, f"classifier_parts:{name}", summary="for a test")
