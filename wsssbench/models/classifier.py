"""Building a classifier from its config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from wsssbench.errors import UserError, unknown
from wsssbench.interfaces import Classifier
from wsssbench.plugins import load
from wsssbench.registry import KINDS

# key -> kind of the components in its list
LISTS = {"erasing": "erasing", "objectives": "objective"}


def build_classifier(
    config: Mapping[str, Any],
    num_classes: int,
    *,
    pretrained: bool = True,
    where: str = "classifier",
) -> Classifier:
    """Build from ``dict(backbone=..., pooling=..., erasing=[...], objectives=[...], dropout=0.0, hidden=0)``.

    Components are given as ``dict(type='Name', ...)``.

    Args:
        config: `erasing`, `objectives`, `dropout` and `hidden` may be left out.
        num_classes: K.
        pretrained: False leaves out initial weights (the parameters `weights` and `pretrained` of the
            backbone, the erasing methods and the objectives, and of backbones inside of these), for
            a classifier that is about to load its own.
        where: names the config in error sentences.

    Raises:
        UserError: an unknown key, component or parameter, a value that is not allowed.
    """
    allowed = ("backbone", "pooling", *LISTS, "dropout", "hidden")
    for key in config:
        if key not in allowed:
            raise UserError(f"{where}: {unknown('key', key, allowed)}")
    for key in ("backbone", "pooling"):
        if key not in config:
            raise UserError(f"{where}: '{key}' is missing: give {key}=dict(type='Name', ...)")
    registries = load().registries

    def build(kind: str, one: Mapping[str, Any], place: str, *supplied: Any) -> Any:
        one = one if pretrained else without_weights(one, place, kind)
        return registries[kind].build(one, *supplied, where=place)

    backbone = build("backbone", config["backbone"], f"{where}.backbone")
    pooling = registries.pooling.build(config["pooling"], num_classes, where=f"{where}.pooling")
    erasing, objectives = (
        [
            build(kind, one, f"{where}.{key}[{i}]", num_classes, backbone.channels)
            for i, one in enumerate(config.get(key) or ())
        ]
        for key, kind in LISTS.items()
    )
    try:
        dropout, hidden = config.get("dropout", 0.0), config.get("hidden", 0)
        return Classifier(backbone, pooling, num_classes, erasing, dropout, hidden, objectives)
    except (ValueError, TypeError) as error:
        raise UserError(f"{where}: {error}") from error


def take_over(classifier: Classifier, trained: Classifier, where: str) -> list[str]:
    """Give `classifier` the weights of `trained`.

    Returns:
        The erasing methods and objectives, as ``objectives.0``, that have other weights than any of `trained` has.

    Raises:
        UserError: anything else than these differs; `where` names the place of the config.
    """
    own, given = classifier.state_dict(), trained.state_dict()
    free = tuple(f"{key}." for key in LISTS)
    for name in dict.fromkeys((*own, *given)):
        here, there = (_shape(state, name) for state in (own, given))
        if not name.startswith(free) and here != there:
            raise UserError(
                f"{where}: that classifier is another network: '{name}' is {there} there and {here} here; the "
                "backbone, the pooling, `hidden` and the classes have to be the same"
            )
    same = tuple(
        f"{key}.{i}."
        for key in LISTS
        for i, (a, b) in enumerate(
            zip(getattr(classifier, key), getattr(trained, key), strict=False)
        )
        if type(a) is type(b)
    )
    taken = {
        name: value
        for name, value in given.items()
        if not name.startswith(free)
        or (name.startswith(same) and _shape(own, name) == tuple(value.shape))
    }
    classifier.load_state_dict(taken, strict=False)
    return list(dict.fromkeys(".".join(name.split(".")[:2]) for name in own if name not in taken))


def _shape(state: Mapping[str, Tensor], name: str) -> tuple[int, ...] | str:
    return tuple(state[name].shape) if name in state else "missing"


def without_weights(
    config: Mapping[str, Any], where: str, kind: str = "backbone"
) -> dict[str, Any]:
    """Return the config of the same component from random values; unchanged if it does not offer that."""
    registries = load().registries
    registry = registries[kind]
    resolved: dict[str, Any] = registry.resolve(config, where)
    for key, value in resolved.items():
        if key in KINDS and isinstance(value, Mapping) and "type" in value:
            resolved[key] = without_weights(value, f"{where}.{key}", key)
    off = {"weights": None, "pretrained": False}
    blank = {key: value for key, value in off.items() if key in resolved}
    try:
        random: dict[str, Any] = registry.resolve({**resolved, **blank}, where)
    except UserError:
        return resolved
    return random
