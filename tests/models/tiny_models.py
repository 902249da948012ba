"""The smallest backbone and pooling, for tests of what is around them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wsssbench.interfaces import Backbone, Classifier, Pooled, Pooling


class TinyBackbone(Backbone):
    """Two strided convolutions with batch normalisation: strides 2 and 4."""

    channels = (5, 6)
    strides = (2, 4)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 5, 3, 2, 1), nn.BatchNorm2d(5), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(5, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        fine = self.first(images)
        return fine, self.second(fine)


class ScaledMean(Pooling):
    """Spatial mean times a learned factor per class."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(num_classes))

    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(maps.mean((2, 3)) * self.factor, attention=maps.sigmoid())


def tiny_classifier(num_classes: int = 3, seed: int = 0, **kwargs) -> Classifier:
    torch.manual_seed(seed)
    return Classifier(TinyBackbone(), ScaledMean(num_classes), num_classes, **kwargs)
