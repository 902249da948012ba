"""SSDD's network: a segmentation head, and a head that tells where a given mask is not to be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.interfaces import IGNORE, Backbone

_EPSILON = 1e-3  # of the batch normalisations


class DifferenceNet(nn.Module):
    """Segments an image, and detects of each given mask in which cells it differs from another one.

    The segmentation head reads the backbone's last map and learns it; what it has before its last layer, and an early
    map of the backbone, are what the difference head reads, without a gradient. Batch normalisation stays in evaluation
    mode everywhere, so that of the heads, which starts without statistics, is a learned scale and shift.

    Reflected borders cannot be as wide as the map: smaller images are padded at the right and below.

    Args:
        backbone: images -> feature maps.
        labels: L, the number of labels, background included.
        stride: pixels per cell of the grid.
        hidden: channels in the segmentation head.
        width: channels in the difference head.
        dilation: of the segmentation head.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        labels: int,
        stride: int = 4,
        hidden: int = 512,
        width: int = 256,
        dilation: int = 12,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.stride = stride
        # the coarsest of those that are finer than the grid
        finer = [n for n, one in enumerate(backbone.stage_strides) if one < stride]
        self._early = finer[-1] if finer else 0
        self.segmentation = SegmentationHead(backbone.channels[-1], hidden, labels, dilation)
        early = backbone.stage_channels[self._early]
        self.difference = DifferenceHead(hidden + early, labels, width)

    def train(self, mode: bool = True) -> DifferenceNet:
        """Switch between training and evaluation; batch normalisation stays in evaluation mode."""
        super().train(mode)
        for part in self.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.eval()
        return self

    def forward(self, images: Tensor, masks: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Read `images` (N, 3, H, W) and `masks` (N, h, w) of labels, on the grid (ceil(H / stride), ...).

        Returns:
            Logits of the labels (N, L, h, w), and for each mask the logits (N, h, w) that it is different.
        """
        height, width = images.shape[-2:]
        below, right = self._padding(height), self._padding(width)
        features = self.backbone.stage_features(F.pad(images, (0, right, 0, below)))
        logits, hidden = (
            self._on_grid(x, self.backbone.strides[-1]) for x in self.segmentation(features[-1])
        )
        early = features[self._early].detach()
        early = self._on_grid(early, self.backbone.stage_strides[self._early])
        rows, columns = -(-height // self.stride), -(-width // self.stride)
        edge = (0, logits.shape[-1] - columns, 0, logits.shape[-2] - rows)
        filled = [F.pad(mask, edge, value=IGNORE) for mask in masks]
        differences = self.difference(torch.cat([hidden.detach(), early], dim=1), filled)
        return logits[..., :rows, :columns], [d[..., :rows, :columns] for d in differences]

    def _padding(self, length: int) -> int:
        coarsest = self.backbone.strides[-1]
        whole = max(self.stride, coarsest)  # powers of 2
        least = max(length, (self.segmentation.dilation + 1) * coarsest)
        return -(-least // whole) * whole - length

    def _on_grid(self, x: Tensor, stride: int) -> Tensor:
        if stride < self.stride:
            return F.avg_pool2d(x, self.stride // stride)
        if stride > self.stride:
            scale = stride / self.stride
            return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
        return x


class SegmentationHead(nn.Module):
    """3 x 3 convolution with ReLU, and another one to the labels, both dilated and with reflected borders."""

    def __init__(self, given: int, hidden: int, labels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.hidden = nn.Conv2d(given, hidden, 3, dilation=dilation)
        self.norm = nn.BatchNorm2d(hidden, eps=_EPSILON)
        self.logits = nn.Conv2d(hidden, labels, 3, dilation=dilation)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (N, L, h, w), and what the last layer reads (N, hidden, h, w)."""
        hidden = F.relu(self.norm(self.hidden(self._reflected(x))))
        return self.logits(self._reflected(hidden)), hidden

    def _reflected(self, x: Tensor) -> Tensor:
        return F.pad(x, [self.dilation] * 4, mode="reflect")


class DifferenceHead(nn.Module):
    """A residual unit on features of the image beside those of a mask; the same one for every mask."""

    def __init__(self, given: int, labels: int, width: int) -> None:
        super().__init__()
        self.labels = labels
        self.image = _unit(given, width, 3)
        self.mask = _unit(labels, width, 1)
        self.residual = nn.Sequential(
            _unit(2 * width, width, 1), _unit(width, width, 3), *_normalised(width, width, 1)
        )
        self.shortcut = _normalised(2 * width, width, 1)
        self.logit = nn.Conv2d(width, 1, 1, bias=False)

    def forward(self, features: Tensor, masks: Sequence[Tensor]) -> list[Tensor]:
        """Return logits (N, h, w) for each of the `masks` (N, h, w), beside `features` (N, C, h, w) of the image."""
        image = self.image(features)
        return [self._of(image, mask) for mask in masks]

    def _of(self, image: Tensor, mask: Tensor) -> Tensor:
        values = torch.arange(self.labels, device=mask.device)
        is_label = (mask[:, None] == values[:, None, None]).to(image.dtype)  # none where ignored
        both = torch.cat([image, self.mask(is_label)], dim=1)
        logits: Tensor = self.logit(F.relu(self.residual(both) + self.shortcut(both)))
        return logits[:, 0]


def _normalised(given: int, out: int, size: int) -> nn.Sequential:
    convolution = nn.Conv2d(given, out, size, padding=size // 2, padding_mode="reflect", bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out, eps=_EPSILON))


def _unit(given: int, out: int, size: int) -> nn.Sequential:
    return nn.Sequential(*_normalised(given, out, size), nn.ReLU())
