"""The values that components pass on: arrays and tensors with their shapes, and what a stage may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from wsssbench.ops import IGNORE as IGNORE
from wsssbench.progress import Progress


@dataclass(frozen=True)
class Pooled:
    """The result of a pooling: `logits` (N, K) and, if it has one, its spatial `attention` (N, K, h, w)."""

    logits: Tensor
    attention: Tensor | None = None


@dataclass(frozen=True)
class Output:
    """One pass of the classifier.

    Attributes:
        features: the backbone's feature maps, coarse last; ``features[-1]`` is (N, C, h, w).
        maps: f, (N, K, h, w).
        logits: (N, K).
        attention: the pooling's spatial attention (GPP's P̂16), (N, K, h, w), or None.
    """

    features: tuple[Tensor, ...]
    maps: Tensor
    logits: Tensor
    attention: Tensor | None = None


@dataclass(frozen=True)
class Batch:
    """A training batch: `images` (N, 3, H, W), `labels` (N, K), `progress` = share of the schedule done, in [0, 1)."""

    images: Tensor
    labels: Tensor
    progress: float = 0.0


@dataclass(frozen=True)
class Losses:
    """Named scalar losses, already weighted, which are summed; and scalars that are only logged."""

    terms: Mapping[str, Tensor]
    log: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Cam:
    """Activation maps of one image.

    Attributes:
        classes: label-map values 1..K of the present classes, ascending, (K',) uint8.
        maps: A of eq. 1, each class scaled to maximum 1, (K', h, w) float32 in [0, 1].
        size: the image's (H, W); `maps` may be smaller.
    """

    classes: np.ndarray
    maps: np.ndarray
    size: tuple[int, int]


@dataclass(frozen=True)
class Scores:
    """Per-class scores of one image, background first.

    Attributes:
        classes: label-map values 1..K of the present classes, ascending, (K',) uint8.
        planes: non-negative scores, background then `classes`, (1 + K', h, w) float32.
        size: the image's (H, W); `planes` may be smaller.
    """

    classes: np.ndarray
    planes: np.ndarray
    size: tuple[int, int]


@dataclass(frozen=True)
class RunContext:
    """The means that a component which trains or predicts may use.

    Attributes:
        directory: a directory of its own that survives a kill; checkpoints and results go here.
        device: ``"cpu"`` or ``"cuda"`` (with torchrun: this rank's device is current).
        workers: processes for loading or for CPU-bound work; must not influence any result.
        seed: of this run; 0 in a stage whose result is the same for every seed.
        progress: where to report.
    """

    directory: Path
    device: str
    workers: int
    seed: int
    progress: Progress
