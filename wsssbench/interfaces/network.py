"""The contracts of the classification network, and the classifier that is made of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.interfaces.requirements import need_class_maps, need_features, need_pooled
from wsssbench.interfaces.values import Batch, Losses, Output, Pooled


class Pooling(nn.Module, ABC):
    """Pools class maps to image-level logits. ``__init__(num_classes, *, ...)``."""

    @abstractmethod
    def forward(self, maps: Tensor) -> Pooled:
        """Pool `maps` (N, K, h, w) to logits (N, K)."""

    def pool(self, maps: Tensor, features: Tensor, head: nn.Conv2d) -> Pooled:
        """Pool `maps`, for a pooling that needs to know what they were made of; by default ``forward(maps)``.

        Args:
            maps: f = ``head(features)``, (N, K, h, w).
            features: the input of the head, (N, C, h, w): of the backbone, after dropout and hidden layer.
            head: the 1 x 1 convolution to the K classes, without bias.
        """
        pooled: Pooled = self(maps)
        return pooled


class Objective(nn.Module, ABC):
    """Adds a training objective beside the classification loss. ``__init__(num_classes, channels, *, ...)``.

    `channels` are those of the backbone's feature maps, coarse last. Its own parameters are trained and saved with the
    classifier, at the rate of new layers unless `new_layers` says otherwise. It may run the classifier again, on other
    images or from ``classifier.classify(features)``.

    Attributes:
        classification_weight: of the classification loss, not negative; those of several objectives multiply. Of a
            class, or a parameter of this name; ``__init__`` keeps a parameter's value in the attribute.
        new_layers: first parts of the dotted names of its parameters that no pretraining has seen, as of a backbone;
            None: all are new. The others learn at the rate of the backbone.
    """

    classification_weight: float = 1.0
    new_layers: tuple[str, ...] | None = None

    @abstractmethod
    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """Return the losses for `batch`, given the classifier's `output` on ``batch.images``."""

    def maps(self, classifier: Classifier, output: Output) -> Tensor:
        """Return the class maps to infer CAMs from, (N, K, h, w); by default ``output.maps``.

        These are the classifier's own, or those of the objective before. ``output.images`` are what they were made of,
        and ``output.labels`` the image-level labels, or None where these are not known.
        """
        return output.maps


class Erasing(Objective):
    """An objective that shows the classifier images of which a part is erased."""


