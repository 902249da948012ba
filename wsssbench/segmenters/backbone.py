"""Any backbone registered with wsssbench, as a backbone of mmsegmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor, nn

from wsssbench.interfaces import Backbone
from wsssbench.plugins import load


@MODELS.register_module(name="WsssbenchBackbone")
class WsssbenchBackbone(nn.Module):
    """In an mmseg config: ``backbone=dict(type="WsssbenchBackbone", network=dict(type="ResNet38d", ...))``.

    It has no ``init_weights``: mmseg would call that and overwrite pretrained weights.

    Args:
        network: the config of a registered backbone, or one that is built already.
    """

    def __init__(self, network: Mapping[str, Any] | Backbone) -> None:
        super().__init__()
        if isinstance(network, Backbone):
            self.network = network
        else:
            self.network = load().registries.backbone.build(network, where="segmenter.backbone")

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        features: tuple[Tensor, ...] = self.network(images)
        return features
