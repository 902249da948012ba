"""ResNet38 "A1", wide and shallow, as the AffinityNet lineage uses it: output stride 8.

Wu, Shen & van den Hengel, "Wider or Deeper: Revisiting the ResNet Model for Visual Recognition",
Pattern Recognition 2019. Units are pre-activated: normalisation and ReLU come before each
convolution, and where a unit changes the width, its shortcut reads the activated map as well. Names
follow the converted weight files of the lineage, so those load as they are.
"""

from __future__ import annotations

from typing import Annotated, cast

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from wsssbench.files.weights import load_into, load_state_dict_file
from wsssbench.interfaces import Backbone
from wsssbench.models.freeze import freeze, freeze_norms, keep_frozen_in_eval
from wsssbench.models.resnet38d_mxnet import from_mxnet

# stage -> its modules; frozen_stages counts these
_STAGES = (
    ("conv1a",),
    ("b2", "b2_1", "b2_2"),
    ("b3", "b3_1", "b3_2"),
    ("b4", "b4_1", "b4_2", "b4_3", "b4_4", "b4_5"),
    ("b5", "b5_1", "b5_2"),
    ("b6",),
    ("b7", "bn7"),
)
# ImageNet's classifier and the lineage's, which weight files may hold
CLASSIFIERS = ("linear1000.", "fc8.", "fc9.", "bn8.")

Dropout = Annotated[float, Field(ge=0, lt=1)]


