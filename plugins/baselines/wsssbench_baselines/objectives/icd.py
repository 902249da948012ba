"""Intra-class discriminator (ICD): of the images of a class, which pixels are the class, and which come along."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.interfaces import Batch, Classifier, Losses, Objective, Output
from wsssbench.parallel.whole_batch import mean_of_all_ranks, of_all_ranks
from wsssbench_baselines.objectives.seam import Channels, Weight, at_least_float32
from wsssbench_baselines.objectives.superpixels import (
    memberships,
    need_scikit_image,
    slic_superpixels,
)

FLOOR = 1e-5  # of what divides


class ICD(Objective):
    """Boundaries between foreground and background within each class (Fan, Zhang, Song & Tan, CVPR 2020).

    With x the last features, normalised over the batch, and w_k a direction for each class, of length 1 where it is
    used:

    * bottom-up: L_bu = -`bottom_up` / 2 x mean over images and pixels of y_k (w_k . sg x)^2, of images with one class
      only, so that w_k becomes the direction in which the pixels of the class differ most; sg stops the gradient. Which
      side of it is foreground says the classifier: s_k = +-w_k . x, with - where ReLU(f_k) has been larger on the
      negative side, by running means over the batches;
    * with `superpixels`, s is evened out in each of them, see `evened`;
    * top-down: a branch t of two hidden layers learns whether s is positive, where that is clear.
      L_td = warm x mean over images and pixels of sum over k of y_k [|s_k| > `threshold`] BCE(t_k, s_k > 0), s over its
      largest value where positive, and over its lowest where negative. It trains the backbone, too.
      warm = exp(-10 r), where r is what is left of the warm-up.

    Class maps are t: positive is foreground, and negative is background. Of CAMs, which are made of them, only the
    positive side is left; ``cam=dict(type="ICDScores")`` and ``label=dict(type="ICDSeeds")`` have both, as the
    released code. There is no extra supervision; the saliency that the paper also has a row with is left out.

    Values without a remark are the released code's, https://github.com/js-fan/ICD (run_icd.py,
    core/model/layers_custom/icd.py at f78286a); which of them the paper names was not verified [?]. Otherwise there:

    * batches are normalised, and the signs found, on each GPU alone; here all ranks have those of the whole batch;
    * the branch's hidden layers start from VGG-16's fc6 and fc7, at the rate of the backbone; here they are new;
    * superpixels are made before the training, 64 of a photo, merged by features of VGG-16 from those of another
      algorithm (Felzenszwalb & Huttenlocher, IJCV 2004 [?]); here they are SLIC's, of the crop, while the network
      waits.

    Args:
        num_classes: K; supplied by the toolkit.
        channels: of the backbone; supplied by the toolkit.
        classification_weight: of the classification loss. There it is a sum over the classes, so it is K: 20 on VOC.
        bottom_up: scale of L_bu.
        momentum: of the running means, which begin with 0. A class that no image of a batch has keeps its own.
        top_down: weight of L_td; 0 leaves the branch out, and class maps are s.
        threshold: |s| above which a pixel is clear.
        warmup: share of the schedule in which warm rises from exp(-10) to 1; 0: it is 1. There 2 of 20 epochs.
        widths: channels of the branch's hidden layers, 3 x 3 and 1 x 1.
        superpixels: number of these in a crop, about; None: without. They need scikit-image.
        compactness: of superpixels, see `slic_superpixels`.

    Raises:
        ValueError: scikit-image is not installed.
    """

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        classification_weight: Weight = 20.0,
        bottom_up: Annotated[float, Field(gt=0, le=1000)] = 10.0,
        momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9,
        top_down: Weight = 1.0,
        threshold: Annotated[float, Field(ge=0, lt=1)] = 0.2,
        warmup: Annotated[float, Field(ge=0, le=1)] = 0.1,
        widths: tuple[Channels, Channels] = (1024, 1024),
        superpixels: Annotated[int, Field(ge=2, le=10_000)] | None = None,
        compactness: Annotated[float, Field(gt=0, le=1000)] = 10.0,
    ) -> None:
        super().__init__()
        if superpixels is not None:
            need_scikit_image(f"superpixels={superpixels}")
        self.classification_weight = classification_weight
        self.bottom_up, self.momentum = bottom_up, momentum
        self.top_down, self.threshold, self.warmup = top_down, threshold, warmup
        self.superpixels, self.compactness = superpixels, compactness
        self.norm = BatchStandardisation(channels[-1])
        self.direction = nn.Parameter(torch.empty(num_classes, channels[-1]).normal_(std=0.01))  # w
        # of ReLU(f) on the positive and on the negative side, of each class
        self.sides: Tensor
        self.register_buffer("sides", torch.zeros(num_classes, 2))
        self.branch = Branch(channels[-1], widths, num_classes) if top_down else None
        self.new_layers = ("branch",) if top_down else ()

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The terms ``bottom_up``, which is negative, and ``top_down``."""
        with torch.autocast(output.maps.device.type, enabled=False):
            x = self.norm(output.features[-1])
            labels = batch.labels.to(x.dtype)
            score = self.score(x.detach())  # (N, K, h, w)
            alone = labels * (labels.sum(dim=1, keepdim=True) == 1)
            spread = (score**2).mean(dim=(2, 3)) * alone
            terms = {"bottom_up": -self.bottom_up / 2 * spread.sum(dim=1).mean()}
            if self.training:
                self.update(score.detach(), output.maps.detach(), labels)
            target = self.signed(score.detach())
            if self.branch is not None:
                if self.superpixels is not None:
                    target = self.in_superpixels(batch.images, target, labels)
                loss = top_down_loss(self.branch(x), target, labels, self.threshold)
                terms["top_down"] = self.top_down * self.warm(batch.progress) * loss
        return Losses(terms)

    def maps(self, classifier: Classifier, output: Output) -> Tensor:
        """t, (N, K, h, w); s without the branch. Both have a sign."""
        with torch.autocast(output.maps.device.type, enabled=False):
            x = self.norm(output.features[-1])
            return self.signed(self.score(x)) if self.branch is None else self.branch(x)

    def score(self, x: Tensor) -> Tensor:
        """w_k . x, (N, K, h, w), for normalised features `x` (N, C, h, w)."""
        return F.conv2d(x, F.normalize(self.direction, dim=1)[:, :, None, None])

    def signed(self, score: Tensor) -> Tensor:
        """`score` (N, K, h, w) with the sign that makes the foreground of each class positive."""
        sign = torch.where(self.sides[:, 0] < self.sides[:, 1], -1.0, 1.0).to(score.dtype)
        return score * sign[:, None, None]

    @torch.no_grad()
    def update(self, score: Tensor, maps: Tensor, labels: Tensor) -> None:
        """Let `sides` follow those of a batch: `score` and class `maps` (N, K, h, w), `labels` (N, K)."""
        own, present = of_all_ranks(mean_on_sides(score, maps)), of_all_ranks(labels)
        count = present.sum(dim=0)[:, None]  # (K, 1)
        mean = (own * present[:, :, None]).sum(dim=0) / count.clamp(min=1)
        mean = torch.where(count > 0, mean.to(self.sides.dtype), self.sides)
        self.sides.lerp_(mean, 1 - self.momentum)

    def in_superpixels(self, images: Tensor, score: Tensor, labels: Tensor) -> Tensor:
        """`score` (N, K, h, w) evened out in the superpixels of `images` (N, 3, H, W)."""
        assert self.superpixels is not None
        size = (score.shape[2], score.shape[3])
        made = []
        for image, one, own in zip(images, score, labels, strict=True):
            numbers = slic_superpixels(image, self.superpixels, self.compactness)
            members = memberships(torch.from_numpy(numbers).to(score.device), size)
            made.append(evened(one, members.to(score.dtype), own))
        return torch.stack(made)

    def warm(self, progress: float) -> float:
        """The factor on L_td at a `progress` in [0, 1)."""
        left = max(0.0, 1 - progress / self.warmup) if self.warmup else 0.0
        return math.exp(-10 * left)


