"""AdvCAM: the image climbs the score of a class, and what the class lights up on the way is added up."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from wsssbench.interfaces import Cam, CamInference, Classifier, Output, Photo
from wsssbench_baselines.cams.scales import (
    Multiple,
    Scales,
    cam_of,
    turned_back,
    views,
    with_gradients,
    without_class,
)

Weight = Annotated[float, Field(ge=0, le=1000)]
_TINY = 1e-12  # of divisors, as released


class AdvCAM(CamInference):
    """Anti-adversarially manipulated attributions (Lee, Kim & Yoon, CVPR 2021).

    For each class c of a photo and each scale, alone, two views x_0 (photo and mirror image) climb for T steps. With
    the class maps f of both views, z_k = the sum over the views of mean ReLU(f_k), and the regions R_t of c,

    * R_t = sum over the views of ReLU(sum_k a_k F_k), the mirrored one turned back      (Grad-CAM of sum ReLU(f_c)),
    * J = z_c - suppress x (sum of the other z_k) - restraint x sum over {R_t > threshold x max R_t} of |R_t - R_0|,
    * x_{t+1} = x_t + stepsize x g / max |g|,  g = dJ / dx, cut to the range of values of x_t.

    The CAM is the sum over t and the scales of R_t, the first one being that of the photo itself, over its maximum.
    The set and R_0 are constants for the gradient, and so are the weights a_k of Grad-CAM: the gradient's sum over
    the positions of a view divided by the number of its positive entries in both views. With a head that is a 1 x 1
    convolution without bias, as here, the regions of view b are ReLU(f_c) times m_b / ((m_0 + m_1) p): m_b places of
    view b where f_c > 0, p positive weights of c. That is what is computed, without a second pass. R is smaller than
    ReLU(f_c) by about 2 p (p is around 1000 in a ResNet-50), which `restraint` belongs to.

    Formulas and defaults are those of the released code (https://github.com/jbeomlee93/AdvCAM, commit 2650fcd),
    whose step of 0.08 is ten times that which the paper gives [?]. There, too, all scales have the same weight, though
    the code means to double one, and half the steps are made at scale 0.5. Its maximum is increased by 1e-5, ours is
    not. Its classifier is IRN's, with layer2 trained, too. For ResNet38 classifiers the author recalls
    ``steps=8`` and ``restraint=2`` (issue 7). If an objective makes the class maps that CAMs are inferred from,
    such as SEAM's, the image climbs on the classifier's own, and the others are added up (issue 8).

    It takes long: 398 passes, forwards and back, for each class of a photo, about 25 times a plain CAM's, or more; the
    authors speak of a day for VOC on a large GPU. A killed run has lost the photos at work and no more.

    Args:
        classes: supplied by the toolkit.
        steps: T; at scales up to 0.5 half of it, or 5 if that is fewer and T is not.
        stepsize: of the largest change of a value of the normalised image.
        restraint: weight of the regularisation, lambda; 0: without it.
        threshold: share of the maximum above which a place is held, tau.
        suppress: weight of the other classes' scores; 0: they may rise, too.
        scales: of the image.
        multiple: maps are enlarged to the next multiple of this and cut, as in IRN; 1: to the image's size.
    """

    quick = {"steps": 2}  # noqa: RUF012

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        steps: Annotated[int, Field(ge=1, le=1000)] = 27,
        stepsize: Annotated[float, Field(gt=0, le=100)] = 0.08,
        restraint: Weight = 7.0,
        threshold: Annotated[float, Field(ge=0, le=1)] = 0.5,
        suppress: Weight = 1.0,
        scales: Scales = (0.5, 1.0, 1.5, 2.0),
        multiple: Multiple = 16,
    ) -> None:
        super().__init__(classes)
        self.steps, self.stepsize = steps, stepsize
        self.restraint, self.threshold, self.suppress = restraint, threshold, suppress
        self.scales, self.multiple = scales, multiple

    def infer(self, classifier: Classifier, photo: Photo) -> Cam:
        """CAMs of `photo` for the classes in its labels; the classifier is left in evaluation mode."""
        image, labels = photo.image, np.asarray(photo.labels, np.float32)
        size = (image.shape[0], image.shape[1])
        present = np.flatnonzero(labels > 0)
        if len(present) == 0:
            return without_class(size)
        classifier.eval()
        device = next(classifier.parameters()).device
        given = torch.as_tensor(labels, device=device).expand(2, -1)
        maps = []
        with with_gradients():
            for scale in self.scales:
                start = views(image, scale, device)
                regions = [self.regions(classifier, start, given, int(c), scale) for c in present]
                maps.append(torch.stack(regions))
        return cam_of(maps, present, size, self.multiple)

    def passes(self) -> float:
        return sum(2 * scale**2 * self.steps_at(scale) for scale in self.scales)

    def steps_at(self, scale: float) -> int:
        """Return the steps at a `scale`."""
        if scale > 0.5:
            return self.steps
        return max(self.steps // 2, min(self.steps, 5))

    def regions(
        self, classifier: Classifier, images: Tensor, labels: Tensor, c: int, scale: float
    ) -> Tensor:
        """Return the sum (h, w) of the regions of class `c`, from 0 on, while both views (2, 3, H, W) climb."""
        regions: list[Tensor] = []
        for left in reversed(range(self.steps_at(scale))):
            images = images.detach().requires_grad_()
            output = classifier(images, labels)
            region = regions_of(classifier, output, c)
            regions.append(region.detach())
            if left:
                rising = self.objective(output.maps, region, regions[0], c)
                (gradient,) = torch.autograd.grad(rising, images)
                images = climbed(images.detach(), gradient, self.stepsize)
        return torch.stack(regions).sum(dim=0)

    def objective(self, maps: Tensor, region: Tensor, first: Tensor, c: int) -> Tensor:
        """Return J of class maps (2, K, h, w), the regions of now and those of the first step (h, w)."""
        scores = maps.relu().mean(dim=(2, 3)).sum(dim=0)  # z, (K,)
        share = (
            region.detach() / region.detach().max()
        )  # nan where there is none, which is not above the threshold
        changed = torch.where(share > self.threshold, (region - first).abs(), 0).sum()
        others = scores.sum() - scores[c]
        return scores[c] - self.suppress * others - self.restraint * changed


def regions_of(classifier: Classifier, output: Output, c: int) -> Tensor:
    """Return Grad-CAM's regions R (h, w) of class `c`, from 0 on, of the `output` for both views."""
    maps = output.maps[:, c].detach()
    active = (maps > 0).sum(dim=(1, 2), keepdim=True).to(maps)  # m_b, (2, 1, 1)
    positive = (classifier.head.weight[c] > 0).sum()  # p
    shown = classifier.cam_maps_of(output)[:, c].relu()
    return turned_back(active / (active.sum() * positive + _TINY) * shown)


def climbed(images: Tensor, gradient: Tensor, stepsize: float) -> Tensor:
    """Return both views one step further, no value of them outside the range that they had."""
    step = stepsize * gradient / (gradient.abs().max() + _TINY)
    return torch.clamp(images + step, images.min().item(), images.max().item())
