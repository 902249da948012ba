"""SSDD, static: how well a network foretells what a CRF changes of labels says whether the change is right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from wsssbench.files.artefacts import read_label, read_scores
from wsssbench.files.images import read_image, write_label
from wsssbench.files.reading import reading_artefact
from wsssbench.interfaces import (
    IGNORE,
    Backbone,
    Cam,
    FitItem,
    Losses,
    Photo,
    RunContext,
    ScoreMaps,
    Scores,
)
from wsssbench.models.preprocess import normalise
from wsssbench.ops.cam import upsample
from wsssbench.ops.crf import CrfParameters, dense_crf
from wsssbench.parallel import ranks
from wsssbench.parallel.jobs import ImageJob
from wsssbench.parallel.whole_batch import mean_of_all_ranks
from wsssbench.refinements.affinity_training import LabelItem, make_labels
from wsssbench.refinements.dense_crf import find_preset
from wsssbench.refinements.score_maps import start_scores
from wsssbench.refinements.trained import NetworkTask, TrainedRefinement
from wsssbench.training.checkpoints import WEIGHTS
from wsssbench.training.transforms import Side
from wsssbench_baselines.refinements.difference_network import DifferenceNet
from wsssbench_baselines.refinements.edge_network import SeedCrops

Factor = Annotated[float, Field(gt=0, le=8)]
Bias = Annotated[float, Field(ge=-2, le=2)]
_REHEARSED = 3  # labels: those of a random batch

# The released code's, but for what SSDD says about it.
SSDD_SCHEDULE: dict[str, Any] = {
    "batch_size": 8,
    "epochs": 16,
    "lr": 1e-3,
    "momentum": 0.9,
    "weight_decay": 2e-4,
    "new_layers_lr": 10.0,
}


def flagged_classes(
    knowledge: np.ndarray, advice: np.ndarray, present: Iterable[int], guard: float
) -> list[int]:
    """Return the classes of `present` whose area in `advice` is less than `guard` times that in `knowledge`.

    An area of 0 in `knowledge` counts as 1, so a class that neither label map shows is among them.
    """
    return [
        one for one in present if (advice == one).sum() / max((knowledge == one).sum(), 1) < guard
    ]


def decide(
    difference: tuple[np.ndarray, np.ndarray],
    masks: tuple[np.ndarray, np.ndarray],
    bias: float,
    background_bias: float,
    flagged: Sequence[int],
) -> np.ndarray:
    """Take each pixel of the advice V if w >= 0, and of the knowledge K otherwise.

    w = sigmoid(d_K) - sigmoid(d_V) + bias + background_bias ([V = 0] - [K = 0]) + [V flagged] - [K flagged].

    Args:
        difference: the logits d_K and d_V, (H, W) float.
        masks: K and V, (H, W) label maps.
        bias: for the advice.
        background_bias: for background, whichever of the two says so.
        flagged: classes that are kept, whichever of the two says so.
    """
    of_knowledge, of_advice = (torch.from_numpy(d).sigmoid().numpy() for d in difference)
    knowledge, advice = masks
    favoured = [
        background_bias * (mask == 0) + np.isin(mask, flagged).astype(of_advice.dtype)
        for mask in masks
    ]
    w = of_knowledge - of_advice + bias - favoured[0] + favoured[1]
    return np.where(w >= 0, advice, knowledge)


def difference_loss(logits: Tensor, different: Tensor, valid: Tensor) -> Tensor:
    """Binary cross-entropy of `logits` with `different`, each of its two values with the same weight in an image.

    Per image the mean over equal pixels and that over different ones, halved (0 for one of the two that no pixel has);
    then the mean over those images, of all ranks, that have a valid pixel.

    Args:
        logits: (N, h, w) float.
        different: the target, (N, h, w) bool.
        valid: pixels that count, (N, h, w) bool.
    """
    values = F.binary_cross_entropy_with_logits(logits, different.to(logits), reduction="none")

    def mean(where: Tensor) -> Tensor:
        return torch.where(where, values, 0).sum((1, 2)) / where.sum((1, 2)).clamp(min=1)

    per_image = (mean(valid & ~different) + mean(valid & different)) / 2
    return _mean_over(per_image.sum(), valid.any(dim=2).any(dim=1))


def _mean_over(total: Tensor, counted: Tensor) -> Tensor:
    """Divide this rank's `total` so that the mean of the ranks is the mean over what is `counted` on all of them."""
    return total / mean_of_all_ranks(counted.sum().float()).clamp(min=1 / ranks.world_size())


