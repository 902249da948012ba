"""What identifies the data that a stage reads, without decoding it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from wsssbench.interfaces import Dataset


def data_fingerprint(dataset: Dataset, splits: Iterable[str], truth: bool) -> str:
    """16 hex digits over the lists, the image-level labels and the sizes of the files of `splits`.

    Sizes, not times: a copied data set is the same data set.

    Args:
        truth: include the masks of the splits.
    """
    digest = hashlib.sha256("\0".join(dataset.classes).encode())
    for split in splits:
        ids = dataset.ids(split)
        digest.update(f"\n{split}\n".encode())
        digest.update(dataset.labels(split).astype("uint8").tobytes())
        for id in ids:
            mask = dataset.mask_path(id, split) if truth else None
            paths = [dataset.image_path(id), *([mask] if mask is not None else [])]
            sizes = " ".join(str(path.stat().st_size) for path in paths if path.is_file())
            digest.update(f"{id} {sizes}\n".encode())
    return digest.hexdigest()[:16]
