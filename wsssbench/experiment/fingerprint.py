"""What identifies the data that a stage reads, without decoding it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from wsssbench.interfaces import Dataset


def data_fingerprint(
    dataset: Dataset, splits: Iterable[str], truth: bool, labels: bool = True
) -> str:
    """16 hex digits over the lists, the image-level labels and the sizes of the files of `splits`.

    Sizes, not times: a copied data set is the same data set.

    Args:
        truth: include the masks of the splits.
        labels: include their image-level labels.
    """
    digest = hashlib.sha256("\0".join(dataset.classes).encode())
    for split in splits:
        ids = dataset.ids(split)
        digest.update(f"\n{split}\n".encode())
        if labels:
            digest.update(dataset.labels(split).astype("uint8").tobytes())
        for id in ids:
            mask = dataset.mask_path(id, split) if truth else None
            paths = [dataset.image_path(id), *([mask] if mask is not None else [])]
            sizes = " ".join(str(path.stat().st_size) for path in paths if path.is_file())
            digest.update(f"{id} {sizes}\n".encode())
    return digest.hexdigest()[:16]


def weight_files(config: Any) -> dict[str, str]:
    """Every weight file that `config` names, i.e. a file under a key ``weights``, with 16 hex digits of its SHA-256."""
    found: dict[str, str] = {}
    if isinstance(config, Mapping):
        name = config.get("weights")
        if isinstance(name, str) and Path(name).is_file():
            found[name] = file_checksum(Path(name))
    items = config.values() if isinstance(config, Mapping) else config
    if isinstance(items, Iterable) and not isinstance(items, str | bytes):
        for item in items:
            found.update(weight_files(item))
    return found


def file_checksum(path: Path) -> str:
    """The first 16 hex digits of the file's SHA-256; read once per process and state of the file."""
    stat = path.stat()
    return _checksum(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _checksum(path: Path, _size: int, _time: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]
