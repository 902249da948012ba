"""BES's attention pooling: the places at which a channel of the features is active count more."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from wsssbench.interfaces import Pooled, Pooling


class AttentionPooling(Pooling):
    """Attention pooling of BES (Chen et al., ECCV 2020), on the features x (N, C, h, w) before the head.

    For each channel c: a_c = softmax over the places of k x_c, a constant in the backward pass; the pooled feature is
    the sum of a_c x_c over the places, and the logits are the head of the pooled features. CAMs are made without it, of
    the class maps. For k = 0 it is global average pooling, for k to infinity the maximum of each channel.

    This is how the released code (https://github.com/mt-cly/BES) computes it, and k is its 1e-3: an activation 10 above
    the others then counts 1 % more, so that it hardly differs from the average. The paper's own value could not be
    verified [?]; another k tells more about the idea. There the first stages of the network learn nothing, too, which
    is a matter of the backbone here.

    Args:
        num_classes: K; supplied by the toolkit, not needed here.
        k: sharpness of the attention, in 1 / unit of the features.
    """

    def __init__(
        self, num_classes: int, *, k: Annotated[float, Field(ge=0, le=1000)] = 1e-3
    ) -> None:
        super().__init__()
        self.k = k

    def pool(self, maps: Tensor, features: Tensor, head: nn.Conv2d) -> Pooled:
        """Pool `features` (N, C, h, w) to logits (N, K), half precision in float32.

        Their attention has no place in `Pooled`, as it is one of channels and not of classes.
        """
        at_least_float32 = torch.promote_types(features.dtype, torch.float32)
        flat = features.flatten(2).to(at_least_float32)  # (N, C, h * w)
        attention = (self.k * flat.detach()).softmax(dim=2)
        pooled = (attention * flat).sum(dim=2)  # (N, C)
        # no matrix product: autocast would compute that in half precision
        return Pooled((pooled[:, None] * head.weight.flatten(1).to(at_least_float32)).sum(dim=2))

    def forward(self, maps: Tensor) -> Pooled:
        """Refuse: class maps alone do not say what the features were."""
        raise TypeError("AttentionPooling pools features: call pool(maps, features, head)")
