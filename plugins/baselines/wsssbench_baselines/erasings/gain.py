"""GAIN: where the attention of a class is erased, the classifier must not find that class any more."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from wsssbench.interfaces import Batch, Classifier, Erasing, Losses, Output
from wsssbench.ops.cam import normalise


class GAIN(Erasing):
    """Attention mining by the network's own classification (Li et al., CVPR 2018, section 3.1).

    For each present class c of an image I: A_c = ReLU(f_c) / max ReLU(f_c), enlarged to the image (H, W); the soft
    mask T_c = sigmoid(omega (A_c - sigma)); the erased image I*_c = I - T_c I, where 0 is the mean colour. The same
    network has to find c in I*_c as little as possible: L_am is the mean over the present classes of the probability
    of c given I*_c, then over the images, of which those without a class count as 0. The loss is L_cls + weight L_am.
    No gradient stops: it passes the mask, so that the attention grows until nothing of c is left.

    The attention is the paper's Grad-CAM of what the head reads. Behind global average pooling and a linear head it is
    the class map times a positive constant, which the division takes out again; behind another pooling the class map
    itself is taken, which is no Grad-CAM then. There is no extra supervision: the variant GAIN_ext, which learns from
    masks as well, is not part of this.

    There is no released code, and the paper's constants were not found in public [?]. Three re-implementations agree on
    the defaults here; others have omega = 100, sigma = 0.25 and weights of 0.8 and 0.2, or omega = 8 and sigma = 0.5.
    Also unverified [?]: that the score in L_am is a probability (some take the softmax's maximum), how the paper
    normalises the attention, and whether its gradient includes that of Grad-CAM's channel weights, as here: elsewhere
    they are constants (ngxbac/GAIN at 8378093, which divides by extremes of the whole batch, too).

    Args:
        num_classes: K; supplied by the toolkit, not needed here.
        channels: of the backbone; supplied by the toolkit, not needed here.
        weight: alpha, of L_am. With 0 the classifier is not run again.
        omega: steepness of the mask.
        sigma: activation at which half of the image is erased.
    """

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        weight: Annotated[float, Field(ge=0, le=1000)] = 1.0,
        omega: Annotated[float, Field(gt=0, le=1e6)] = 10.0,
        sigma: Annotated[float, Field(ge=0, le=1)] = 0.5,
    ) -> None:
        super().__init__()
        self.weight, self.omega, self.sigma = weight, omega, sigma

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The term ``mining``: one more pass, with an image for each present class of each image."""
        if not self.weight:
            return Losses({})
        owner, label = (batch.labels > 0).nonzero(as_tuple=True)  # (P,) both
        if not len(owner):
            return Losses({"mining": output.maps.new_zeros((), dtype=torch.float32)})
        attention = normalise(output.maps[owner, label])[:, None]  # (P, 1, h, w)
        images = batch.images[owner]
        erased: Output = classifier(erase(images, attention, self.omega, self.sigma))
        found = erased.logits.gather(1, label[:, None])[:, 0]
        found = found.to(torch.promote_types(found.dtype, torch.float32)).sigmoid()
        share = 1 / (batch.labels > 0).sum(dim=1)[owner]  # of the image's mean over its classes
        return Losses({"mining": self.weight * (found * share).sum() / len(batch.labels)})


def erase(images: Tensor, attention: Tensor, omega: float, sigma: float) -> Tensor:
    """I - sigmoid(omega (A - sigma)) I, (N, 3, H, W), of `images` and the `attention` A, (N, 1, h, w) in [0, 1]."""
    at_pixels = F.interpolate(attention, images.shape[-2:], mode="bilinear", align_corners=False)
    mask = torch.sigmoid(omega * (at_pixels - sigma))
    return images - mask.to(images.dtype) * images