class BatchStandardisation(nn.Module):
    """Batch normalisation with a bias and no scale; the statistics are those of the whole batch of all ranks.

    Running statistics have a momentum of 0.9, and the biased variance. It computes at least in float32.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.bias = nn.Parameter(torch.zeros(channels))
        self.mean: Tensor
        self.var: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """`x` (N, C, h, w) with mean `bias` and variance 1 of each channel; by running statistics in evaluation."""
        x = at_least_float32(x)
        mean, var = self.mean, self.var
        if self.training:
            mean = mean_of_all_ranks(x.mean(dim=(0, 2, 3)))
            var = mean_of_all_ranks((x - mean[:, None, None]).square().mean(dim=(0, 2, 3)))
            with torch.no_grad():
                self.mean.lerp_(mean.to(self.mean.dtype), 0.1)
                self.var.lerp_(var.to(self.var.dtype), 0.1)
        scale = (var + self.eps).rsqrt()
        return (x - mean[:, None, None]) * scale[:, None, None] + self.bias[:, None, None]


class Branch(nn.Module):
    """The top-down branch: t of the features beside those of two hidden layers of theirs."""

    def __init__(self, channels: int, widths: tuple[int, int], num_classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.second = nn.Conv2d(widths[0], widths[1], 1)
        self.last = nn.Conv2d(channels + sum(widths), num_classes, 1, bias=False)
        nn.init.normal_(self.last.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """t (N, K, h, w) of features `x` (N, C, h, w)."""
        first = F.relu(self.first(x))
        second = F.relu(self.second(first))
        t: Tensor = self.last(torch.cat([x, first, second], dim=1))
        return t


def mean_on_sides(score: Tensor, maps: Tensor) -> Tensor:
    """The mean of ReLU of `maps` where `score` is positive, and where it is negative: (N, K, 2); 0 where it is nowhere.

    Args:
        score: (N, K, h, w); maps: f, alike.
    """
    active = at_least_float32(maps).relu()
    means = []
    for side in (score > 0, score < 0):
        total = (active * side).sum(dim=(2, 3))
        means.append(total / side.sum(dim=(2, 3)).clamp(min=1))
    return torch.stack(means, dim=2)


def evened(score: Tensor, members: Tensor, labels: Tensor) -> Tensor:
    """`score` s (K, h, w) of an image evened out in its superpixels.

    A superpixel is foreground if, of any class that the image has, more of its pixels are positive than negative. Then
    it is of the one class whose mean of ReLU(s) / max over the classes of s is largest there. That class gets the mean
    of ReLU(s) over the superpixel; all others, and all classes in background, get that of min(s, 0). Classes that the
    image does not have are 0. This is the released code's way; that the paper, too, lets any class vote, and divides by
    the largest class of each pixel, was not verified [?].

    Args:
        score: (K, h, w).
        members: of the S superpixels, (S, h, w), see `memberships`.
        labels: (K,).
    """
    s = score.flatten(1) * labels[:, None]  # (K, hw)
    of = members.flatten(1).T  # (hw, S)
    mean = of / of.sum(dim=0).clamp(min=FLOOR)
    positive, negative = s.relu(), -(-s).relu()
    foreground = (s.sign() @ of).amax(dim=0) > FLOOR  # (S,)
    best = (positive / s.amax(dim=0).clamp(min=FLOOR) @ mean).argmax(dim=0)
    chosen = F.one_hot(best, len(s)).T * foreground * labels[:, None]  # (K, S) in {0, 1}
    level = positive @ mean * chosen + negative @ mean * (1 - chosen)
    return (level @ of.T).view_as(score)


def top_down_loss(t: Tensor, score: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """L_td without its factor, of t and s, (N, K, h, w), for images with `labels` (N, K)."""
    high = score.amax(dim=(2, 3), keepdim=True).clamp(min=FLOOR)
    low = score.amin(dim=(2, 3), keepdim=True).neg().clamp(min=FLOOR)
    clear = torch.where(score > 0, score / high, score / low).abs() > threshold
    target = (score > 0).to(t.dtype)
    loss = F.binary_cross_entropy_with_logits(t, target, reduction="none")
    return (loss * clear * labels[:, :, None, None]).sum(dim=1).mean()
