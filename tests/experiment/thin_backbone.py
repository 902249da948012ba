"""The smallest backbone that has weights of its own: two convolutions with batch normalisation."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.files.weights import load_into, load_state_dict_file
from wsssbench.interfaces import Backbone


class Thin(Backbone):
    """Strides 4 and 16."""

    channels = (6, 8)
    strides = (4, 16)

    def __init__(self, *, weights: str | None = None, frozen: bool = False) -> None:
        super().__init__()
        if frozen:
            raise ValueError("frozen=True, but this backbone cannot be frozen")
        self.first = nn.Sequential(nn.Conv2d(3, 6, 4, 4), nn.BatchNorm2d(6), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(6, 8, 4, 4), nn.BatchNorm2d(8), nn.ReLU())
        if weights is not None:
            load_into(self, load_state_dict_file(weights), f"weight file {weights}")

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        height, width = images.shape[-2:]
        first = self.first(F.pad(images, (0, -width % 16, 0, -height % 16)))
        fine = first[..., : -(-height // 4), : -(-width // 4)]
        return fine, self.second(first)
