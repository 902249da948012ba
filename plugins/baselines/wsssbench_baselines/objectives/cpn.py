"""Complementary patches (CPN): what two images show that complete each other has to be what the whole one shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.interfaces import Batch, Classifier, Losses, Objective, Output
from wsssbench.ops.cam import normalise_range
from wsssbench_baselines.objectives.seam import (
    Channels,
    PixelCorrelation,
    Size,
    Weight,
    guide,
    largest,
    least,
    of_present,
    resized,
    size_of,
    spread,
)
from wsssbench_baselines.objectives.superpixels import need_scikit_image, slic_superpixels

Side = Annotated[int, Field(ge=4, le=4096)]


class CPN(Objective):
    """Complementary patch network (Zhang F., Gu, Zhang C. & Dai, ICCV 2021).

    An image is divided into patches, about half of which image 1 shows and image 2 the rest; what is hidden has the
    mean colour. With A and V the class maps f and their refinement v, both normalised at the size of the image
    (`normalise_range`) and 0 for classes that are not in it, those of image 1 times the share c of what it shows, those
    of image 2 times 1 - c:

    * L_cls = (BCE + BCE_1 + BCE_2) / 3, of which the first third is the classifier's own loss;
    * L_TCP (triplet, complementary patch) = mean |A - sg(A_1 + A_2)| + mean |V - V_1 - V_2|, over images, all K classes
      and pixels; sg stops the gradient;
    * L_CPCR (cross regularisation) = mean of the largest |hot(sg(A - A_1)) - V_2| + mean of the largest
      |hot(sg(A - A_2)) - V_1|. Here every map has 1 - max_k in front as the background, before the difference, and hot
      keeps of each pixel the largest of the 1 + K values;
    * L_min, see `minimum`.

    CAMs are inferred from v, see `RegionCorrelation`. The released code goes with
    ``cam=dict(type="MultiScaleCAM", normalisation="range")``, whose maps it halves: its thresholds are half of ours.

    Values without a remark are the released code's, https://github.com/Ferenas/CPN (train_cpn.py, tool/imutils.py,
    network/resnet38_CPN.py at aca29f3); which of them the paper names was not verified [?]. Done otherwise there,
    beside what `SEAM` says about logits, the enlargement of maps and the head's further channel:

    * the region part of the module reads its keys in the wrong order, see `RegionCorrelation`: a bug;
    * ids of hidden superpixels are drawn from 0 on, but superpixels are numbered from 1: a draw may hit nothing;
    * SLIC takes the normalised image for colours, in scikit-image 0.17, which did not rescale it.

    Args:
        num_classes: K; supplied by the toolkit.
        channels: of the backbone; supplied by the toolkit. The module embeds the maps before the last one.
        pair: ``grid``: patches are the cells of a grid, each hidden in image 1 with probability `hidden`; c is the
            share of cells, of whatever size they are. ``superpixels``: half as many of them are drawn as there are,
            with replacement, and hidden in image 1, so that it shows about 0.61 of the pixels; c is the share of
            pixels. The released training has these. They are computed while the network waits, and need scikit-image.
        cells: sides of the grid's cells in pixels; for each image one is drawn. A cell that is as large as the crop
            hides all of it in one image of the pair.
        hidden: probability of a cell.
        superpixels: number of these, about.
        compactness: of superpixels, see `slic_superpixels`.
        triplet: weight of L_TCP.
        cross: weight of L_CPCR.
        hardest: share of the values of each image that L_CPCR takes the mean of, the largest ones; 1: all.
        minimum: weight of L_min, the mean over the three images of the quarter of all pixels that belong least to any
            present class, by their v. It is in the released code alone, as SEAM's.
        module: ``prcm``; ``pcm``: without its region part, as SEAM's; ``none``: no v, so that L_TCP has its first term
            alone, and L_CPCR and L_min are left out.
        widths: channels of the embeddings of the two maps before the last one, finer first.

    Raises:
        ValueError: scikit-image is not installed; no side of cells; nothing would train the module.
    """

    classification_weight = 1 / 3

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        pair: Literal["grid", "superpixels"] = "grid",
        cells: Annotated[tuple[Side, ...], Field(min_length=1)] = (224, 448),
        hidden: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        superpixels: Annotated[int, Field(ge=2, le=100_000)] = 300,
        compactness: Annotated[float, Field(gt=0, le=1000)] = 10.0,
        triplet: Weight = 1.0,
        cross: Weight = 1.0,
        hardest: Annotated[float, Field(gt=0, le=1)] = 0.2,
        minimum: Weight = 1.0,
        module: Literal["prcm", "pcm", "none"] = "prcm",
        widths: tuple[Channels, Channels] = (64, 128),
    ) -> None:
        super().__init__()
        if pair == "superpixels":
            need_scikit_image("pair='superpixels'")
        if not cells:
            raise ValueError("cells=(), but has to hold the side of a grid's cells at least once")
        if module != "none" and not (triplet or cross or minimum):
            raise ValueError(
                "triplet=0, cross=0 and minimum=0 leave nothing that trains the correlation module: set module='none'"
            )
        self.pair, self.cells, self.hidden = pair, cells, hidden
        self.superpixels, self.compactness = superpixels, compactness
        self.triplet, self.cross, self.hardest, self.minimum = triplet, cross, hardest, minimum
        modules = {"prcm": RegionCorrelation, "pcm": PixelCorrelation}
        self.module = None if module == "none" else modules[module](channels, widths)

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The terms ``cls`` and ``tcp``, and with a module ``cpcr`` and ``min``."""
        labels, size = batch.labels, size_of(output)
        shown, share = self.pairs(batch)
        passes = [output]
        for mask in (shown, ~shown):
            passes.append(classifier(batch.images * mask[:, None].to(batch.images.dtype), labels))
        loss = sum(
            F.binary_cross_entropy_with_logits(one.logits.to(labels.dtype), labels)
            for one in passes[1:]
        )
        terms = {"cls": self.classification_weight * torch.as_tensor(loss)}
        shares = [torch.ones_like(share), share, 1 - share]
        a = [activation(p.maps, labels, size, c) for p, c in zip(passes, shares, strict=True)]
        terms["tcp"] = (a[0] - (a[1] + a[2]).detach()).abs().mean()
        if self.module is not None:
            refined = [self.module(one) for one in passes]
            v = [
                activation(r[:, 1:], labels, size, c) for r, c in zip(refined, shares, strict=True)
            ]
            terms["tcp"] = terms["tcp"] + (v[0] - v[1] - v[2]).abs().mean()
            terms["cpcr"] = self.cross * cross_loss(a, v, self.hardest)
            low = torch.stack([least(one, labels, size) for one in refined])
            terms["min"] = self.minimum * low.mean()
        return Losses(terms | {"tcp": self.triplet * terms["tcp"]})

    def maps(self, classifier: Classifier, output: Output) -> Tensor:
        """v of the K classes, (N, K, h, w); f without a module."""
        return output.maps if self.module is None else self.module(output)[:, 1:]

    def pairs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What image 1 of each pair shows, (N, H, W) bool, and the share c of that, (N,)."""
        shown, shares = [], []
        for image, random in zip(batch.images, batch.generators("CPN"), strict=True):
            mask, share = self.drawn(image, random)
            shown.append(mask)
            shares.append(share)
        return (
            torch.from_numpy(np.stack(shown)).to(batch.images.device),
            torch.tensor(shares, dtype=batch.labels.dtype, device=batch.labels.device),
        )

    def drawn(self, image: Tensor, random: np.random.Generator) -> tuple[np.ndarray, float]:
        """What image 1 shows of `image` (3, H, W), (H, W) bool, and its share."""
        size = tuple(image.shape[-2:])
        if self.pair == "superpixels":
            segments = slic_superpixels(image, self.superpixels, self.compactness)
            last = int(segments.max())
            return without(segments, random.integers(1, last + 1, (last + 1) // 2))
        side = self.cells[int(random.integers(len(self.cells)))]
        rows, columns = (-(-n // side) for n in size)
        return grid(size, side, random.random((rows, columns)) > self.hidden)


class RegionCorrelation(PixelCorrelation):
    """Pixel-region correlation (PRCM) beside SEAM's pixel correlation: v = PCM + PRCM x guide.

    Of E, the image beside the reduced features, each plane k of the guide has a centre e_k = sum over pixels of
    softmax over space(guide_k) E. PRCM_k = softmax over space of <ReLU(W10 e_k), ReLU(W9 E)> / sqrt(1 + K), where W9 is
    the embedding of PCM. The softmax of a guide in [0, 1] is nearly uniform, so that centres differ little. The
    guide gets no gradient, as in PCM.

    The released code reads the (channels, 1 + K) matrix of the keys ReLU(W10 e_k) as (1 + K, channels) without
    transposing it, which mixes channels and classes; here it is transposed. It divides by sqrt(21) for 20 classes.

    Args:
        channels: of the backbone's feature maps, coarse last.
        widths: as of `PixelCorrelation`.
    """

    def __init__(self, channels: tuple[int, ...], widths: tuple[int, int]) -> None:
        super().__init__(channels, widths)
        self.key = nn.Conv2d(self.embed.in_channels, self.embed.out_channels, 1, bias=False)
        nn.init.xavier_uniform_(self.key.weight, gain=4)

    def forward(self, output: Output) -> Tensor:
        """v of the background and the classes, (N, 1 + K, h, w), for the class maps f (N, K, h, w) of `output`."""
        with torch.autocast(output.maps.device.type, enabled=False):
            seen, planes = self.seen(output), guide(output.maps)
            embedded = self.embed(seen)
            regions = correlation(self.keys(centres(planes, seen)), F.relu(embedded))
            return spread(planes, embedded) + regions * planes

    def keys(self, centres: Tensor) -> Tensor:
        """What pixels are compared with, (N, 1 + K, D'), of `centres` (N, 1 + K, D)."""
        return F.relu(F.linear(centres, self.key.weight.flatten(1)))


def centres(planes: Tensor, seen: Tensor) -> Tensor:
    """The mean of `seen` (N, D, h, w) under each of `planes` (N, 1 + K, h, w), softmax over space: (N, 1 + K, D)."""
    return planes.flatten(2).softmax(dim=2) @ seen.flatten(2).transpose(1, 2)


def correlation(keys: Tensor, embedded: Tensor) -> Tensor:
    """How much each pixel of `embedded` (N, D, h, w) is like each of `keys` (N, 1 + K, D): (N, 1 + K, h, w).

    A softmax over space, so that the values of a plane sum to 1.
    """
    alike = keys @ embedded.flatten(2) / keys.shape[1] ** 0.5
    return alike.softmax(dim=2).unflatten(2, embedded.shape[-2:])


def activation(maps: Tensor, labels: Tensor, image: Size, share: Tensor) -> Tensor:
    """A or V of `maps` (N, K, h, w) at the size of the `image`, times `share` (N,); 0 for classes not in `labels`."""
    own = of_present(maps, labels, lambda m: normalise_range(resized(m, image)))
    return own * share.to(own.dtype)[:, None, None, None]


def cross_loss(a: Sequence[Tensor], v: Sequence[Tensor], hardest: float) -> Tensor:
    """L_CPCR of A and V, (N, K, H, W), of the image and of images 1 and 2: what 1 lacks of it is what 2 has to show."""
    a, v = ([with_background(one) for one in maps] for maps in (a, v))
    targets = (strongest((a[0] - a[1]).detach()), v[2]), (strongest((a[0] - a[2]).detach()), v[1])
    return torch.stack([largest((target - v).abs(), hardest) for target, v in targets]).sum()


def with_background(maps: Tensor) -> Tensor:
    """`maps` (N, K, H, W) behind a background of 1 - max_k: (N, 1 + K, H, W)."""
    return torch.cat([1 - maps.amax(dim=1, keepdim=True), maps], dim=1)


def strongest(planes: Tensor) -> Tensor:
    """`planes` (N, C, H, W), 0 where another one is larger."""
    return torch.where(planes == planes.amax(dim=1, keepdim=True), planes, 0)


def grid(size: Size, side: int, shown: np.ndarray) -> tuple[np.ndarray, float]:
    """What of an image of `size` is in the `shown` (rows, columns) cells of a `side`: (H, W) bool; share of cells."""
    mask = shown.repeat(side, axis=0).repeat(side, axis=1)[: size[0], : size[1]]
    return mask, float(shown.mean())


def without(segments: np.ndarray, hidden: np.ndarray) -> tuple[np.ndarray, float]:
    """What is left of `segments` (H, W) without those of the numbers `hidden`: (H, W) bool; share of pixels."""
    mask = ~np.isin(segments, hidden)
    return mask, float(mask.mean())
