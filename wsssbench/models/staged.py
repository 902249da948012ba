"""The base of converted classification networks: a chain of stages, one per resolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wsssbench.interfaces import Backbone
from wsssbench.models.dilation import check_output_stride, dilate
from wsssbench.models.freeze import freeze, freeze_norms, keep_frozen_in_eval

_FINEST = 4  # stride of the first feature map that is returned
_PROBE = (61, 75)  # odd and even sizes at every level


class StagedBackbone(Backbone):
    """A network as `stages`, each at half the resolution of the one before until the output stride.

    Args:
        chain: modules whose composition is the network; they are changed in place.
        output_stride: 8, 16 or 32; beyond it, strides become dilation.
        frozen_stages: how many of the first stages training leaves alone.
        frozen_norm: normalisation layers keep their statistics and affine parameters everywhere.

    Raises:
        ValueError: the network cannot be converted, or there are fewer stages than `frozen_stages`.
    """

    def __init__(
        self, chain: Sequence[nn.Module], output_stride: int, frozen_stages: int, frozen_norm: bool
    ) -> None:
        super().__init__()
        check_output_stride(output_stride)
        self.stages = nn.ModuleList(dilate(chain, output_stride))
        if not 0 <= frozen_stages <= len(self.stages):
            raise ValueError(
                f"frozen_stages={frozen_stages}, but has to be from 0 to {len(self.stages)}"
            )
        self._probe(output_stride)
        for stage in self.stages[:frozen_stages]:
            freeze(stage)
        if frozen_norm:
            freeze_norms(self)

    def _probe(self, output_stride: int) -> None:
        """Find channels and strides, and make sure that maps are ceil(size / stride) large."""
        modes = [(part, part.training) for part in self.modules()]
        self.eval()
        self._pooled_stem = False
        with torch.no_grad():
            probe = torch.zeros(1, 3, *_PROBE)
            strides = [_matching_stride(x, output_stride) for x in self.stage_features(probe)]
            self._first_tap = sum(stride < _FINEST for stride in strides)
            self._pooled_stem = self._first_tap > 0 and _begins_with_pooling(self.stages[1:])
            maps = self.stage_features(probe)
        for part, mode in modes:
            part.training = mode
        self._stage_channels = tuple(x.shape[1] for x in maps)
        self._stage_strides = tuple(_matching_stride(x, output_stride) for x in maps)
        self.channels = self._stage_channels[self._first_tap :]
        self.strides = self._stage_strides[self._first_tap :]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return self.stage_features(images)[self._first_tap :]

    @property
    def stage_channels(self) -> tuple[int, ...]:
        return self._stage_channels

    @property
    def stage_strides(self) -> tuple[int, ...]:
        return self._stage_strides

    def stage_features(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the map of every stage; that of the stem is taken behind the pooling that follows it, if one does."""
        x = images
        features: list[Tensor] = []
        for i, stage in enumerate(self.stages):
            if i == 1 and self._pooled_stem:
                x = features[0] = stage[0](x)  # type: ignore[index]
                stage = stage[1:]  # type: ignore[index]
            x = stage(x)
            features.append(x)
        return tuple(features)

    def train(self, mode: bool = True) -> StagedBackbone:
        """Switch between training and evaluation; what is frozen stays in evaluation mode."""
        super().train(mode)
        keep_frozen_in_eval(self)
        return self


def _begins_with_pooling(stages: nn.ModuleList) -> bool:
    first = next(iter(stages), None)
    return isinstance(first, nn.Sequential) and isinstance(first[0], (nn.MaxPool2d, nn.AvgPool2d))


def _matching_stride(x: Tensor, output_stride: int) -> int:
    """The stride s with map size ceil(size / s) for the probe."""
    height, width = _PROBE
    stride = 1
    while stride <= output_stride:
        if x.shape[-2:] == (-(-height // stride), -(-width // stride)):
            return stride
        stride *= 2
    raise ValueError(
        f"its maps are {tuple(x.shape[-2:])} for an image of {_PROBE}, not ceil(size / stride)"
    )