class DifferenceTask(NetworkTask):
    """Learns to segment by K, and to detect in K and in V alone where the two differ; whole batch under torchrun."""

    def forward(self, batch: Mapping[str, Any], progress: float) -> Losses:
        """`batch`: images (N, 3, H, W), labels (N, 2, h, w) uint8: K and V, which is ignored in flagged images."""
        knowledge, advice = batch["labels"].long().unbind(1)
        logits, (of_knowledge, of_advice) = self.network(batch["images"], (knowledge, advice))
        entropy = F.cross_entropy(logits.float(), knowledge, ignore_index=IGNORE, reduction="sum")
        valid = (knowledge != IGNORE) & (advice != IGNORE)
        different = knowledge != advice
        return Losses(
            {
                "loss_segmentation": _mean_over(entropy, knowledge != IGNORE),
                "loss_knowledge": difference_loss(of_knowledge.float(), different, valid) / 2,
                "loss_advice": difference_loss(of_advice.float(), different, valid) / 2,
            }
        )


@dataclass(frozen=True)
class MaskMaker(ImageJob[LabelItem]):
    """Scores -> their best label, or that after a CRF: a palette PNG of the image's size."""

    crf: CrfParameters | None

    def target(self, item: LabelItem) -> Path:
        return item.target

    def valid(self, path: Path) -> None:
        read_label(path)

    def run(self, item: LabelItem) -> None:
        image = read_image(item.image)
        write_label(item.target, best_labels(image, read_scores(item.given), self.crf))


def best_labels(image: np.ndarray, scores: Scores, crf: CrfParameters | None) -> np.ndarray:
    """Return the label map (H, W) uint8 of `scores`, after a CRF if one is given."""
    planes = start_scores(image, scores, 1.0)
    planes = planes if crf is None else dense_crf(image, planes, crf)
    return np.concatenate([[0], scores.classes]).astype(np.uint8)[planes.argmax(axis=0)]


class MaskCrops(SeedCrops):
    """Crops with two label maps, K and V; `labels` are pairs of files. V is ignored in images that the guard flags."""

    def __init__(self, *given: Any, guard: float, **named: Any) -> None:
        super().__init__(*given, **named)
        self.guard = guard

    def read(self, index: int) -> np.ndarray:
        knowledge, advice = (read_label(path) for path in self.labels[index])
        present = np.setdiff1d(np.union1d(knowledge, advice), 0)
        if flagged_classes(knowledge, advice, present, self.guard):
            advice = np.full_like(advice, IGNORE)
        return np.stack([knowledge, advice])


