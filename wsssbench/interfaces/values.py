"""The values that components pass on: arrays and tensors with their shapes, and what a stage may use."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from wsssbench.ops import IGNORE as IGNORE
from wsssbench.progress import Progress

# Third number of the seeds of random streams, behind the run's seed and the position of a photo in the training; the
# view of a photo that is seen first has the first two numbers alone.
VIEW_STREAM, AUGMENTATION_STREAM, OBJECTIVE_STREAM = 1, 2, 3
CAM_STREAM = 4  # there the second number is the checksum of a photo's id


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
        images: what was classified, (N, 3, H, W); None if the pass began with feature maps.
        labels: their image-level labels, (N, K); None where they are not known.
    """

    features: tuple[Tensor, ...]
    maps: Tensor
    logits: Tensor
    attention: Tensor | None = None
    images: Tensor | None = None
    labels: Tensor | None = None


@dataclass(frozen=True)
class Batch:
    """A training batch. If augmentations make V views of a photo, all first views stand before all second ones.

    Attributes:
        images: (N, 3, H, W).
        labels: (N, K).
        progress: share of the schedule that is done, in [0, 1).
        ids: of the photos, N of them.
        positions: of the photos in the stream of all draws of the training, (N,) int64, the same for every view of one;
            None in a batch that is no training's.
        planes: what augmentations laid over the photos, by name, (N, H, W) uint8; 255 outside of a photo.
        views: V; view v of the photos is at v * N / V and behind.
        seed: of the run.
    """

    images: Tensor
    labels: Tensor
    progress: float = 0.0
    ids: tuple[str, ...] = ()
    positions: Tensor | None = None
    planes: Mapping[str, Tensor] = field(default_factory=dict)
    views: int = 1
    seed: int = 0

    def generators(self, key: str) -> list[np.random.Generator]:
        """Return a generator for each image, for the random draws of a component.

        What it draws depends on the seed, the position, the view and `key` alone, so that two ranks draw for their
        images what one draws for all of them, and a resumed training what the killed one would have drawn.

        Args:
            key: of the component, e.g. its class's name: others draw other numbers.
        """
        count, word = len(self.images), zlib.crc32(key.encode())
        places = range(count) if self.positions is None else self.positions.tolist()
        photos = max(1, count // self.views)
        return [
            np.random.default_rng((self.seed, place, OBJECTIVE_STREAM, i // photos, word))
            for i, place in enumerate(places)
        ]


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
