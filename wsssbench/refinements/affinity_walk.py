"""AffinityNet: learned affinities of neighbouring pixels, then a random walk over the CAMs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch.nn import functional as F

from wsssbench.interfaces import Backbone, Cam, FitItem, Photo, RunContext, Scores
from wsssbench.models.affinity_net import AffinityNet
from wsssbench.models.preprocess import normalise
from wsssbench.ops.affinity import block_mean, pair_affinities, pair_offsets
from wsssbench.ops.cam import upsample
from wsssbench.ops.random_walk import random_walk, transition
from wsssbench.parallel import ranks
from wsssbench.refinements.affinity_pixels import PixelCrops, make_scores
from wsssbench.refinements.affinity_training import (
    AffinityCrops,
    AffinityTask,
    LabelMaker,
    make_labels,
)
from wsssbench.refinements.dense_crf import find_preset
from wsssbench.refinements.score_maps import start_scores
from wsssbench.refinements.trained import TrainedRefinement
from wsssbench.training.transforms import Side

Exponent = Annotated[float, Field(gt=0, le=1000)]
Share = Annotated[float, Field(gt=0, lt=1)]
_ALPHA = (4.0, 24.0)
# PSA's own; the momentum is no slip (see Schedule)
PSA_SCHEDULE: dict[str, Any] = {"batch_size": 8, "epochs": 8, "lr": 0.1, "momentum": 5e-4}


class AffinityWalk(TrainedRefinement):
    """AffinityNet with random walk (PSA: Ahn & Kwak, CVPR 2018), trained on image-level CAMs alone.

    Args:
        backbone: config of a registered backbone, e.g. ``dict(type='ResNet38d', weights=...)``.
        alpha: low and high background exponent of the label making (PSA 4, 32; SEAM 4, 24).
        backgrounds: constant background scores (high, low) of the label making instead of `alpha`, e.g. IRN's (0.30,
            0.05).
        background_alpha: exponent of the background that walks (PSA's best 16; AEFT 19).
        crf_preset: CRF of the label making (`wsssbench.ops.crf.PRESETS`).
        stride: pixels per cell of the grid of affinities; 4 suits small images.
        radius: only cells closer than this are paired.
        beta: exponent of the affinities in the walk.
        steps: length of the walk: PSA 2^8 = 256, SEAM and AEFT 2^6 = 64.
        channels: of the embedding of each of the backbone's last maps, finest first.
        crop: side of the training crops, pixels, a multiple of `stride`.
        crops: ``cells``: they begin at multiples of `stride`, and are of the mean colour outside of the image;
            ``pixels``: at any pixel, and black, as in PSA's released code and its copies. That keeps the CRF's scores
            of all training images at full size, about 1 MB for one of VOC.
        flip: mirror half of the crops.
        schedule: parameters of `wsssbench.training.schedule.Schedule`.

    Raises:
        ValueError: a parameter out of range. UserError: unknown backbone, wrong schedule.
    """

    title = "random walk"
    network_name = "AffinityNet"

    def __init__(
        self,
        *,
        backbone: dict[str, Any],
        alpha: tuple[Exponent, Exponent] = _ALPHA,
        backgrounds: tuple[Share, Share] | None = None,
        background_alpha: Exponent = 16.0,
        crf_preset: str = "psa",
        stride: Annotated[int, Field(ge=1, le=64)] = 8,
        radius: Annotated[int, Field(ge=2, le=40)] = 5,
        beta: Exponent = 8.0,
        steps: Annotated[int, Field(ge=1, le=4096)] = 256,
        channels: Annotated[
            tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1)
        ] = (64, 128, 256),
        crop: Side = 448,
        crops: Literal["cells", "pixels"] = "cells",
        flip: bool = True,
        schedule: dict[str, Any] = PSA_SCHEDULE,
    ) -> None:
        if not 0 < alpha[0] < alpha[1]:
            raise ValueError(f"alpha={alpha} has to be (low, high) with 0 < low < high")
        positive = {"background_alpha": background_alpha, "stride": stride, "beta": beta}
        for name, value in {**positive, "crop": crop}.items():
            if not value > 0:
                raise ValueError(f"{name}={value} has to be greater than 0")
        super().__init__(backbone, schedule, crop, stride)
        if crop < radius * stride:
            raise ValueError(
                f"crop={crop} has {crop // stride} x {crop // stride} cells at stride={stride}, too few for pairs of "
                f"radius={radius}: choose a crop of at least {radius * stride}"
            )
        if steps < 0:
            raise ValueError(f"steps={steps} must not be negative")
        if backgrounds is not None:
            if backgrounds[0] <= backgrounds[1]:
                raise ValueError(f"backgrounds={backgrounds} has to be (high, low)")
            if alpha != _ALPHA:
                raise ValueError(
                    f"alpha={alpha} has no effect, since backgrounds={backgrounds} are given: leave one of the two out"
                )
        self.labels = LabelMaker(alpha, find_preset(crf_preset), stride, backgrounds)
        self.offsets = pair_offsets(radius)
        self.background_alpha = background_alpha
        self.beta = beta
        self.steps = steps
        self.channels = channels
        self.pixels = crops == "pixels"
        self.flip = flip

    def task(self, backbone: Backbone) -> AffinityTask:
        levels = len(self.channels)
        network = AffinityNet(backbone, levels=levels, channels=self.channels, stride=self.stride)
        return AffinityTask(network, self.offsets)

    def crops(self, items: Sequence[FitItem], context: RunContext) -> AffinityCrops:
        """Make affinity labels from the CAMs of `items`."""
        make, crops = (make_scores, PixelCrops) if self.pixels else (make_labels, AffinityCrops)
        return crops(
            [item.image for item in items],
            make(items, self.labels, context.directory / self._folder, context),
            crop=self.crop,
            stride=self.stride,
            flip=self.flip,
            seed=context.seed,
        )

    def fit(self, items: Sequence[FitItem], num_classes: int, context: RunContext) -> None:
        super().fit(items, num_classes, context)
        if self.pixels and ranks.is_main():
            shutil.rmtree(context.directory / self._folder)  # gigabytes that nothing reads any more

    @property
    def _folder(self) -> str:
        return "scores" if self.pixels else "labels"

    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        """Scores after the walk: on the grid if the image is a multiple of it, else full size."""
        if not len(given.classes):
            return Scores(given.classes, np.ones((1, *given.size), np.float32), given.size)
        image = photo.image
        planes = start_scores(image, given, self.background_alpha)
        matrix = transition(self._affinities(image), self.offsets, self.beta)
        walked = random_walk(block_mean(planes, self.stride), matrix, self.steps)
        height, width = image.shape[:2]
        if height % self.stride or width % self.stride:
            # The grid covers the padded image: only at its size do cells lie where they belong.
            padded = (walked.shape[1] * self.stride, walked.shape[2] * self.stride)
            walked = np.ascontiguousarray(upsample(walked, padded)[:, :height, :width])
        return Scores(given.classes, walked, given.size)

    @torch.no_grad()
    def _affinities(self, image: np.ndarray) -> np.ndarray:
        """(P, h, w) float32 on the grid of `image`, padded with the mean colour."""
        pixels = torch.from_numpy(normalise(image))[None].to(self._device)
        height, width = image.shape[:2]
        padded = F.pad(pixels, (0, -width % self.stride, 0, -height % self.stride))
        return pair_affinities(self.loaded(padded), self.offsets)[0].cpu().numpy()