class ResNet38d(Backbone):
    """ResNet38 at output stride 8: the last two strides of ImageNet training are dilation 2, 4.

    Feature maps at strides 4, 8, 8, 8 with 256, 512, 1024 and 4096 channels: what units b4, b5 and
    b6 read after their first ReLU, and the activated result. The last three are those AffinityNet
    embeds.

    Batch normalisation: with `frozen_norm`, the lineage's policy, running statistics and affine
    parameters are those of the weight file for good. Without, statistics follow the training
    batches with momentum 0.1, which needs a batch much larger than the usual 8.

    Args:
        weights: the published ImageNet weights, ``resnet_38d.params`` (read without MXNet), or the
            file of a PyTorch state dict; a classifier in it is left out. None for random weights,
            which make sense only with ``frozen_stages=0, frozen_norm=False``.
        frozen_stages: how many stages of conv1a, b2, b3, b4, b5, b6, b7 stay as they are.
        frozen_norm: see above.
        dropout: share of channels dropped inside b6 and b7: (0.3, 0.5) in AffinityNet, (0.2, 0.2)
            in AEFT's code.
    """

    channels = (256, 512, 1024, 4096)
    strides = (4, 8, 8, 8)
    stage_channels = (64, 128, *channels)
    stage_strides = (1, 2, *strides)

    def __init__(
        self,
        *,
        weights: str | None = None,
        frozen_stages: Annotated[int, Field(ge=0, le=len(_STAGES))] = 2,
        frozen_norm: bool = True,
        dropout: tuple[Dropout, Dropout] = (0.3, 0.5),
    ) -> None:
        super().__init__()
        if not 0 <= frozen_stages <= len(_STAGES):
            raise ValueError(
                f"frozen_stages={frozen_stages}, but has to be from 0 to {len(_STAGES)}"
            )
        if not all(0 <= p < 1 for p in dropout):
            raise ValueError(f"dropout={dropout}, but both have to be in [0, 1)")
        self.conv1a = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self._add_units("b2", 3, 64, 128, 128, stride=2)
        self._add_units("b3", 3, 128, 256, 256, stride=2)
        self._add_units("b4", 6, 256, 512, 512, stride=2)
        self._add_units("b5", 3, 512, 512, 1024, dilation=2)
        self.b6 = _Bottleneck(1024, 2048, dilation=4, dropout=dropout[0])
        self.b7 = _Bottleneck(2048, 4096, dilation=4, dropout=dropout[1])
        self.bn7 = nn.BatchNorm2d(4096)
        if weights is not None:
            state = load_state_dict_file(weights, from_mxnet)
            load_into(self, state, f"weight file {weights}", ignore=CLASSIFIERS)
        for name in (name for stage in _STAGES[:frozen_stages] for name in stage):
            freeze(self.get_submodule(name))
        if frozen_norm:
            freeze_norms(self)

    def _add_units(
        self,
        name: str,
        count: int,
        given: int,
        inner: int,
        out: int,
        *,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        """Add units `name`, `name`_1, ...: only the first changes stride and width."""
        # the first convolution still reads the map of the stage before, hence undilated
        self.add_module(name, _Unit(given, inner, out, stride, (1, dilation)))
        for i in range(1, count):
            self.add_module(f"{name}_{i}", _Unit(out, inner, out, 1, (dilation, dilation)))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return self.stage_features(images)[2:]

    def stage_features(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return what units b2 and b3 read after their first ReLU, and the maps of `forward`."""
        x = self.conv1a(images)
        features = []
        for name in (name for stage in _STAGES[1:-1] for name in stage):
            unit = cast(_PreActivated, self.get_submodule(name))
            activated = unit.activate(x)
            if name in ("b2", "b3", "b4", "b5", "b6"):
                features.append(activated)
            x = unit.from_activated(activated, x)
        features.append(F.relu(self.bn7(self.b7(x))))
        return tuple(features)

    def train(self, mode: bool = True) -> ResNet38d:
        """Switch between training and evaluation; what is frozen stays in evaluation mode."""
        super().train(mode)
        keep_frozen_in_eval(self)
        return self


class _PreActivated(nn.Module):
    """A unit: branch2(a) + shortcut, a = ReLU(BN(x)); the shortcut is x, or a convolution of a."""

    def __init__(self, given: int, out: int, stride: int) -> None:
        super().__init__()
        self.bn_branch2a = nn.BatchNorm2d(given)
        self.changes = given != out or stride != 1
        if self.changes:
            self.conv_branch1 = nn.Conv2d(given, out, 1, stride, bias=False)

    def activate(self, x: Tensor) -> Tensor:
        return F.relu(self.bn_branch2a(x))

    def from_activated(self, activated: Tensor, x: Tensor) -> Tensor:
        """The unit's result for x, given its `activated` version."""
        shortcut = self.conv_branch1(activated) if self.changes else x
        return self.branch2(activated) + shortcut

    def branch2(self, activated: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.from_activated(self.activate(x), x)


class _Unit(_PreActivated):
    """Two 3 x 3 convolutions, given -> inner -> out channels."""

    def __init__(
        self, given: int, inner: int, out: int, stride: int, dilations: tuple[int, int]
    ) -> None:
        super().__init__(given, out, stride)
        self.conv_branch2a = _conv3x3(given, inner, stride, dilations[0])
        self.bn_branch2b1 = nn.BatchNorm2d(inner)
        self.conv_branch2b1 = _conv3x3(inner, out, 1, dilations[1])

    def branch2(self, activated: Tensor) -> Tensor:
        x = self.conv_branch2a(activated)
        result: Tensor = self.conv_branch2b1(F.relu(self.bn_branch2b1(x)))
        return result


class _Bottleneck(_PreActivated):
    """1 x 1 to out / 4, 3 x 3 to out / 2, 1 x 1 to out channels; dropout before the last two."""

    def __init__(self, given: int, out: int, dilation: int, dropout: float) -> None:
        super().__init__(given, out, stride=1)
        self.conv_branch2a = nn.Conv2d(given, out // 4, 1, bias=False)
        self.bn_branch2b1 = nn.BatchNorm2d(out // 4)
        self.conv_branch2b1 = _conv3x3(out // 4, out // 2, 1, dilation)
        self.bn_branch2b2 = nn.BatchNorm2d(out // 2)
        self.conv_branch2b2 = nn.Conv2d(out // 2, out, 1, bias=False)
        self.dropout = nn.Dropout2d(dropout)

    def branch2(self, activated: Tensor) -> Tensor:
        x = self.conv_branch2a(activated)
        x = self.conv_branch2b1(self.dropout(F.relu(self.bn_branch2b1(x))))
        result: Tensor = self.conv_branch2b2(self.dropout(F.relu(self.bn_branch2b2(x))))
        return result


def _conv3x3(given: int, out: int, stride: int, dilation: int) -> nn.Conv2d:
    return nn.Conv2d(given, out, 3, stride, padding=dilation, dilation=dilation, bias=False)
