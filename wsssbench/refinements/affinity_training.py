"""What AffinityNet learns from: labels made from CAMs by two CRFs, random crops, the pair loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from wsssbench.files.artefacts import read_cam
from wsssbench.files.artefacts import read_label as read_stored_label
from wsssbench.files.images import read_image, read_label, write_label
from wsssbench.interfaces import FitItem, Losses, RunContext
from wsssbench.models.preprocess import normalise
from wsssbench.ops.affinity import (
    IGNORE,
    Offset,
    affinity_labels,
    affinity_loss,
    block_mean,
    pair_affinities,
    pair_targets,
)
from wsssbench.ops.crf import CrfParameters, dense_crf
from wsssbench.parallel import ranks
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.parallel.whole_batch import mean_of_all_ranks
from wsssbench.refinements.score_maps import Background, start_scores
from wsssbench.refinements.trained import NetworkTask


class LabelItem(NamedTuple):
    """One image: its file, its CAM, where its affinity labels go."""

    image: Path
    given: Path
    target: Path


@dataclass(frozen=True)
class LabelMaker(ImageJob[LabelItem]):
    """CAM -> affinity labels (PSA, section 3.2): sure where two CRFs of different background agree.

    Writes palette PNGs (ceil(H/stride), ceil(W/stride)).

    Attributes:
        alpha: background exponents (low, high).
        constants: background scores (high, low) instead of `alpha`.
        crf: parameters of both CRFs.
        stride: pixels per cell of the grid.
    """

    alpha: tuple[float, float]
    crf: CrfParameters
    stride: int
    constants: tuple[float, float] | None = None

    @property
    def backgrounds(self) -> tuple[Background, Background]:
        """Much background, little background."""
        if self.constants is not None:
            much, little = (Background(constant=value) for value in self.constants)
        else:
            much, little = (Background(alpha) for alpha in self.alpha)
        return much, little

    def target(self, item: LabelItem) -> Path:
        return item.target

    def valid(self, path: Path) -> None:
        read_stored_label(path)

    def run(self, item: LabelItem) -> None:
        image, cam = read_image(item.image), read_cam(item.given)
        low, high = (
            block_mean(dense_crf(image, start_scores(image, cam, one), self.crf), self.stride)
            for one in self.backgrounds
        )
        write_label(item.target, affinity_labels(low, high, cam.classes))


def make_labels(
    items: Sequence[FitItem],
    maker: ImageJob[LabelItem],
    directory: Path,
    context: RunContext,
    title: str = "affinity labels",
) -> list[Path]:
    """Write the labels of all `items` that are not there and whole; shared among ranks.

    Returns:
        One PNG per item, in their order.
    """
    directory.mkdir(parents=True, exist_ok=True)
    jobs = [LabelItem(item.image, item.given, directory / f"{item.id}.png") for item in items]
    run_images(maker, jobs, context, title)
    ranks.barrier()
    return [job.target for job in jobs]


class AffinityCrops(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Random crops of images with their affinity labels, mirrored half of the time.

    Crops begin at multiples of the stride, so that the labels' cells are the network's. What lies
    outside of the image is 0 (the mean colour) and ignored. A draw depends on (seed, position) only.

    Args:
        images: n image files.
        labels: their n label files, as `make_labels` writes them; of a derived class whatever its `cut` reads.
        crop: side of the crops, pixels, a multiple of `stride`.
        stride: of the labels.
        flip: mirror half of the crops.
        seed: of the run.
    """

    def __init__(
        self,
        images: Sequence[Path],
        labels: Sequence[Any],
        *,
        crop: int,
        stride: int,
        flip: bool,
        seed: int,
    ) -> None:
        self.images, self.labels = list(images), list(labels)
        self.crop = crop
        self.stride = stride
        self.flip = flip
        self.seed = seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, Tensor]:
        """``images`` (3, crop, crop) float32 and ``labels`` (crop/stride, crop/stride) uint8."""
        index, position = draw
        rng = np.random.default_rng((self.seed, position))
        crop, cells = self.cut(index, rng)
        if self.flip and rng.random() < 0.5:
            crop, cells = crop[..., ::-1], cells[..., ::-1]
        return {
            "images": torch.from_numpy(np.ascontiguousarray(crop)),
            "labels": torch.from_numpy(np.ascontiguousarray(cells)),
        }

    def cut(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return pixels (3, crop, crop) float32 and labels of the cells (crop/stride, crop/stride) uint8."""
        image, label = read_image(self.images[index]), read_label(self.labels[index])
        side, stride = self.crop // self.stride, self.stride
        crop = np.zeros((3, self.crop, self.crop), np.float32)
        cells = np.full((side, side), IGNORE, np.uint8)
        (top, to_top), (left, to_left) = (place(n, side, rng) for n in label.shape)
        part = label[top : top + side, left : left + side]
        cells[to_top : to_top + part.shape[0], to_left : to_left + part.shape[1]] = part
        pixels = image[top * stride :, left * stride :][: self.crop, : self.crop]
        height, width = pixels.shape[:2]
        y, x = to_top * stride, to_left * stride
        crop[:, y : y + height, x : x + width] = normalise(pixels)
        return crop, cells


def place(length: int, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Where to cut `side` out of `length`, and where to put it: one is random, the other is 0."""
    offset = int(rng.integers(0, abs(length - side), endpoint=True))
    return (offset, 0) if length > side else (0, offset)


class AffinityTask(NetworkTask):
    """The affinities of an embedding network, trained on pairs of sure labels.

    Under torchrun the loss is that of the whole batch, whatever the number of ranks is.

    Args:
        network: (N, 3, H, W) -> (N, C, h, w) on the labels' grid.
        offsets: of the pairs, as of `ops.affinity.pair_offsets`.
        affinities: what the network returns, and the offsets -> affinities (N, P, h, w) in [0, 1].
    """

    def __init__(
        self,
        network: nn.Module,
        offsets: Sequence[Offset],
        affinities: Callable[[Tensor, Sequence[Offset]], Tensor] = pair_affinities,
    ) -> None:
        super().__init__(network)
        self.offsets = tuple(offsets)
        self.affinities = affinities

    def forward(self, batch: Mapping[str, Any], progress: float) -> Losses:
        """`batch`: images (N, 3, H, W), labels (N, h, w) uint8."""
        affinities = self.affinities(self.network(batch["images"]), self.offsets)
        targets = pair_targets(batch["labels"], self.offsets)
        background, same, different = (
            term * share
            for term, share in zip(
                affinity_loss(affinities, *targets), _shares_of_pairs(targets), strict=True
            )
        )
        return Losses(
            {"loss_background": background, "loss_same": same, "loss_different": different}
        )


def _shares_of_pairs(targets: Sequence[Tensor]) -> Tensor:
    """Per kind of pair, this rank's number over the ranks' mean number, float32; 1 without other ranks.

    A term is a mean over pairs, and ranks have different numbers of them (their images are few). Weighted so, the mean
    of the ranks' terms is the mean over the pairs of the whole batch.
    """
    counts = torch.stack([pairs.sum() for pairs in targets]).float()
    return counts / mean_of_all_ranks(counts).clamp(min=1 / ranks.world_size())