class SSDD(TrainedRefinement):
    """Self-supervised difference detection, its static part: better labels out of scores and what a CRF makes of them.

    W. Shimoda and K. Yanai, *Self-Supervised Difference Detection for Weakly-Supervised Semantic Segmentation*,
    ICCV 2019. The knowledge K is the best label of the scores, the advice V the best one after a CRF. Where the two
    differ, one is wrong. A network sees the image and one of the two, and detects where the other one differs: where
    d_K, from K, finds that easily and d_V, from V, does not, V is right (`decide`). A segmentation head, which learns
    K, provides the features. The losses are its cross-entropy, and the mean of the two `difference_loss`. A class of
    whose area the CRF leaves less than half is kept, and its image left out of that loss (`flagged_classes`).

    Heads, losses and decision are those of the released code (https://github.com/shimoda-uec/ssdd, commit 564c3e0) on
    ResNet38d, with 448 pixels in and 112 cells out. These of its bugs are not here: the optimiser is made anew in each
    step, so that its momentum of 0.9 has no effect; the loss is NaN for an image whose K and V are the same everywhere
    or nowhere; a class that neither of them shows leaves its image out. Otherwise there: the learning rate decays by a
    cosine (here: poly); epoch 10 of 16 is taken (here: the last one); the guard is that of the crop (here: of the
    image); the batch is 2 images per GPU, of an unknown number [?]. Not verified [?]: the CRF of the static part; how
    training images are scaled (here: not at all); the weights of the two losses; whether the normalisations' scales
    and shifts learn (here: those of the heads do); at what size is decided (here: the image's, d being enlarged).

    The dynamic part trains a segmentation network with labels that it refines in turn. It is left out: its released
    code reads d_K and d_V in exchange, and of misplaced images, so that its numbers are those of another method.

    Args:
        backbone: config of a registered backbone, which learns.
        preset: of the CRF that advises, see `wsssbench.ops.crf.PRESETS`.
        bias: for the advice.
        background_bias: for background.
        guard: a class whose area V has less than this share of is kept; 0: none is.
        stride: pixels per cell of the grid.
        hidden: channels in the segmentation head.
        width: channels in the difference head.
        dilation: of the segmentation head.
        crop: side of the training crops, pixels, a multiple of `stride`.
        scales: range of the factor on the size of a training image.
        flip: mirror half of the crops.
        schedule: parameters of `wsssbench.training.schedule.Schedule`.

    Raises:
        ValueError: a parameter out of range. UserError: unknown backbone, wrong schedule.
    """

    takes = (ScoreMaps,)
    title = "SSDD"
    network_name = "SSDD"

    def __init__(
        self,
        *,
        backbone: dict[str, Any],
        preset: str = "psa",
        bias: Bias = 0.1,
        background_bias: Bias = 0.1,
        guard: Annotated[float, Field(ge=0, le=1)] = 0.5,
        stride: Annotated[int, Field(ge=1, le=32)] = 4,
        hidden: Annotated[int, Field(ge=1, le=4096)] = 512,
        width: Annotated[int, Field(ge=1, le=4096)] = 256,
        dilation: Annotated[int, Field(ge=1, le=64)] = 12,
        crop: Side = 448,
        scales: tuple[Factor, Factor] = (1.0, 1.0),
        flip: bool = True,
        schedule: dict[str, Any] = SSDD_SCHEDULE,
    ) -> None:
        if stride & (stride - 1):
            raise ValueError(
                f"stride={stride} has to be a power of 2, as the strides of networks are"
            )
        if scales[0] > scales[1]:
            raise ValueError(f"scales={scales} has to be (low, high)")
        super().__init__(backbone, schedule, crop, stride)
        self.crf = find_preset(preset)
        self.bias, self.background_bias, self.guard = bias, background_bias, guard
        self.heads = {"hidden": hidden, "width": width, "dilation": dilation}
        self.scales, self.flip = scales, flip
        self.labels = _REHEARSED

    def task(self, backbone: Backbone) -> DifferenceTask:
        return DifferenceTask(
            DifferenceNet(backbone, labels=self.labels, stride=self.stride, **self.heads)
        )

    def crops(self, items: Sequence[FitItem], context: RunContext) -> MaskCrops:
        """Make the label maps K and V from the scores of `items`."""
        masks = [
            make_labels(items, MaskMaker(crf), context.directory / name, context, name)
            for name, crf in (("knowledge", None), ("advice", self.crf))
        ]
        return MaskCrops(
            [item.image for item in items],
            list(zip(*masks, strict=True)),
            crop=self.crop,
            stride=self.stride,
            flip=self.flip,
            seed=context.seed,
            scales=self.scales,
            guard=self.guard,
        )

    def tiny_batch(self, images: int, side: int) -> dict[str, Tensor]:
        batches = [super(SSDD, self).tiny_batch(images, side) for _ in range(2)]
        return {**batches[0], "labels": torch.stack([one["labels"] for one in batches], dim=1)}

    def fit(self, items: Sequence[FitItem], num_classes: int, context: RunContext) -> None:
        self.labels = num_classes + 1
        super().fit(items, num_classes, context)

    def load(self, directory: Path, device: str) -> None:
        path = Path(directory) / WEIGHTS
        with reading_artefact(path):
            state = torch.load(path, map_location="meta", weights_only=True)
            self.labels = len(state["network.segmentation.logits.bias"])
        super().load(directory, device)

    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        """The decision as planes of 0 and 1 at the image's size."""
        assert isinstance(given, Scores)
        if not len(given.classes):
            return Scores(given.classes, np.ones((1, *given.size), np.float32), given.size)
        image = photo.image
        knowledge, advice = (best_labels(image, given, crf) for crf in (None, self.crf))
        flagged = flagged_classes(knowledge, advice, given.classes.tolist(), self.guard)
        label = decide(
            self.differences(image, knowledge, advice),
            (knowledge, advice),
            self.bias,
            self.background_bias,
            flagged,
        )
        values = np.concatenate([[0], given.classes])[:, None, None]
        return Scores(given.classes, (label == values).astype(np.float32), given.size)

    @torch.no_grad()
    def differences(
        self, image: np.ndarray, knowledge: np.ndarray, advice: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logits d_K and d_V, (H, W) float32, of `image` (H, W, 3) uint8 and its label maps (H, W)."""
        height, width = image.shape[:2]
        pixels = torch.from_numpy(normalise(image))[None].to(self._device)
        masks = torch.from_numpy(np.stack([knowledge, advice])).to(self._device)
        cells = F.pad(masks, (0, -width % self.stride, 0, -height % self.stride), value=IGNORE)
        middle = slice(self.stride // 2, None, self.stride)
        _, logits = self.loaded(pixels, cells[:, None, middle, middle])
        planes = torch.cat(logits).float().cpu().numpy()
        whole = upsample(planes, (planes.shape[1] * self.stride, planes.shape[2] * self.stride))
        of_knowledge, of_advice = whole[:, :height, :width]
        return of_knowledge, of_advice
