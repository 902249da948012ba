"""What AffinityNet learns from: labels made from CAMs by two CRFs, random crops, the pair loss."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wsssbench import ranks
from wsssbench.data.artefacts import check, read_cam
from wsssbench.data.images import read_image, read_label, write_label
from wsssbench.data.transforms import normalise
from wsssbench.data.truth import GuardState, guard_state, restore_guard
from wsssbench.errors import UserError
from wsssbench.interfaces import FitItem, Losses, RunContext
from wsssbench.ops.affinity import (
    UNSURE,
    Offset,
    affinity_labels,
    affinity_loss,
    block_mean,
    pair_affinities,
    pair_targets,
)
from wsssbench.ops.crf import CrfParameters, dense_crf
from wsssbench.refinements.planes import start_planes
from wsssbench.training.engine import TrainingTask

POOL_FROM = 16  # images per worker from which starting processes (each imports torch) pays


@dataclass(frozen=True)
class LabelMaker:
    """CAM -> affinity labels (PSA, section 3.2): sure where two CRFs of different background agree.

    Attributes:
        alpha: background exponents (low, high).
        crf: parameters of both CRFs.
        stride: pixels per cell of the grid.
    """

    alpha: tuple[float, float]
    crf: CrfParameters
    stride: int

    def __call__(self, item: FitItem, target: Path) -> None:
        """Write the labels of `item` to `target`, a palette PNG (ceil(H/stride), ceil(W/stride))."""
        image, cam = read_image(item.image), read_cam(item.given)
        low, high = (
            block_mean(dense_crf(image, start_planes(image, cam, alpha), self.crf), self.stride)
            for alpha in self.alpha
        )
        write_label(target, affinity_labels(low, high, cam.classes))


def make_labels(
    items: Sequence[FitItem], maker: LabelMaker, directory: Path, context: RunContext
) -> list[Path]:
    """Write the affinity labels of all `items` that are not there and whole; shared among ranks.

    Returns:
        One PNG per item, in their order.
    """
    directory.mkdir(parents=True, exist_ok=True)
    targets = [directory / f"{item.id}.png" for item in items]
    mine = ranks.shard(list(zip(items, targets, strict=True)))
    missing = [(item, target) for item, target in mine if not check(target, "label")]
    done = len(mine) - len(missing)
    if done:
        context.progress.say(f"affinity labels: {done} of {len(mine)} images are done already")
    pooled = context.workers > 1 and len(missing) >= POOL_FROM * context.workers
    made = _in_pool(maker, missing, context.workers) if pooled else _here(maker, missing)
    with context.progress.track("affinity labels", total=len(mine), done=done) as task:
        for _ in made:
            task.advance()
    ranks.barrier()
    return targets


def _here(maker: LabelMaker, missing: Sequence[tuple[FitItem, Path]]) -> Iterator[None]:
    for item, target in missing:
        maker(item, target)
        yield


def _in_pool(
    maker: LabelMaker, missing: Sequence[tuple[FitItem, Path]], workers: int
) -> Iterator[None]:
    # spawn: forking a process that holds threads or CUDA is unsafe
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, _start_worker, (guard_state(),)) as pool:
        futures = [pool.submit(maker, item, target) for item, target in missing]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise UserError(
                f"one of the {workers} processes making affinity labels died (out of memory?): run "
                "the same command again with fewer workers; finished images are kept"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker(guard: GuardState) -> None:
    restore_guard(guard)
    torch.set_num_threads(1)


class AffinityCrops(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Random crops of images with their affinity labels, mirrored half of the time.

    Crops begin at multiples of the stride, so that the labels' cells are the network's. What lies
    outside of the image is 0 (the mean colour) and unsure. A draw depends on (seed, position) only.

    Args:
        images: n image files.
        labels: their n label files, as `make_labels` writes them.
        crop: side of the crops, pixels, a multiple of `stride`.
        stride: of the labels.
        flip: mirror half of the crops.
        seed: of the run.
    """

    def __init__(
        self,
        images: Sequence[Path],
        labels: Sequence[Path],
        *,
        crop: int,
        stride: int,
        flip: bool,
        seed: int,
    ) -> None:
        self.files = list(zip(images, labels, strict=True))
        self.crop = crop
        self.stride = stride
        self.flip = flip
        self.seed = seed

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, Tensor]:
        """``images`` (3, crop, crop) float32 and ``labels`` (crop/stride, crop/stride) uint8."""
        index, position = draw
        rng = np.random.default_rng((self.seed, position))
        image, label = read_image(self.files[index][0]), read_label(self.files[index][1])
        crop, cells = self._cut(image, label, rng)
        if self.flip and rng.random() < 0.5:
            crop, cells = crop[..., ::-1], cells[..., ::-1]
        return {
            "images": torch.from_numpy(np.ascontiguousarray(crop)),
            "labels": torch.from_numpy(np.ascontiguousarray(cells)),
        }

    def _cut(
        self, image: np.ndarray, label: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        side, stride = self.crop // self.stride, self.stride
        crop = np.zeros((3, self.crop, self.crop), np.float32)
        cells = np.full((side, side), UNSURE, np.uint8)
        (top, to_top), (left, to_left) = (_place(n, side, rng) for n in label.shape)
        part = label[top : top + side, left : left + side]
        cells[to_top : to_top + part.shape[0], to_left : to_left + part.shape[1]] = part
        pixels = image[top * stride :, left * stride :][: self.crop, : self.crop]
        height, width = pixels.shape[:2]
        y, x = to_top * stride, to_left * stride
        crop[:, y : y + height, x : x + width] = normalise(pixels)
        return crop, cells


def _place(length: int, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Where to cut `side` out of `length`, and where to put it: one is random, the other is 0."""
    offset = int(rng.integers(0, abs(length - side), endpoint=True))
    return (offset, 0) if length > side else (0, offset)


class AffinityTask(TrainingTask):
    """The affinities of an embedding network, trained on pairs of sure labels.

    Args:
        network: (N, 3, H, W) -> (N, C, h, w) on the labels' grid.
        offsets: of the pairs, as of `ops.affinity.pair_offsets`.
    """

    def __init__(self, network: nn.Module, offsets: Sequence[Offset]) -> None:
        super().__init__()
        self.network = network
        self.offsets = tuple(offsets)

    def forward(self, batch: dict[str, Tensor], progress: float) -> Losses:
        """`batch`: images (N, 3, H, W), labels (N, h, w) uint8."""
        affinities = pair_affinities(self.network(batch["images"]), self.offsets)
        background, same, different = affinity_loss(
            affinities, *pair_targets(batch["labels"], self.offsets)
        )
        return Losses(
            {"loss_background": background, "loss_same": same, "loss_different": different}
        )
