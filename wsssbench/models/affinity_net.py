"""AffinityNet's embedding: pixels of one object get similar vectors (Ahn & Kwak, CVPR 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsssbench.interfaces import Backbone


class AffinityNet(nn.Module):
    """Embeds the last feature maps of a backbone on one grid.

    Each of the last `levels` maps goes through its own 1 x 1 convolution and ELU, is resized to the
    grid, and a last 1 x 1 convolution with ELU mixes them all.

    Args:
        backbone: images -> feature maps.
        levels: how many of its maps, from the coarsest on.
        channels: of each map's embedding, finest first (64, 128, 256 on ResNet38's 512, 1024,
            4096).
        stride: of the grid.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        levels: int = 3,
        channels: tuple[int, ...] = (64, 128, 256),
        stride: int = 8,
    ) -> None:
        super().__init__()
        if not 1 <= levels <= len(backbone.channels):
            raise ValueError(
                f"levels={levels}, but the backbone has {len(backbone.channels)} feature maps"
            )
        if len(channels) != levels:
            raise ValueError(
                f"channels={channels}, but has to hold one number per level ({levels})"
            )
        if stride < 1:
            raise ValueError(f"stride={stride}, but has to be at least 1")
        self.backbone = backbone
        self.levels = levels
        self.stride = stride
        given = backbone.channels[-levels:]
        self.embed_levels = nn.ModuleList(
            nn.Conv2d(c_in, c_out, 1, bias=False)
            for c_in, c_out in zip(given, channels, strict=True)
        )
        self.embed_all = nn.Conv2d(sum(channels), sum(channels), 1, bias=False)
        for weight in self.embed_levels.parameters():
            nn.init.kaiming_normal_(weight)
        # a wide start: the affinities exp(-mean|a - b|) of near-equal vectors would all be 1
        nn.init.xavier_uniform_(self.embed_all.weight, gain=4.0)

    def forward(self, images: Tensor) -> Tensor:
        """Embed `images` (N, 3, H, W): (N, sum(channels), ceil(H / stride), ceil(W / stride))."""
        grid = [-(-n // self.stride) for n in images.shape[-2:]]
        features = self.backbone(images)[-self.levels :]
        embedded = []
        for layer, x in zip(self.embed_levels, features, strict=True):
            level = F.elu(layer(x))
            if list(level.shape[-2:]) != grid:
                level = F.interpolate(level, grid, mode="bilinear", align_corners=False)
            embedded.append(level)
        return F.elu(self.embed_all(torch.cat(embedded, dim=1)))