class Backbone(nn.Module, ABC):
    """Computes feature maps of images. ``__init__(*, ...)``.

    Attributes:
        channels: channels of each returned feature map, coarse last.
        strides: stride of each returned feature map w.r.t. the image, coarse last.
        new_layers: first parts of the dotted names of its parameters that no pretraining has seen, e.g. ``("neck",)``;
            they learn at the rate of new layers, as the head does.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    new_layers: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return feature maps (N, C_i, h_i, w_i) of `images` (N, 3, H, W), h_i = ceil(H / stride_i), coarse last."""

    @property
    def stage_channels(self) -> tuple[int, ...]:
        """Channels of each map of `stage_features`; by default `channels`."""
        return self.channels

    @property
    def stage_strides(self) -> tuple[int, ...]:
        """Stride of each map of `stage_features` w.r.t. the image; by default `strides`."""
        return self.strides

    def stage_features(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the map of every stage, the stem's first, and those of `forward` last; by default these alone.

        For methods that read edges and texture, which the coarser maps have lost. Shapes are as in `forward`.
        """
        features: tuple[Tensor, ...] = self(images)
        return features


class Classifier(nn.Module):
    """A multi-label classifier. Its class maps f are the result of the last convolution.

    Args:
        backbone: images -> feature maps.
        pooling: class maps -> logits.
        num_classes: K.
        erasing: erasing methods; their parameters are trained and saved along.
        objectives: further objectives beside the classification loss, behind the erasing methods.
        dropout: share of channels of the last feature map dropped in training.
        hidden: channels of a 1 x 1 convolution with ReLU between dropout and head, without bias as
            the head; 0: none. AEFT's released code has 256; its paper mentions no such layer.

    Raises:
        ValueError: `num_classes`, `dropout` or `hidden` out of range.
    """

    def __init__(
        self,
        backbone: Backbone,
        pooling: Pooling,
        num_classes: int,
        erasing: Sequence[Erasing] = (),
        dropout: float = 0.0,
        hidden: int = 0,
        objectives: Sequence[Objective] = (),
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes={num_classes}, but has to be at least 1")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout}, but has to be in [0, 1)")
        if hidden < 0:
            raise ValueError(f"hidden={hidden}, but has to be 0 (none) or the number of channels")
        self.num_classes = num_classes
        self.backbone = backbone
        # Whole channels are dropped, as by dropout after a global average pooling.
        self.dropout = nn.Dropout2d(dropout)
        channels = backbone.channels[-1]
        self.hidden = _convolution(channels, hidden) if hidden else None
        self.head = _convolution(hidden or channels, num_classes)
        self.pooling = pooling
        self.erasing = nn.ModuleList(erasing)
        self.objectives = nn.ModuleList(objectives)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Output:
        """Classify `images` (N, 3, H, W), ImageNet-normalised; their `labels` (N, K) are only handed on.

        Raises:
            BrokenContractError: the backbone or the pooling returns something else than its contract says.
        """
        features = self.backbone(images)
        need_features(features, images, self.backbone.channels, _name("backbone", self.backbone))
        return replace(self.classify(features), images=images, labels=labels)

    def classify(self, features: tuple[Tensor, ...]) -> Output:
        """Classify from the backbone's feature maps on; features[-1] is (N, C, h, w)."""
        x = self.dropout(features[-1])
        if self.hidden is not None:
            x = F.relu(self.hidden(x))
        maps = self.head(x)
        pooled = self.pooling.pool(maps, x, self.head)
        need_pooled(pooled, maps, _name("pooling", self.pooling))
        return Output(tuple(features), maps, pooled.logits, pooled.attention)

    def cam_maps(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the maps CAMs are made of, (N, K, h, w): passed through each erasing method and objective in order.

        Args:
            images: (N, 3, H, W).
            labels: image-level labels, (N, K); None if they are not known.
        """
        return self.cam_maps_of(self(images, labels))

    def cam_maps_of(self, output: Output) -> Tensor:
        """Return the same of a pass that was made already, with its images and labels."""
        for name, objective in self.all_objectives():
            maps = objective.maps(self, output)
            need_class_maps(maps, output.maps, name)
            output = replace(output, maps=maps)
        return output.maps

    def all_objectives(self) -> list[tuple[str, Objective]]:
        """Return the erasing methods and then the objectives, each with what it is called in sentences."""
        return [
            *((_name("erasing", one), cast(Objective, one)) for one in self.erasing),
            *((_name("objective", one), cast(Objective, one)) for one in self.objectives),
        ]

    def new_layers(self) -> tuple[str, ...]:
        """Return the first parts of the names of parameters that no pretraining has seen; they learn faster."""
        paths = ["hidden", "head", "pooling"]
        paths += [f"backbone.{path}" for path in self.backbone.new_layers]
        for key in ("erasing", "objectives"):
            for i, one in enumerate(getattr(self, key)):
                new = one.new_layers
                paths += [f"{key}.{i}"] if new is None else [f"{key}.{i}.{path}" for path in new]
        return tuple(paths)


def _name(kind: str, component: object) -> str:
    return f"{kind} {type(component).__name__}"


def _convolution(given: int, out: int) -> nn.Conv2d:
    """Make a 1 x 1 convolution without bias, initialised as by Glorot & Bengio (Xavier)."""
    layer = nn.Conv2d(given, out, 1, bias=False)
    nn.init.xavier_uniform_(layer.weight)
    return layer
