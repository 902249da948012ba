"""IRNet's edge branch, and the crops that it learns from (Ahn, Cho & Kwak, CVPR 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.errors import UserError
from wsssbench.files.artefacts import read_cam, read_label
from wsssbench.files.images import read_image, write_label
from wsssbench.interfaces import IGNORE, Backbone, photo_of
from wsssbench.models.preprocess import normalise, resize_image
from wsssbench.ops.affinity import Offset
from wsssbench.parallel.jobs import ImageJob
from wsssbench.refinements.affinity_training import AffinityCrops, LabelItem, place
from wsssbench_baselines.labellings.confident_seeds import ConfidentSeeds
from wsssbench_baselines.refinements.edge_walk import path_affinities

_GROUPS = 4  # of the group normalisations


class EdgeNet(nn.Module):
    """Edges between objects from the maps of every stage of a frozen backbone.

    Each map goes through a 1 x 1 convolution and group normalisation, is resized to the grid, and then through ReLU;
    a last 1 x 1 convolution reads all of them. Only these layers learn.

    Args:
        backbone: images -> feature maps; it gets no gradient and stays in evaluation mode.
        channels: of each stage's convolution, a multiple of 4.
        stride: pixels per cell of the grid.
    """

    def __init__(self, backbone: Backbone, *, channels: int = 32, stride: int = 4) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(False)
        self.stride = stride
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(given, channels, 1, bias=False), nn.GroupNorm(_GROUPS, channels)
            )
            for given in backbone.stage_channels
        )
        self.edge = nn.Conv2d(channels * len(self.levels), 1, 1)

    def train(self, mode: bool = True) -> EdgeNet:
        """Switch between training and evaluation; the backbone stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Edge logits of `images` (N, 3, H, W): (N, 1, ceil(H / stride), ceil(W / stride))."""
        height, width = images.shape[-2:]
        whole = max(self.stride, self.backbone.stage_strides[-1])  # powers of 2
        with torch.no_grad():
            padded = F.pad(images, (0, -width % whole, 0, -height % whole))
            features = self.backbone.stage_features(padded)
        return self.edges(features, (-(-height // self.stride), -(-width // self.stride)))

    def edges(self, features: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """Edge logits (N, 1, h, w) on the `grid` (h, w) of the backbone's maps, which are cut to it."""
        levels = []
        strides = self.backbone.stage_strides
        for layer, x, stride in zip(self.levels, features, strides, strict=True):
            level = layer(x)
            if stride != self.stride:
                level = F.interpolate(
                    level, scale_factor=stride / self.stride, mode="bilinear", align_corners=False
                )
            levels.append(F.relu(level)[..., : grid[0], : grid[1]])
        logits: Tensor = self.edge(torch.cat(levels, dim=1))
        return logits


def edge_affinities(logits: Tensor, offsets: Sequence[Offset]) -> Tensor:
    """Affinities (N, P, h, w) of every pair from edge logits (N, 1, h, w)."""
    return path_affinities(logits[:, 0].float().sigmoid(), offsets)


@dataclass(frozen=True)
class SeedMaker(ImageJob[LabelItem]):
    """CAM -> seeds, a palette PNG of the image's size."""

    labelling: ConfidentSeeds

    def target(self, item: LabelItem) -> Path:
        return item.target

    def valid(self, path: Path) -> None:
        read_label(path)

    def run(self, item: LabelItem) -> None:
        seeds = self.labelling.label(photo_of(read_image(item.image)), read_cam(item.given))
        write_label(item.target, seeds)


class SeedCrops(AffinityCrops):
    """Random crops of images of random size, of the mean colour and ignored outside; `labels` are files of seeds.

    Args:
        scales: range of the factor on the size of an image.
        given: the others, see `AffinityCrops`.
    """

    def __init__(self, *given: Any, scales: tuple[float, float], **named: Any) -> None:
        super().__init__(*given, **named)
        self.scales = scales

    def read(self, index: int) -> np.ndarray:
        """Return the labels of an image, (H, W) uint8, or several kinds of them, (P, H, W)."""
        return read_label(self.labels[index])

    def cut(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image, seeds = read_image(self.images[index]), self.read(index)
        if seeds.shape[-2:] != image.shape[:2]:
            raise UserError(
                f"the labels {self.labels[index]} are {seeds.shape[-2]} x {seeds.shape[-1]} pixels, but their image is "
                f"{image.shape[0]} x {image.shape[1]}: make them of the same images"
            )
        factor = rng.uniform(*self.scales)
        height, width = (max(1, round(n * factor)) for n in image.shape[:2])
        image, seeds = resize_image(image, (height, width)), resize_labels(seeds, (height, width))
        (top, to_top), (left, to_left) = (place(n, self.crop, rng) for n in (height, width))
        source = (slice(top, top + self.crop), slice(left, left + self.crop))
        pixels = np.zeros((3, self.crop, self.crop), np.float32)
        labels = np.full((*seeds.shape[:-2], self.crop, self.crop), IGNORE, np.uint8)
        part = seeds[(..., *source)]
        rows, columns = part.shape[-2:]
        target = (..., slice(to_top, to_top + rows), slice(to_left, to_left + columns))
        labels[target] = part
        pixels[target] = normalise(image[source])
        return pixels, reduced(labels, self.stride)


def resize_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return `labels` (..., H, W) uint8 at `size` (h, w): the nearest ones, as Pillow finds them."""
    if labels.ndim > 2:
        return np.stack([resize_labels(one, size) for one in labels])
    resized = Image.fromarray(labels).resize(size[::-1], Image.Resampling.NEAREST)
    return np.asarray(resized)


def reduced(labels: np.ndarray, stride: int) -> np.ndarray:
    """Return the labels (..., h, w) of the cells of `labels` (..., h * stride, w * stride): those in their middle.

    It is Pillow's nearest: rows and columns 2, 6, 10, ... for a stride of 4.
    """
    return labels[..., stride // 2 :: stride, stride // 2 :: stride]
