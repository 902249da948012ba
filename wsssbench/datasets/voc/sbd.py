"""SBD, the Semantic Boundaries Dataset: masks of 11,355 VOC images, the source of ``train_aug``.

Hariharan et al., "Semantic contours from inverse detectors", ICCV 2011. The archive's
``benchmark_RELEASE/dataset`` has ``train.txt``, ``val.txt``, ``img/<id>.jpg`` and ``cls/<id>.mat``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from wsssbench.datasets.voc.matlab import MatlabError, read_uint8_field
from wsssbench.errors import UserError

TRAIN_AUG = 10_582  # images of the list that the literature calls train_aug
CLASSES = 20
_DATASET = (".", "dataset", "benchmark_RELEASE/dataset")


def find_sbd(path: Path) -> Path:
    """The folder with ``cls/``, ``train.txt`` and ``val.txt``: `path`, or its usual place below it.

    Raises:
        UserError: nothing of the kind, or parts of it are missing.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise UserError(f"SBD folder {path} does not exist")
    found = next((path / sub for sub in _DATASET if (path / sub / "cls").is_dir()), None)
    if found is None:
        raise UserError(
            f"{path} has no folder cls/ of SBD (looked in itself, dataset/ and "
            "benchmark_RELEASE/dataset/): give the unpacked benchmark_RELEASE"
        )
    missing = [name for name in ("train.txt", "val.txt") if not (found / name).is_file()]
    if missing:
        raise UserError(f"SBD folder {found} has no {missing[0]}: unpack the archive again")
    return found


def read_sbd_mask(path: str | Path) -> np.ndarray:
    """The mask in ``cls/<id>.mat``: (H, W) uint8 in 0..20, in VOC's order of classes.

    Raises:
        UserError: missing or damaged file, or another content than ``GTcls.Segmentation``.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"SBD mask {path} does not exist") from None
    try:
        mask = read_uint8_field(data, "GTcls", "Segmentation")
    except MatlabError as error:
        raise UserError(
            f"SBD mask {path} cannot be read: {error}; unpack the archive again"
        ) from error
    if mask.ndim != 2 or not mask.size:
        raise UserError(
            f"SBD mask {path} has a Segmentation of shape {mask.shape}, but it has to be (H, W)"
        )
    if int(mask.max()) > CLASSES:
        raise UserError(
            f"SBD mask {path} has the label {int(mask.max())}, but SBD's are 0..{CLASSES}"
        )
    return np.ascontiguousarray(mask)


def train_aug_ids(
    voc_train: Iterable[str],
    voc_val: Iterable[str],
    sbd_train: Iterable[str],
    sbd_val: Iterable[str],
) -> list[str]:
    """The ids of ``train_aug``, sorted: all of SBD and of VOC's train, without VOC's val.

    With the published lists these are `TRAIN_AUG` images. SBD annotates part of VOC's val, too,
    which must not be trained on.
    """
    return sorted({*sbd_train, *sbd_val, *voc_train} - set(voc_val))
