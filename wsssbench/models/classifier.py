"""The classifier: backbone -> dropout (-> 1 x 1 hidden layer) -> 1 x 1 head -> class maps -> pooling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.errors import UserError, unknown
from wsssbench.interfaces import Backbone, Erasing, Output, Pooling
from wsssbench.plugins import load


class Classifier(nn.Module):
    """Multi-label classifier whose class maps f are the last convolution's result.

    Args:
        backbone: images -> feature maps.
        pooling: class maps -> logits.
        num_classes: K.
        erasing: objectives beside the classification loss; their parameters are trained and saved
            along.
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
        self.dropout = nn.Dropout2d(
            dropout
        )  # on channels: as dropout after a global average pooling
        channels = backbone.channels[-1]
        self.hidden = _convolution(channels, hidden) if hidden else None
        self.head = _convolution(hidden or channels, num_classes)
        self.pooling = pooling
        self.erasing = nn.ModuleList(erasing)

    def forward(self, images: Tensor) -> Output:
        """Classify `images` (N, 3, H, W), ImageNet-normalised."""
        return self.classify(self.backbone(images))

    def classify(self, features: tuple[Tensor, ...]) -> Output:
        """Classify from the backbone's feature maps on; features[-1] is (N, C, h, w)."""
        x = self.dropout(features[-1])
        if self.hidden is not None:
            x = F.relu(self.hidden(x))
        maps = self.head(x)
        pooled = self.pooling(maps)
        return Output(tuple(features), maps, pooled.logits, pooled.attention)

    def cam_maps(self, images: Tensor) -> Tensor:
        """The maps CAMs are made of, (N, K, h, w): passed through each erasing method in order."""
        output: Output = self(images)
        for erasing in self.erasing:
            maps = cast(Erasing, erasing).maps(output)
            output = replace(output, maps=maps)
        return output.maps

    @staticmethod
    def new_parameters() -> tuple[str, ...]:
        """Prefixes of parameters that no ImageNet training has seen: for a higher learning rate.

        No backbone of the core has a parameter whose name contains one of them, so they also serve
        as substrings.
        """
        return ("hidden.", "head.", "pooling.", "erasing.")


def _convolution(given: int, out: int) -> nn.Conv2d:
    """1 x 1, without bias, initialised as by Glorot & Bengio (Xavier)."""
    layer = nn.Conv2d(given, out, 1, bias=False)
    nn.init.xavier_uniform_(layer.weight)
    return layer


def build_classifier(
    config: Mapping[str, Any],
    num_classes: int,
    *,
    pretrained: bool = True,
    where: str = "classifier",
) -> Classifier:
    """Build from ``dict(backbone=..., pooling=..., erasing=[...], dropout=0.0, hidden=0)``.

    Components are given as ``dict(type='Name', ...)``.

    Args:
        config: `erasing`, `dropout` and `hidden` may be left out.
        num_classes: K.
        pretrained: False leaves out the backbone's initial weights (its parameters `weights` and
            `pretrained`), for a classifier that is about to load its own.
        where: names the config in error sentences.

    Raises:
        UserError: an unknown key, component or parameter, a value that is not allowed.
    """
    allowed = ("backbone", "pooling", "erasing", "dropout", "hidden")
    for key in config:
        if key not in allowed:
            raise UserError(f"{where}: {unknown('key', key, allowed)}")
    for key in ("backbone", "pooling"):
        if key not in config:
            raise UserError(f"{where}: '{key}' is missing: give {key}=dict(type='Name', ...)")
    registries = load().registries
    backbone_config = config["backbone"]
    if not pretrained:
        backbone_config = _without_weights(backbone_config, f"{where}.backbone")
    backbone = registries.backbone.build(backbone_config, where=f"{where}.backbone")
    pooling = registries.pooling.build(config["pooling"], num_classes, where=f"{where}.pooling")
    erasing = [
        registries.erasing.build(one, num_classes, backbone.channels, where=f"{where}.erasing[{i}]")
        for i, one in enumerate(config.get("erasing") or ())
    ]
    try:
        dropout, hidden = config.get("dropout", 0.0), config.get("hidden", 0)
        return Classifier(backbone, pooling, num_classes, erasing, dropout, hidden)
    except (ValueError, TypeError) as error:
        raise UserError(f"{where}: {error}") from error


def _without_weights(config: Any, where: str) -> dict[str, Any]:
    resolved: dict[str, Any] = load().registries.backbone.resolve(config, where)
    off = {"weights": None, "pretrained": False}
    return {**resolved, **{key: value for key, value in off.items() if key in resolved}}
