"""The contracts: what a component receives, what it returns, in which shape.

Vocabulary (K = number of foreground classes, K' = classes present in one image):

==============  ==================================================  ============================
``images``      RGB batch, ImageNet-normalised                      (N, 3, H, W) float32
``labels``      image-level multi-hot labels                        (N, K) float32 in {0, 1}
``maps``        class maps f of the last convolution                (N, K, h, w) float
``logits``      image-level class scores before the sigmoid         (N, K) float
``cam``         activation maps A (eq. 1) of the present classes    (K', h, w) float32 in [0, 1]
``scores``      refined per-class scores, background first          (1 + K', H, W) float32
label map       0 = background, 1..K = classes, 255 = ignore        (H, W) uint8
==============  ==================================================  ============================

Convention for every component's ``__init__``: *positional* parameters are supplied by the toolkit,
*keyword-only* parameters with type and default are the user's, and appear in configs under those names.
A ``ValueError`` raised by ``__init__`` becomes one sentence for the user.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import Tensor, nn

from wsssbench.progress import Progress

if TYPE_CHECKING:
    from wsssbench.models.classifier import Classifier

IGNORE = 255  # label map value: unsure, or not counted


@dataclass(frozen=True)
class Pooled:
    """What a pooling returns: `logits` (N, K) and, if it has one, its spatial `attention` (N, K, h, w)."""

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
    """What a component that trains or predicts may use.

    Attributes:
        directory: a directory of its own that survives a kill; checkpoints and results go here.
        device: ``"cpu"`` or ``"cuda"`` (with torchrun: this rank's device is current).
        workers: processes for loading or for CPU-bound work; must not influence any result.
        seed: of this run.
        progress: where to report.
    """

    directory: Path
    device: str
    workers: int
    seed: int
    progress: Progress


class Pooling(nn.Module, ABC):
    """Class maps -> image-level logits. ``__init__(num_classes, *, ...)``."""

    @abstractmethod
    def forward(self, maps: Tensor) -> Pooled:
        """Pool `maps` (N, K, h, w) to logits (N, K)."""


class Erasing(nn.Module, ABC):
    """A training objective beside the classification loss. ``__init__(num_classes, channels, *, ...)``.

    `channels` are those of the backbone's feature maps, coarse last. Its own parameters are trained and saved with the
    classifier. It may run the classifier again, on other images or from ``classifier.classify(features)``.
    """

    @abstractmethod
    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The losses for `batch`, given the classifier's `output` on ``batch.images``."""

    def maps(self, output: Output) -> Tensor:
        """The class maps to infer CAMs from, (N, K, h, w); by default the classifier's own."""
        return output.maps


class Backbone(nn.Module, ABC):
    """Images -> feature maps. ``__init__(*, ...)``.

    Attributes:
        channels: channels of each returned feature map, coarse last.
        strides: stride of each returned feature map w.r.t. the image, coarse last.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    @abstractmethod
    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Feature maps (N, C_i, h_i, w_i) of `images` (N, 3, H, W), with h_i = ceil(H / stride_i), coarse last."""


class CamInference(ABC):
    """A trained classifier and one image -> CAM. ``__init__(*, ...)``."""

    @abstractmethod
    def infer(self, classifier: Classifier, image: np.ndarray, labels: np.ndarray) -> Cam:
        """CAMs of `image` (H, W, 3) uint8 RGB for the classes present in `labels` (K,)."""


class Refinement(ABC):
    """CAM (or scores) -> better scores. ``__init__(*, ...)``. Instances must pickle: `refine` runs in worker processes.

    A refinement that has to be trained first sets `fitted` and overrides `fit`; the pipeline then runs `fit` once, and
    `load` in every process before `refine`.
    """

    fitted: ClassVar[bool] = False
    title: ClassVar[str] = ""  # what the ladder calls it, e.g. "CRF"

    @abstractmethod
    def refine(self, image: np.ndarray, given: Cam | Scores) -> Scores:
        """Refine what an earlier stage made of `image` (H, W, 3) uint8 RGB."""

    def fit(self, items: Sequence[FitItem], num_classes: int, context: RunContext) -> None:
        """Train on image-level artefacts; leave what `load` needs in ``context.directory``."""
        raise TypeError(f"{type(self).__name__} is not a refinement that is trained")

    def load(self, directory: Path, device: str) -> None:  # noqa: B027 - most have nothing to load
        """Read back what `fit` left in `directory`."""


@dataclass(frozen=True)
class FitItem:
    """One training image of a refinement: its id, its file, and the artefact file it is refined from."""

    id: str
    image: Path
    given: Path


@dataclass(frozen=True)
class SegmentationItem:
    """One image for the segmenter: id, image file, and the label map to train on or to score against, if any."""

    id: str
    image: Path
    label: Path | None = None


class Segmenter(ABC):
    """Pseudo-labels -> trained network -> predictions. ``__init__(classes, *, ...)`` with K class names."""

    @abstractmethod
    def train(self, items: Sequence[SegmentationItem], context: RunContext) -> None:
        """Train on the pseudo-labels of `items`; leave the network in ``context.directory``. Resumes after a kill."""

    @abstractmethod
    def predict(
        self, items: Sequence[SegmentationItem], trained: Path, context: RunContext
    ) -> Mapping[str, Any]:
        """Write a palette PNG ``<id>.png`` per item into ``context.directory``, from the network in `trained`.

        Images whose PNG is already there are skipped. Returns the framework's own metrics on the items that carry a
        label map (for a cross-check with ours), or an empty mapping.
        """


class Dataset(ABC):
    """Images with image-level labels, and masks that only the evaluation may open. ``__init__(*, ...)``.

    Attributes:
        classes: the K foreground names; label-map value i + 1 belongs to ``classes[i]``.
    """

    classes: tuple[str, ...]
    generated: ClassVar[bool] = False  # True: `generate` makes the files, and `root` is where
    empty_images: bool = False  # True: images without any class belong to the data set

    def card(self) -> dict[str, str | int | float | bool | None]:
        """What the protocol card has to say about this data set beyond its name and split, e.g. whose masks."""
        return {}

    def has_masks(self, split: str) -> bool:
        """Can `split` be scored? Looks for no file."""
        return self.mask_path(self.ids(split)[0], split) is not None

    def generate(self, directory: Path, progress: Progress) -> None:
        """Write the data set into `directory` (only if `generated`); a pure function of the parameters."""
        raise TypeError(f"{type(self).__name__} is not a generated data set")

    def at(self, directory: Path) -> Dataset:
        """This data set with its files in `directory` (only if `generated`)."""
        raise TypeError(f"{type(self).__name__} is not a generated data set")

    @abstractmethod
    def ids(self, split: str) -> list[str]:
        """The image ids of `split`, in list order; UserError if there is no such split or it is empty."""

    @abstractmethod
    def labels(self, split: str) -> np.ndarray:
        """Image-level labels in the order of `ids`, (n, K) float32 in {0, 1}. Opens no mask."""

    @abstractmethod
    def image_path(self, id: str) -> Path:
        """The image file of `id`."""

    @abstractmethod
    def mask_path(self, id: str, split: str) -> Path | None:
        """The ground-truth mask of `id` in `split`, None if the split has none. Open it with `data.truth` only."""

    @abstractmethod
    def truth_directories(self) -> tuple[Path, ...]:
        """Where the masks are: the leak guard closes these to image-level stages."""
