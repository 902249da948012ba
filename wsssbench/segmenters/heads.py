"""Decode heads mmsegmentation lacks, for its configs, too: DeepLab-LargeFOV, two dilated convolutions, DeepLab-v2."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module(name="WsssbenchLargeFOVHead")
class LargeFOVHead(BaseDecodeHead):
    """DeepLab-LargeFOV (Chen et al., ICLR 2015): one atrous 3 x 3 convolution with a large field of view.

    3 x 3 with `dilation` -> 1 x 1 -> 1 x 1 to the classes. With a `norm_cfg`, the form in which SEAM, CPN and others
    use it on ResNet38d: both hidden layers are normalised, one dropout before the last layer. Without, fc6 and fc7 of
    the paper's VGG-16: convolution with bias, ReLU and dropout each.
    """

    def __init__(self, dilation: int = 12, **arguments: Any) -> None:
        super().__init__(**arguments)
        style = {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        first = ConvModule(
            self.in_channels, self.channels, 3, padding=dilation, dilation=dilation, **style
        )
        second = ConvModule(self.channels, self.channels, 1, **style)
        between = [] if self.norm_cfg else [nn.Dropout(self.dropout_ratio)]
        self.convs = nn.Sequential(first, *between, second)
        # Single values are dropped, not channels as in mmseg's heads.
        self.dropout = nn.Dropout(self.dropout_ratio)

    def fc6_fc7(self) -> list[tuple[Any, Any]]:
        """The convolutions that stand for VGG's fully connected layers."""
        return [(self.convs[0].conv, self.convs[-1].conv)]

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Feature maps, coarse last (N, C, h, w) -> logits (N, classes, h, w)."""
        x = self._transform_inputs(inputs)
        logits: Tensor = self.cls_seg(self.convs(x))
        return logits


@MODELS.register_module(name="WsssbenchDilatedHead")
class DilatedHead(BaseDecodeHead):
    """Two 3 x 3 convolutions with `dilation` and bias, ReLU between: Net_dl of KAIST-vilab/AEFT, networks/resnet38d.py.

    Weights start from Glorot & Bengio's uniform values, biases from PyTorch's.
    """

    def __init__(self, dilation: int = 12, **arguments: Any) -> None:
        super().__init__(init_cfg=None, **arguments)
        self.hidden = nn.Conv2d(
            self.in_channels, self.channels, 3, padding=dilation, dilation=dilation
        )
        self.conv_seg = nn.Conv2d(
            self.channels, self.out_channels, 3, padding=dilation, dilation=dilation
        )
        for layer in (self.hidden, self.conv_seg):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Feature maps, coarse last (N, C, h, w) -> logits (N, classes, h, w)."""
        x = self._transform_inputs(inputs)
        logits: Tensor = self.conv_seg(self.hidden(x).relu())
        return logits


@MODELS.register_module(name="WsssbenchDeepLabV2Head")
class DeepLabV2Head(BaseDecodeHead):
    """DeepLab-v2 (Chen et al., TPAMI 2018): atrous 3 x 3 convolutions at several rates, the branches' logits summed.

    On ResNet-101 a branch is the classifier itself (`hidden` = None). On VGG-16 (ASPP, Fig. 7) it is fc6-fc7-fc8: the
    atrous convolution and a 1 x 1 one to `hidden` channels, each with ReLU and dropout, then the 1 x 1 classifier.
    """

    def __init__(
        self,
        dilations: Sequence[int] = (6, 12, 18, 24),
        hidden: int | None = None,
        dropout: float = 0.5,
        **arguments: Any,
    ) -> None:
        super().__init__(channels=1, dropout_ratio=0, init_cfg=None, **arguments)
        del self.conv_seg  # the branches classify
        self.branches = nn.ModuleList(
            self._classifier(self.in_channels, 3, rate)
            if hidden is None
            else self._branch(rate, hidden, dropout)
            for rate in dilations
        )

    def _branch(self, rate: int, hidden: int, dropout: float) -> nn.Sequential:
        return nn.Sequential(
            OrderedDict(
                fc6=ConvModule(self.in_channels, hidden, 3, padding=rate, dilation=rate),
                drop6=nn.Dropout(dropout),
                fc7=ConvModule(hidden, hidden, 1),
                drop7=nn.Dropout(dropout),
                fc8=self._classifier(hidden, 1, 1),
            )
        )

    def _classifier(self, channels: int, size: int, rate: int) -> nn.Conv2d:
        padding = rate * (size // 2)
        layer = nn.Conv2d(channels, self.num_classes, size, padding=padding, dilation=rate)
        nn.init.normal_(layer.weight, std=0.01)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
        return layer

    def fc6_fc7(self) -> list[tuple[Any, Any]]:
        """Of each branch, the convolutions that stand for VGG's fully connected layers."""
        branches: list[Any] = list(self.branches)
        return [(branch.fc6.conv, branch.fc7.conv) for branch in branches]

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Feature maps, coarse last (N, C, h, w) -> logits (N, classes, h, w)."""
        x = self._transform_inputs(inputs)
        logits: Tensor = sum(branch(x) for branch in self.branches)
        return logits
