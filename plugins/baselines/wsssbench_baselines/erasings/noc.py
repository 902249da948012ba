"""NOC: OC-CSE whose guide learns, too, so that it still knows a class when its striking part is gone (P-NOC)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from wsssbench.interfaces import Batch, Classifier, Erasing, Losses, Output, TrainedClassifier
from wsssbench.parallel.whole_batch import maximum_of_all_ranks
from wsssbench_baselines.erasings.branches import Weight
from wsssbench_baselines.erasings.oc_cse import FLOOR, drawn_classes, loss_of_others


class NOC(Erasing):
    """Class-specific erasing with a not so ordinary classifier (P-NOC: David et al., 2023), beside a classifier.

    Of each image I one of its classes r is drawn, and a = up(ReLU(f_r)) is its map enlarged to the image. A judge that
    was trained before takes part in two ways, with p the progress from 0 to 1:

    * the classifier has to erase r: (weight + slope p) BCE(judge(I (1 - a / max a)), labels without r), with the
      maximum of the whole batch. The judge is in evaluation mode, its weights are constants; the gradient passes the
      erased image and the mask, its maximum too;
    * the judge has to find r elsewhere: (judge_weight + judge_slope p) BCE(judge(I [a / max a <= threshold]), labels),
      with the maximum of each image. The judge is in training mode; the mask has no gradient.

    1e-5 is added to each maximum; 0 is the mean colour; an image without a class adds nothing to the first. The
    judge's step follows the classifier's in the paper, with an optimiser of its own. As neither loss reaches the other
    network, and both see the maps and the weights before either step, that is one step of SGD on both, as here, each
    of the judge's layers at the rate that its own training has for it. P-NOC is this beside Puzzle-CAM's objective.
    The judge is saved with the classifier and not needed for CAMs; its own erasings and objectives do not take part.

    The released code (https://github.com/lucasdavid/PNOC at 6c8950a, scripts/cam/train_pnoc.py), whose values the
    defaults are, does not clear the judge's gradients between the two steps: its judge also follows the first loss,
    towards *not* seeing r, by gradients that were 2 to 9 times its own in a small case. Not copied. Its other ways to
    draw r (balanced, focal, the least chosen) and a judge that learns in every n-th step are not part of this; which of
    the constants the paper names was not verified [?].

    Args:
        num_classes: K; supplied by the toolkit, not needed here.
        channels: of the backbone; supplied by the toolkit, not needed here.
        judge: a stage that trains the ordinary classifier, e.g. of an earlier chain: ``"ordinary.classify"``.
        weight: of the classifier's loss, at the beginning.
        slope: by which it has grown in the end, in proportion to the progress.
        judge_weight: of the judge's loss, at the beginning.
        judge_slope: by which it has grown in the end. With both 0 the judge stays the ordinary classifier.
        threshold: activation above which the image is erased for the judge. 0.2 is the released script's, 0.3 its
            function's.
        pretrained: False: the judge starts from random values.
    """

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        judge: TrainedClassifier,
        weight: Weight = 0.3,
        slope: Weight = 0.7,
        judge_weight: Weight = 0.0,
        judge_slope: Weight = 0.5,
        threshold: Annotated[float, Field(ge=0, lt=1)] = 0.2,
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        self.weight, self.slope = weight, slope
        self.judge_weight, self.judge_slope, self.threshold = judge_weight, judge_slope, threshold
        self.judge = judge.build(trained=pretrained)
        self.judge.erasing, self.judge.objectives = nn.ModuleList(), nn.ModuleList()
        names = [name for name, _ in self.judge.named_parameters()]
        self.new_layers = tuple(
            f"judge.{path}"
            for path in self.judge.new_layers()
            if any(name.startswith(f"{path}.") for name in names)
        )
        if not judge_weight and not judge_slope:
            self.judge.requires_grad_(False)

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The terms ``others`` of the classifier, and ``judge`` if that learns."""
        chosen = torch.tensor(drawn_classes(batch), device=batch.labels.device)
        activation = chosen_activation(output.maps, chosen, batch.images)
        judged = self.judged(soft_masked(batch.images, activation))
        loss = loss_of_others(judged.logits, batch.labels, chosen)
        terms = {"others": (self.weight + self.slope * batch.progress) * loss}
        if self.judge_weight or self.judge_slope:
            erased = hard_masked(batch.images, activation.detach(), self.threshold)
            logits = self.judge(erased).logits
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            loss = F.binary_cross_entropy_with_logits(logits, batch.labels.to(logits.dtype))
            terms["judge"] = (self.judge_weight + self.judge_slope * batch.progress) * loss
        return Losses(terms)

    def judged(self, images: Tensor) -> Output:
        """What the judge says about `images`, in evaluation mode, and with weights that get no gradient."""
        constants = {name: value.detach() for name, value in self.judge.named_parameters()}
        training = self.judge.training
        self.judge.eval()
        output: Output = functional_call(self.judge, constants, (images,))
        self.judge.train(training)
        return output


def chosen_activation(maps: Tensor, chosen: Tensor, images: Tensor) -> Tensor:
    """up(ReLU(f_r)), (N, 1, H, W), of `maps` (N, K, h, w) and classes (N,), of which -1 means none: then it is 0."""
    rows = torch.arange(len(maps), device=maps.device)
    own = maps[rows, chosen.clamp(min=0)][:, None]
    own = own.to(torch.promote_types(own.dtype, torch.float32)).relu()
    own = torch.where(chosen[:, None, None, None] < 0, 0, own)
    return F.interpolate(own, images.shape[-2:], mode="bilinear", align_corners=False)


def soft_masked(images: Tensor, activation: Tensor) -> Tensor:
    """`images` (N, 3, H, W) times one less the `activation` (N, 1, H, W) over its maximum, that of all ranks."""
    mask = activation / (maximum_of_all_ranks(activation) + FLOOR)
    return images * (1 - mask).to(images.dtype)


def hard_masked(images: Tensor, activation: Tensor, threshold: float) -> Tensor:
    """`images` (N, 3, H, W) where the `activation` (N, 1, H, W) over its own maximum is not above `threshold`."""
    share = activation / (activation.amax(dim=(2, 3), keepdim=True) + FLOOR)
    return images * (share <= threshold).to(images.dtype)
