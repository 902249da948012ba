"""A backbone that keeps its contract, and backbones that break it at one point each."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.interfaces import Backbone


class Good(Backbone):
    """Two strided convolutions with batch normalisation."""

    channels: tuple[int, ...] = (5, 6)
    strides: tuple[int, ...] = (2, 4)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 5, 3, 2, 1), nn.BatchNorm2d(5), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(5, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        fine = self.first(images)
        return fine, self.second(fine)


class OtherStages(Good):
    def stage_features(self, images: Tensor) -> tuple[Tensor, ...]:
        fine, coarse = self(images)
        return fine, coarse + 1


class UndeclaredStem(Good):
    def stage_features(self, images: Tensor) -> tuple[Tensor, ...]:
        return images, *self(images)


class NoStrides(Good):
    strides = ()


class WrongChannels(Good):
    channels = (5, 7)


class ReturnsList(Good):
    def forward(self, images: Tensor) -> list[Tensor]:
        return list(super().forward(images))


class RoundsDown(Good):
    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        height, width = (n // 4 * 4 for n in images.shape[-2:])
        return super().forward(images[..., :height, :width])


class StandardisedBatch(Good):
    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return super().forward(images - images.mean(0, keepdim=True))


class IdleParameter(Good):
    def __init__(self) -> None:
        super().__init__()
        self.third = nn.Conv2d(6, 6, 1)


class RandomInEval(Good):
    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return super().forward(F.dropout(images))


class InPlace(Good):
    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return super().forward(images.mul_(2))


class SinglePrecision(Good):
    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        fine, coarse = super().forward(images)
        return fine, coarse.view(torch.float32).reshape(coarse.shape)


class UnknownNewLayer(Good):
    new_layers = ("second", "thrid")


class FrozenNewLayer(Good):
    new_layers = ("first",)

    def __init__(self) -> None:
        super().__init__()
        self.first.requires_grad_(False)


class LostState(Good):
    def __init__(self) -> None:
        super().__init__()
        self.drawn = torch.rand(())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return super().forward(images + self.drawn)


class WithLambda(Good):
    def __init__(self) -> None:
        super().__init__()
        self.activation = lambda x: x
