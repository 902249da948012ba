"""SeeNet: erasing that is told where to stop, by what is certainly background."""

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

Share = Annotated[float, Field(ge=0, le=1)]


class SeeNet(Erasing):
    """Self-erasing (Hou et al., NeurIPS 2018, section 3): two more branches behind the classifier, branch A.

    With x the last features (C, h, w) and f the classifier's class maps (K, h, w): M is the largest value at each place
    of min-max ReLU(f) of the present classes, (h, w) in [0, 1]. The ternary mask T is 0 where M > high, -1 where
    M < low and 1 between.

    * Branch B sees C-ReLU(x) = ReLU(x) T, what is certainly background with its sign turned, and has to find the
      image's classes: its maps g grow over the rest of the object, and not into the background.
    * Branch C sees ReLU(x) where M <= background, so no object, and has to find no class at all.

    Logits are spatial means, and the loss is the sum of all three binary cross-entropies. The masks are comparisons and
    pass no gradient; all three losses train the backbone. CAMs are inferred from max(min-max ReLU(f), min-max ReLU(g)),
    where unknown labels are replaced by the predicted classes.

    **Without saliency**: the paper's pseudo-labels take their background from a saliency network, which is extra
    supervision and not part of this. Its published numbers have it.

    Only the network for inference was released (https://github.com/Andrew-Qibin/SeeNet), with thresholds 0.8 and 0: no
    sign is turned there. That its branches B and C share their weights is what the names of its parameters say. The
    defaults for the thresholds are reported as the paper's and were not verified [?], nor were the equal weights, which
    a re-implementation has (Sakura03/SeeNet_Pytorch at f0ce1c3; 0.8, 0.05 and 0.3; heads of their own; its masks reach
    a single channel of the features, by mistake). There branch A has hidden layers; here it is the classifier's head.

    Args:
        num_classes: K; supplied by the toolkit.
        channels: of the backbone; supplied by the toolkit.
        high: above it features are erased for branch B, d_h.
        low: below it they change their sign, d_l. 0: none does.
        background: above it they are erased for branch C. None: (high + low) / 2.
        object_weight: of branch B's loss.
        background_weight: of branch C's loss. 0: there is no branch C.
        shared: branches B and C are one head.
        width: channels of their two hidden layers. The released network's.

    Raises:
        ValueError: `low` is above `high`.
    """

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        high: Share = 0.7,
        low: Share = 0.05,
        background: Share | None = None,
        object_weight: Weight = 1.0,
        background_weight: Weight = 1.0,
        shared: bool = True,
        width: Width = 512,
    ) -> None:
        super().__init__()
        if low > high:
            raise ValueError(f"low={low} is above high={high}: what changes its sign is background")
        self.high, self.low = high, low
        self.background = (high + low) / 2 if background is None else background
        self.object_weight, self.background_weight = object_weight, background_weight
        self.rest = branch(channels[-1], width, num_classes)
        own = background_weight and not shared
        self.no_object = branch(channels[-1], width, num_classes) if own else None

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The terms ``object`` of branch B and ``background`` of branch C."""
        attention = self.attention(output, batch.labels > 0)
        seen = self.rest(self.without_attention(output, attention))
        terms = {"object": self.object_weight * classification_loss(seen, batch.labels)}
        if self.background_weight:
            head = self.rest if self.no_object is None else self.no_object
            loss = classification_loss(
                head(self.without_object(output, attention)), torch.zeros_like(batch.labels)
            )
            terms["background"] = self.background_weight * loss
        return Losses(terms)

    def maps(self, classifier: Classifier, output: Output) -> Tensor:
        """The larger one of the normalised maps of branches A and B, (N, K, h, w) in [0, 1]."""
        seen = self.rest(self.without_attention(output, self.attention(output, present(output))))
        return torch.maximum(min_max(output.maps.relu()), min_max(seen.relu()))

    def attention(self, output: Output, classes: Tensor) -> Tensor:
        """M of the `classes` (N, K) of each image, (N, 1, h, w) in [0, 1]."""
        return strongest(min_max(output.maps.detach().relu()), classes)

    def without_attention(self, output: Output, attention: Tensor) -> Tensor:
        """What branch B sees, C-ReLU(x), (N, C, h, w)."""
        features = output.features[-1].relu()
        return features * ternary(attention, self.high, self.low).to(features.dtype)

    def without_object(self, output: Output, attention: Tensor) -> Tensor:
        """What branch C sees, (N, C, h, w)."""
        features = output.features[-1].relu()
        return features * (attention <= self.background).to(features.dtype)


def ternary(attention: Tensor, high: float, low: float) -> Tensor:
    """T: 0 where the `attention` is above `high`, -1 where it is below `low`, 1 between; of its shape."""
    kept = torch.where(attention < low, -1, 1)
    return torch.where(attention > high, 0, kept)
