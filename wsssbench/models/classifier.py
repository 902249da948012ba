"""The classifier: backbone -> dropout -> 1 x 1 head -> class maps -> pooling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from torch import Tensor, nn

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
    """

    def __init__(
        self,
        backbone: Backbone,
        pooling: Pooling,
        num_classes: int,
        erasing: Sequence[Erasing] = (),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes={num_classes}, but has to be at least 1")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout}, but has to be in [0, 1)")
        self.num_classes = num_classes
        self.backbone = backbone
        self.dropout = nn.Dropout2d(
            dropout
        )  # on channels: as dropout after a global average pooling
        self.head = nn.Conv2d(backbone.channels[-1], num_classes, 1, bias=False)
        nn.init.xavier_uniform_(self.head.weight)
        self.pooling = pooling
        self.erasing = nn.ModuleList(erasing)

    def forward(self, images: Tensor) -> Output:
        """Classify `images` (N, 3, H, W), ImageNet-normalised."""
        return self.classify(self.backbone(images))

    def classify(self, features: tuple[Tensor, ...]) -> Output:
        """Classify from the backbone's feature maps on; features[-1] is (N, C, h, w)."""
        maps = self.head(self.dropout(features[-1]))
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
        return ("head.", "pooling.", "erasing.")


def build_classifier(
    config: Mapping[str, Any],
    num_classes: int,
    *,
    pretrained: bool = True,
    where: str = "classifier",
) -> Classifier:
    """Build from ``dict(backbone=..., pooling=..., erasing=[...], dropout=0.0)``.

    Components are given as ``dict(type='Name', ...)``.

    Args:
        config: `erasing` and `dropout` may be left out.
        num_classes: K.
        pretrained: False leaves out the backbone's initial weights (its parameters `weights` and
            `pretrained`), for a classifier that is about to load its own.
        where: names the config in error sentences.

    Raises:
        UserError: an unknown key, component or parameter, a value that is not allowed.
    """
    allowed = ("backbone", "pooling", "erasing", "dropout")
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
        return Classifier(backbone, pooling, num_classes, erasing, config.get("dropout", 0.0))
    except (ValueError, TypeError) as error:
        raise UserError(f"{where}: {error}") from error


def _without_weights(config: Any, where: str) -> dict[str, Any]:
    resolved: dict[str, Any] = load().registries.backbone.resolve(config, where)
    off = {"weights": None, "pretrained": False}
    return {**resolved, **{key: value for key, value in off.items() if key in resolved}}
