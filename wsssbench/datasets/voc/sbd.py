"""SBD, the Semantic Boundaries Dataset: masks of 11,355 VOC images, the source of ``train_aug``.

Hariharan et al., "Semantic contours from inverse detectors", ICCV 2011. The archive's
``benchmark_RELEASE/dataset`` has ``train.txt``, ``val.txt``, ``img/<id>.jpg`` and ``cls/<id>.mat``.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from wsssbench.errors import UserError

TRAIN_AUG = 10_582  # images of the list that the literature calls train_aug
CLASSES = 20
_DATASET = (".", "dataset", "benchmark_RELEASE/dataset")

_HEADER = 128  # bytes; MathWorks, "MAT-File Format", level 5
_COMPRESSED = 15  # the kind of a compressed element
_MAX_BYTES = 1 << 26  # of one variable, decompressed; SBD's have less than 1 MiB


def find_sbd(path: Path) -> Path:
    """The folder with ``cls/``, ``train.txt`` and ``val.txt``: `path`, or its usual place below it.

    Raises:
        UserError: nothing of the kind, or parts of it are missing.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise UserError(f"SBD folder {path} does not exist")
    folder = next((path / sub for sub in _DATASET if (path / sub / "cls").is_dir()), None)
    if folder is None:
        raise UserError(
            f"{path} has no folder cls/ of SBD (looked in itself, dataset/ and "
            "benchmark_RELEASE/dataset/): give the unpacked benchmark_RELEASE"
        )
    missing = [name for name in ("train.txt", "val.txt") if not (folder / name).is_file()]
    if missing:
        raise UserError(f"SBD folder {folder} has no {missing[0]}: unpack the archive again")
    return folder


def read_sbd_mask(path: str | Path) -> np.ndarray:
    """The mask in ``cls/<id>.mat``: (H, W) uint8 in 0..20, in VOC's order of classes.

    Raises:
        UserError: missing or damaged file, or another content than ``GTcls.Segmentation``.
    """
    path = Path(path)
    try:
        mask = _segmentation(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"SBD mask {path} does not exist") from None
    except OSError as error:
        raise UserError(f"SBD mask {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
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


def _segmentation(content: bytes) -> np.ndarray:
    """``GTcls.Segmentation`` of a .mat file, uint8; ValueError says what the file holds instead."""
    from scipy.io import loadmat

    _check_compressed(content)
    try:
        # mat_dtype: MATLAB stores the whole numbers of a double array as uint8
        record = loadmat(io.BytesIO(content), mat_dtype=True, variable_names=["GTcls"])["GTcls"]
    except KeyError:
        raise ValueError("it has no variable GTcls") from None
    except Exception as error:
        raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from error
    if not isinstance(record, np.ndarray) or not record.dtype.names or record.size != 1:
        raise ValueError(f"GTcls is no 1x1 structure, but {_described(record)}")
    if "Segmentation" not in record.dtype.names:
        raise ValueError("GTcls has no field Segmentation")
    mask = record["Segmentation"].item()
    if not isinstance(mask, np.ndarray) or mask.dtype != np.uint8:
        raise ValueError(f"GTcls.Segmentation is no uint8 array, but {_described(mask)}")
    return mask


def _check_compressed(content: bytes) -> None:
    """Raise ValueError unless everything in a .mat file is compressed, and whole by its checksums.

    scipy's compiled reader believes the numbers in a file: a damaged uncompressed file can crash the process.
    """
    if content.startswith(b"MATLAB 7.3"):
        raise ValueError("it was saved by MATLAB 7.3 as HDF5, not as version 5")
    order = {b"IM": "<", b"MI": ">"}.get(content[_HEADER - 2 : _HEADER])
    if order is None or not content.startswith(b"MATLAB 5.0"):
        raise ValueError("it is no MATLAB 5 file")
    start = _HEADER
    while start < len(content):
        if len(content) < start + 8:
            raise ValueError("it is cut off")
        kind, size = struct.unpack_from(f"{order}II", content, start)
        if kind != _COMPRESSED:
            raise ValueError("it holds uncompressed data, unlike SBD's files")
        stream = zlib.decompressobj()
        try:
            stream.decompress(content[start + 8 : start + 8 + size], _MAX_BYTES)
        except zlib.error as error:
            raise ValueError(f"its compressed data is damaged: {error}") from error
        if not stream.eof:
            raise ValueError("its compressed data is cut off, or far too large")
        start += 8 + size


def _described(value: object) -> str:
    if not isinstance(value, np.ndarray):
        return type(value).__name__
    kind = "struct" if value.dtype.names else "text" if value.dtype.kind == "U" else value.dtype
    return f"{'x'.join(map(str, value.shape))} {kind}"


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
