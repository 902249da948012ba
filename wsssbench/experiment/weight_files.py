"""The weight files that a plan needs and that are not there: listed by ``--dry-run``, refused by a run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wsssbench.errors import MissingWeightsError, UserError
from wsssbench.experiment.fingerprint import named_weights
from wsssbench.stages.stage import Node

# A name that ends otherwise may be one that a backbone knows, such as ``imagenet``.
_SUFFIXES = (".bin", ".ckpt", ".npz", ".params", ".pkl", ".pt", ".pth", ".safetensors", ".tar")

Missing = dict[str, tuple[str, ...]]  # file as the config names it -> the stages that need it


def missing_weights(nodes: Iterable[Node]) -> dict[str, tuple[str, ...]]:
    """Return the files that the configs of `nodes` name and that do not exist, with the nodes that name them."""
    missing: dict[str, tuple[str, ...]] = {}
    for node in nodes:
        for name in dict.fromkeys(named_weights(node.config)):
            if name.lower().endswith(_SUFFIXES) and not Path(name).expanduser().is_file():
                missing[name] = (*missing.get(name, ()), node.name)
    return missing


def told(missing: Missing) -> list[str]:
    """Return a sentence about each missing file."""
    return [
        f"missing weight file: {name}, for {', '.join(nodes)} (looked in {Path(name).parent.absolute()})"
        for name, nodes in missing.items()
    ]


def refuse(missing: Missing) -> None:
    """Raise UserError if there is a missing file."""
    if len(missing) == 1:
        raise MissingWeightsError(*missing)
    if missing:
        raise UserError(
            f"weight files {', '.join(missing)} do not exist: give their paths, e.g. with --set "
            "classifier.backbone.weights=PATH, wherever the config names one"
        )
