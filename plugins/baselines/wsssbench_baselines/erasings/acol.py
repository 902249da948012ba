"""ACoL: a second head learns from the features that the first one does not rely on."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from wsssbench.interfaces import Batch, Classifier, Erasing, Losses, Output
from wsssbench_baselines.erasings.branches import (
    Weight,
    Width,
    branch,
    classification_loss,
    min_max,
    present,
    strongest,
)


class ACoL(Erasing):
    """Adversarial complementary learning (Zhang et al., CVPR 2018, section 3), for images of several classes.

    With x the last features (C, h, w) and f the classifier's class maps (K, h, w), min-max normalised: E is the largest
    of the present classes' maps at each place, and a second head B sees x [E < threshold]. Its logits are spatial
    means, its loss is the classification loss with the same labels. The mask is a comparison, so no gradient reaches
    the maps through it; both losses train the backbone. CAMs are inferred from max(min-max f, min-max g), where g are
    the maps of B; where labels are not known, the predicted classes are erased. There is no extra supervision.

    Paper and released code (https://github.com/xiaomengyc/ACoL, models/vgg/vgg_v1.py at 8b59d00) have one class per
    image and a softmax: the maximum over the present classes and binary cross-entropy are this toolkit's. No number on
    VOC segmentation was published. Done otherwise in the released code:

    * both heads are two 3 x 3 convolutions and a 1 x 1; here the first is the classifier's own;
    * the features pass a 3 x 3 average pooling first, which counts the zero padding;
    * a constant map gives NaN; here it counts as 0.

    Args:
        num_classes: K; supplied by the toolkit.
        channels: of the backbone; supplied by the toolkit.
        weight: of the second head's loss. 1 in the released code.
        threshold: features are erased where E reaches it. 0.6 is the released code's.
        width: channels of the second head's two hidden layers. 1024 in the released code.
    """

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        weight: Weight = 1.0,
        threshold: Annotated[float, Field(gt=0, le=1)] = 0.6,
        width: Width = 1024,
    ) -> None:
        super().__init__()
        self.weight, self.threshold = weight, threshold
        self.head = branch(channels[-1], width, num_classes)

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The term ``complement``: the weighted classification loss of the second head."""
        maps = self.head(self.erased(output, batch.labels > 0))
        return Losses({"complement": self.weight * classification_loss(maps, batch.labels)})

    def maps(self, classifier: Classifier, output: Output) -> Tensor:
        """The larger one of both heads' normalised maps, (N, K, h, w) in [0, 1]."""
        second = self.head(self.erased(output, present(output)))
        return torch.maximum(min_max(output.maps), min_max(second))

    def erased(self, output: Output, classes: Tensor) -> Tensor:
        """The last features without what is most active of an image's `classes` (N, K): (N, C, h, w)."""
        attention = strongest(min_max(output.maps.detach()), classes)
        features = output.features[-1]
        return features * (attention < self.threshold).to(features.dtype)
