"""The decode heads mmsegmentation lacks: DeepLab-LargeFOV and DeepLab-v2. Registered for mmseg configs, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module(name="WsssbenchLargeFOVHead")
class LargeFOVHead(BaseDecodeHead):
    """DeepLab-LargeFOV (Chen et al., ICLR 2015): one atrous 3 x 3 convolution with a large field of view.

    3 x 3 with `dilation` -> norm, ReLU -> 1 x 1 -> norm, ReLU -> dropout -> 1 x 1 to the classes, the form in which
    SEAM, CPN and others use it on ResNet38d.
    """

    def __init__(self, dilation: int = 12, **arguments: Any) -> None:
        super().__init__(**arguments)
        style = {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        self.convs = nn.Sequential(
            ConvModule(
                self.in_channels, self.channels, 3, padding=dilation, dilation=dilation, **style
            ),
            ConvModule(self.channels, self.channels, 1, **style),
        )
        self.dropout = nn.Dropout(
            self.dropout_ratio
        )  # of single values, not of channels as mmseg's

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Feature maps, coarse last (N, C, h, w) -> logits (N, classes, h, w)."""
        x = self._transform_inputs(inputs)
        logits: Tensor = self.cls_seg(self.convs(x))
        return logits


@MODELS.register_module(name="WsssbenchDeepLabV2Head")
class DeepLabV2Head(BaseDecodeHead):
    """DeepLab-v2 (Chen et al., TPAMI 2018): atrous 3 x 3 classifiers at several rates, their logits summed."""

    def __init__(self, dilations: Sequence[int] = (6, 12, 18, 24), **arguments: Any) -> None:
        super().__init__(channels=1, dropout_ratio=0, init_cfg=None, **arguments)
        del self.conv_seg  # the branches classify
        self.branches = nn.ModuleList(self._branch(rate) for rate in dilations)

    def _branch(self, rate: int) -> nn.Conv2d:
        branch = nn.Conv2d(self.in_channels, self.num_classes, 3, padding=rate, dilation=rate)
        nn.init.normal_(branch.weight, std=0.01)
        assert branch.bias is not None
        nn.init.zeros_(branch.bias)
        return branch

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Feature maps, coarse last (N, C, h, w) -> logits (N, classes, h, w)."""
        x = self._transform_inputs(inputs)
        logits: Tensor = sum(branch(x) for branch in self.branches)
        return logits
