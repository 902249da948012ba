"""RIB: the trained weights are tuned to one photo without the final sigmoid, and its CAMs on the way are added up."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from wsssbench.interfaces import Cam, CamInference, Classifier, Photo, Photos
from wsssbench.training.transforms import Side, TrainTransform
from wsssbench_baselines.cams.scales import (
    Multiple,
    Scales,
    cam_of,
    turned_back,
    views,
    with_gradients,
    without_class,
)

Count = Annotated[int, Field(ge=1, le=1000)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, le=10)]
_TOGETHER = 4  # other images in a pass: what a gradient needs of more takes much memory


class RIB(CamInference):
    """Reducing the information bottleneck (Lee, Choi, Mok & Yoon, NeurIPS 2021).

    For each photo, alone, the trained weights take up to T steps of gradient descent on

        L = - sum over rows of pooled f_c of the row's classes c,

    without a sigmoid that would be saturated. Rows are the photo and its mirror image at the scales from 1 on, and
    `others` random photos of `photos` that share no class with it, cropped and mirrored as in the training. The
    pooling is global non-discriminative pooling (GNDP): the sum of f_c over the places where f_c / max f_c < threshold,
    divided by the number of all places; of a class whose maximum is negative it is 0. The set is a constant.

    Before each step the ReLU of the maps of all scales, both views, is added up; the sum over its maximum is the CAM.
    The first of them is the plain CAM. It ends early

    * after a step before which the absolute sum of the photo's pooled f_c exceeded `stop`,
    * and, from the second step on, if at the scale nearest to 1 the map of one of the photo's classes exceeds
      `spread_level` of its maximum on more than `spread` of the places: then it adds that map, and no more.

    The optimiser is SGD with weight decay; the rate falls as (1 - t / T) ^ power, and is `new_layers_lr` times that
    for the head. Normalisation layers keep their statistics. What the training of the classifier left as it was
    (``frozen_stages`` of its backbone) stays as it is here, too.

    Formulas and defaults are those of the released code (https://github.com/jbeomlee93/RIB, commit 9c43b3b) on VOC. On
    MS-COCO it has ``lr=5e-6, others=15, threshold=0.5, stop=1000, spread=0.8``. It adds 1e-5 to the maximum, ours does
    not, and it draws the other photos from a loader that goes on from photo to photo; here they depend on the run's
    seed and the photo's id alone, so that a killed run goes on with the same ones. Not verified [?]: that the places of
    `spread` are those of the map of the current step, not of the sum. If an objective makes the class maps that CAMs
    are inferred from, the weights learn by the classifier's own, and the others are added up.

    It takes long: 350 passes, forwards and back, for each photo, whatever number of classes it has. A killed run has
    lost the photos at work and no more.

    Args:
        classes: supplied by the toolkit.
        photos: the split that other photos are drawn from.
        steps: T.
        others: other photos in each step, as far as there are so many; 0: none.
        lr: rate of the first step.
        new_layers_lr: factor on the rate of layers that start from random values, such as the head.
        weight_decay: of the optimiser.
        momentum: of the optimiser: there it is the weight decay's value, by mistake.
        power: of the decay of the rate.
        threshold: share of a map's maximum from which a place is too discriminative; above 1: none is.
        stop: absolute sum of the photo's pooled f_c.
        spread_level: share of a map's maximum that counts as spread.
        spread: share of the places.
        scales: of the image.
        resize_long: range of the longer side of the other photos.
        crop: side of their crops.
        multiple: maps are enlarged to the next multiple of this and cut, as in IRN; 1: to the image's size.
    """

    random = True
    quick = {"steps": 2, "others": 1, "resize_long": (64, 64), "crop": 64}  # noqa: RUF012

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        photos: Photos,
        steps: Count = 10,
        others: Annotated[int, Field(ge=0, le=1000)] = 20,
        lr: Rate = 8e-6,
        new_layers_lr: Annotated[float, Field(ge=0, le=1000)] = 10.0,
        weight_decay: Share = 1e-4,
        momentum: Annotated[float, Field(ge=0, lt=1)] = 1e-4,
        power: Annotated[float, Field(ge=0, le=10)] = 0.9,
        threshold: Annotated[float, Field(gt=0, le=10)] = 0.4,
        stop: Annotated[float, Field(ge=0, le=1e9)] = 600.0,
        spread_level: Share = 0.3,
        spread: Share = 0.7,
        scales: Scales = (0.5, 1.0, 1.5, 2.0),
        resize_long: tuple[Side, Side] = (320, 640),
        crop: Side = 512,
        multiple: Multiple = 16,
    ) -> None:
        super().__init__(classes)
        self.photos = photos
        self.steps, self.others = steps, others
        self.lr, self.new_layers_lr, self.power = lr, new_layers_lr, power
        self.weight_decay, self.momentum = weight_decay, momentum
        self.threshold, self.stop = threshold, stop
        self.spread_level, self.spread = spread_level, spread
        self.scales, self.multiple = scales, multiple
        self.cut = TrainTransform(
            resize_long=resize_long, crop=crop, flip=True, jitter_probability=0
        )

    def infer(self, classifier: Classifier, photo: Photo) -> Cam:
        """CAMs of `photo` for the classes in its labels; a copy of the classifier learns."""
        image, labels = photo.image, np.asarray(photo.labels, np.float32)
        size = (image.shape[0], image.shape[1])
        present = np.flatnonzero(labels > 0)
        classifier.eval()
        if len(present) == 0:
            return without_class(size)
        device = next(classifier.parameters()).device
        with with_gradients():
            network = copy.deepcopy(classifier)
            at_scales = {scale: views(image, scale, device) for scale in self.scales}
            given = torch.as_tensor(labels, device=device)
            maps = self.learned(network, at_scales, given, self._batches(photo, device))
        return cam_of(maps, present, size, self.multiple)

    def passes(self) -> float:
        return self.steps * (2 * sum(scale**2 for scale in self.scales) + self.others)

    def learned(
        self,
        network: Classifier,
        at_scales: dict[float, Tensor],
        labels: Tensor,
        others: Iterator[tuple[Tensor, Tensor]],
    ) -> list[Tensor]:
        """Return the sums of the maps, (K', h_s, w_s) at each scale, while `network`, which is changed, learns.

        Args:
            network: in evaluation mode.
            at_scales: both views of the photo, (2, 3, H_s, W_s).
            labels: of the photo, (K,).
            others: for each step the images (n, 3, H, W) and labels (n, K) of other photos; n may be 0.
        """
        optimiser = self.optimiser(network)
        first = min(at_scales, key=lambda scale: abs(scale - 1))
        learning = [scale for scale in at_scales if scale >= 1] or list(at_scales)
        rows, order = labels.expand(2, -1), sorted(at_scales, key=lambda scale: scale != first)
        sums: dict[float, Tensor] = {}
        for step in range(self.steps):
            for group in optimiser.param_groups:
                group["lr"] = group["initial_lr"] * (1 - step / self.steps) ** self.power
            optimiser.zero_grad()
            target = 0.0
            for scale in order:
                with torch.set_grad_enabled(scale in learning):
                    output = network(at_scales[scale], rows)
                shown = network.cam_maps_of(output).detach()[:, labels > 0].relu()
                now = turned_back(shown)
                sums[scale] = sums.get(scale, 0) + now
                if step and scale == first and self.has_spread(now):
                    return self._in_order(sums, at_scales)
                if scale in learning:
                    pooled = (gndp(output.maps, rows, self.threshold) * rows).sum()
                    (-pooled).backward()
                    target += pooled.item()
            self._learn_from(network, *next(others))
            optimiser.step()
            if abs(target) > self.stop:
                break
        return self._in_order(sums, at_scales)

    def optimiser(self, network: Classifier) -> torch.optim.SGD:
        """Return the optimiser of the weights that the training of the classifier changed, too."""
        new = tuple(f"{path}." for path in network.new_layers())
        groups: tuple[list[Tensor], list[Tensor]] = ([], [])
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                groups[f"{name}.".startswith(new)].append(parameter)
        rates = (self.lr, self.lr * self.new_layers_lr)
        given = [
            {"params": group, "lr": rate, "initial_lr": rate}
            for group, rate in zip(groups, rates, strict=True)
        ]
        return torch.optim.SGD(
            given, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay
        )

    def has_spread(self, maps: Tensor) -> bool:
        """Tell whether one of `maps` (K', h, w) is high nearly everywhere."""
        peaks = maps.amax(dim=(1, 2), keepdim=True)
        share = (maps / peaks > self.spread_level).to(maps).mean(dim=(1, 2))  # nan is not above
        return bool((share > self.spread).any())

    def _learn_from(self, network: Classifier, images: Tensor, labels: Tensor) -> None:
        for some, theirs in zip(images.split(_TOGETHER), labels.split(_TOGETHER), strict=True):
            if len(some):
                pooled = gndp(network(some, theirs).maps, theirs, self.threshold)
                (-(pooled * theirs).sum()).backward()

    def _batches(self, photo: Photo, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the other photos of each step."""
        random, labels = self.generator(photo), self._labels
        shared = labels @ np.asarray(photo.labels, np.float32)
        possible = np.flatnonzero((shared == 0) & labels.any(axis=1))
        while True:
            chosen = random.choice(possible, min(self.others, len(possible)), replace=False)
            images = [self.cut(self.photos[int(i)].image, random) for i in chosen]
            empty = np.zeros((0, 3, self.cut.crop, self.cut.crop), np.float32)
            stacked = torch.from_numpy(np.stack(images) if images else empty)
            yield stacked.to(device), torch.from_numpy(labels[chosen]).to(device)

    @cached_property
    def _labels(self) -> np.ndarray:
        """Image-level labels of the photos that may be drawn, (n, K) float32."""
        return (
            self.photos.labels if len(self.photos) else np.zeros((0, len(self.classes)), np.float32)
        )

    @staticmethod
    def _in_order(sums: dict[float, Tensor], at_scales: dict[float, Tensor]) -> list[Tensor]:
        return [sums[scale] for scale in at_scales]


def gndp(maps: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Global non-discriminative pooling of `maps` (N, K, h, w) to (N, K): the mean, of present classes as in `RIB`.

    Args:
        labels: of the rows, (N, K).
    """
    peaks = maps.detach().amax(dim=(2, 3), keepdim=True)
    kept = (maps.detach() / peaks < threshold) | (labels[:, :, None, None] == 0)
    return torch.where(kept, maps, 0).mean(dim=(2, 3))
