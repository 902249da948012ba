"""Identifies the files that a stage reads outside the cache: images, labels, masks, weight files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wsssbench.datasets.subset import Subset
from wsssbench.files.contents import content_id, file_content
from wsssbench.interfaces import Dataset
from wsssbench.progress import Progress
from wsssbench.stages.stage import Node

_KEY = "weights"  # a weight file is named under it, in whatever component


def data_fingerprint(
    dataset: Dataset, node: Node, memory: Path | None = None, progress: Progress | None = None
) -> str:
    """Return 16 hex digits over the lists, image-level labels and contents of what `node` reads of `dataset`.

    Contents, not places or times: a copied data set is the same data set. Files of one that is generated come from a
    stage, so that only the choice among them is left to tell.

    Args:
        memory: see `wsssbench.files.contents.content_id`.
    """
    if dataset.generated:
        return repr(dataset.trial) if isinstance(dataset, Subset) and node.splits else ""
    digest = hashlib.sha256("\0".join(dataset.classes).encode())
    files: dict[str, str] = {}
    for split in node.splits:
        ids = dataset.ids(split)
        digest.update("\n".join([f"\n{split}", *ids]).encode())
        if node.labels:
            digest.update(dataset.labels(split).astype("uint8").tobytes())
        files.update({f"image {id}": str(dataset.image_path(id)) for id in ids})
    for split in node.masks:
        masks = ((id, dataset.mask_path(id, split)) for id in dataset.ids(split))
        files.update({f"mask {split} {id}": str(path) for id, path in masks if path is not None})
    digest.update(content_id(files, memory, progress).encode())
    return digest.hexdigest()[:16]


def with_checksums(config: Any) -> Any:
    """Return `config` with the checksum of every weight file in the place of its path.

    A name that is no file stays: ``imagenet``, or a file that is missing, which the components complain about.
    """
    if isinstance(config, Mapping):
        return {
            key: _checksum(item) if key == _KEY and isinstance(item, str) else with_checksums(item)
            for key, item in config.items()
        }
    if isinstance(config, (list, tuple)):
        return [with_checksums(item) for item in config]
    return config


def weight_checksums(config: Any) -> dict[str, str]:
    """Return the path of every weight file that `config` names -> 16 hex digits of its SHA-256."""
    return {
        name: file_content(Path(name)) for name in named_weights(config) if Path(name).is_file()
    }


def _checksum(name: str) -> str:
    return f"SHA-256 {file_content(Path(name))}" if Path(name).is_file() else name


def named_weights(config: Any) -> Iterator[str]:
    """Yield what stands under ``weights`` anywhere in `config`: files, or names that a backbone knows."""
    if isinstance(config, Mapping):
        if isinstance(config.get(_KEY), str):
            yield config[_KEY]
        for item in config.values():
            yield from named_weights(item)
    elif isinstance(config, (list, tuple)):
        for item in config:
            yield from named_weights(item)
