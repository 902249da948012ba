"""A classifier small enough for loops in float64, which also remembers the images it was given."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wsssbench.interfaces import Backbone, Batch, Classifier, Pooling

K = 4
LABELS = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 1, 0]], dtype=torch.float64)


class TinyBackbone(Backbone):
    channels = (6,)
    strides = (4,)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, kernel_size=3, stride=4, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (torch.tanh(self.conv(images)),)


class Recorder(Classifier):
    """A `Classifier` with `seen`, the list of all images it was run on."""

    def __init__(self, pooling: Pooling) -> None:
        super().__init__(TinyBackbone(), pooling, K)
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor, labels: Tensor | None = None):
        self.seen.append(images)
        return super().forward(images, labels)


def recorder(pooling: Pooling, seed: int = 0) -> Recorder:
    torch.manual_seed(seed)
    return Recorder(pooling).double().eval()


def batch(labels: Tensor = LABELS, size: tuple[int, int] = (24, 20), seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(len(labels), 3, *size, generator=generator, dtype=torch.float64)
    return Batch(images, labels)
