"""Class re-activation (ReCAM): a second head that has to tell the classes of an image apart."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.errors import UserError
from wsssbench.interfaces import Batch, Classifier, Losses, Objective, Output
from wsssbench.ops.cam import normalise


class ReCAM(Objective):
    """Softmax cross-entropy on the features of each class (Chen et al., CVPR 2022, section 3).

    With x the last features, A = ReLU(f) / max ReLU(f) and u the weights of a second head: the feature of a present
    class k is the mean over space of A_k x, and u has to recognise it as k, by softmax over all K classes. The loss is
    the mean over the present classes of an image, then over the images; those without a class count as 0. Gradients
    pass A and x, through the whole network. CAMs are inferred from the convolution of x with w * u, elementwise, where
    w are the weights of the classifier's head.

    It goes on from a converged classifier: ``classifier.init`` with an earlier chain, see configs/methods/recam_voc.py.

    Released code: https://github.com/zhaozhengChen/ReCAM (net/resnet50_cam.py, step/train_recam.py at 2bdbcd2). It adds
    1e-5 to the divisor of A. That the paper's Table 1 has these three `activation`s, and no other, was not verified.

    Args:
        num_classes: K; supplied by the toolkit.
        channels: of the backbone; supplied by the toolkit.
        weight: of the softmax cross-entropy, lambda. 1 in the released code.
        activation: what x is convolved with for CAMs. ``product``: w * u. ``own``: u. ``classifier``: w, which shows
            what the loss does to the network alone.
    """

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        weight: Annotated[float, Field(gt=0, le=1000)] = 1.0,
        activation: Literal["product", "own", "classifier"] = "product",
    ) -> None:
        super().__init__()
        self.weight, self.activation = weight, activation
        self.head = nn.Conv2d(channels[-1], num_classes, 1, bias=False)  # u

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The term ``softmax``.

        Raises:
            UserError: the classifier has a hidden layer between features and head.
        """
        if classifier.hidden is not None:
            raise UserError(
                "objective ReCAM: its head reads the same features as the classifier's, those of the backbone: set "
                "classifier.hidden=0"
            )
        # Absent classes have no loss, but 0 times an infinite gradient of a tiny map is not 0.
        present = batch.labels[:, :, None, None] > 0
        cam = normalise(torch.where(present, output.maps, output.maps.detach()))
        x = output.features[-1].to(cam.dtype)
        features = torch.einsum("nkhw,nchw->nkc", cam, x) / cam[0, 0].numel()
        logits = F.linear(features, self.head.weight.flatten(1)).to(
            cam.dtype
        )  # (N, K of feature, K)
        loss = -logits.log_softmax(dim=2).diagonal(dim1=1, dim2=2) * batch.labels  # (N, K)
        per_image = loss.sum(dim=1) / batch.labels.sum(dim=1).clamp(min=1)
        return Losses({"softmax": self.weight * per_image.mean()})

    def maps(self, classifier: Classifier, output: Output) -> Tensor:
        """The re-activated class maps, (N, K, h, w)."""
        w, u = classifier.head.weight, self.head.weight
        weight = {"product": w * u, "own": u, "classifier": w}[self.activation]
        return F.conv2d(output.features[-1], weight)
