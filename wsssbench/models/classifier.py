"""Building a classifier from its config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wsssbench.errors import UserError, unknown
from wsssbench.interfaces import Classifier
from wsssbench.plugins import load


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
        backbone_config = without_weights(backbone_config, f"{where}.backbone")
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


def without_weights(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the config of the same backbone from random values; unchanged if it does not offer that."""
    registry = load().registries.backbone
    resolved: dict[str, Any] = registry.resolve(config, where)
    off = {"weights": None, "pretrained": False}
    blank = {key: value for key, value in off.items() if key in resolved}
    try:
        random: dict[str, Any] = registry.resolve({**resolved, **blank}, where)
    except UserError:
        return resolved
    return random
