"""Puzzle-CAM: the maps of an image's tiles, put together, have to be the maps of the image."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from wsssbench.interfaces import Batch, Classifier, Losses, Objective, Output

Weight = Annotated[float, Field(ge=0, le=1000)]


class PuzzleCAM(Objective):
    """Reconstruction of the maps from tiles (Jo & Yu, ICIP 2021).

    The image is cut into tiles, which the network sees one by one; their feature maps are put together again and
    classified as those of one image. With f the class maps of the image and g those of the puzzle, un-normalised and
    with gradient on both sides:

    * L_p-cls = BCE(pooled g);
    * L_re = mean of |f - g|, by default of the present classes; see `classes`. Its weight rises linearly.

    Released code: https://github.com/shjo-april/PuzzleCAM, train_classification_with_puzzle.py at 659b4c1. It merges
    class maps, which is the same without dropout, and takes crops only that the tiles divide exactly. Here images are
    filled up with the mean colour until they do, and the maps cut to what the image covers. CAMs are the classifier's.
    Its options to compare normalised maps, by squares, or with the tiles' entropy beside, are not part of this.

    Args:
        num_classes: K; supplied by the toolkit, not needed here.
        channels: of the backbone; supplied by the toolkit, not needed here.
        weight: alpha, of L_re in the end. The paper's 4; the released code has 1 unless it is told, as by its README.
        ramp: share of the schedule in which the weight rises from 0; 0: it does not. The released code's.
        tile_weight: of L_p-cls; 0 leaves it out, as a row of the paper's ablation does.
        tiles: along each side.
        classes: ``present``: the classes of the image, in a mean that also counts the absent ones, as 0. ``selected``:
            the mean over each image's own classes, then over the images. ``all``. Names in the released code: masking
            (the default), selection, none.
    """

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        weight: Weight = 4.0,
        ramp: Annotated[float, Field(ge=0, le=1)] = 0.5,
        tile_weight: Weight = 1.0,
        tiles: Annotated[int, Field(ge=2, le=8)] = 2,
        classes: Literal["present", "selected", "all"] = "present",
    ) -> None:
        super().__init__()
        self.weight, self.ramp, self.tile_weight = weight, ramp, tile_weight
        self.tiles, self.classes = tiles, classes

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The terms ``tiles`` and ``reconstruction``, without those of weight 0."""
        puzzle = self.puzzle(classifier, batch.images, output)
        terms = {}
        if self.tile_weight:
            logits = puzzle.logits.to(batch.labels.dtype)
            loss = F.binary_cross_entropy_with_logits(logits, batch.labels)
            terms["tiles"] = self.tile_weight * loss
        weight = self.weight * min(1.0, batch.progress / self.ramp if self.ramp else 1.0)
        if self.weight:
            distance = (output.maps.to(batch.labels.dtype) - puzzle.maps).abs()
            terms["reconstruction"] = weight * self.reconstruction(distance, batch.labels)
        return Losses(terms)

    def puzzle(self, classifier: Classifier, images: Tensor, output: Output) -> Output:
        """The classifier's output for the features of tiles of `images`, cut to the size of those of `output`."""
        step = self.tiles * max(classifier.backbone.strides)
        below, right = (-n % step for n in images.shape[-2:])
        pieces: tuple[Tensor, ...] = classifier.backbone(
            cut(F.pad(images, (0, right, 0, below)), self.tiles)
        )
        features = zip(pieces, output.features, strict=True)
        return classifier.classify(
            tuple(
                put_together(piece, self.tiles)[..., : whole.shape[-2], : whole.shape[-1]]
                for piece, whole in features
            )
        )

    def reconstruction(self, distance: Tensor, labels: Tensor) -> Tensor:
        """L_re of |f - g| (N, K, h, w), for images with `labels` (N, K)."""
        if self.classes == "all":
            return distance.mean()
        per_class = distance.mean(dim=(2, 3)) * labels
        if self.classes == "present":
            return per_class.mean()
        return (per_class.sum(dim=1) / labels.sum(dim=1).clamp(min=1)).mean()


def cut(images: Tensor, tiles: int) -> Tensor:
    """`images` (N, C, H, W) in tiles x tiles pieces, row by row, all images of a piece together: (tiles^2 N, C, .)."""
    rows = images.chunk(tiles, dim=2)
    return torch.cat([piece for row in rows for piece in row.chunk(tiles, dim=3)])


def put_together(pieces: Tensor, tiles: int) -> Tensor:
    """The inverse of `cut`: `pieces` (tiles^2 N, C, h, w) to (N, C, tiles h, tiles w)."""
    parts = pieces.chunk(tiles**2)
    rows = [torch.cat(parts[i : i + tiles], dim=3) for i in range(0, tiles**2, tiles)]
    return torch.cat(rows, dim=2)
