"""CAM files of other repositories, read and written: the AffinityNet (PSA) and the IRNet (IRN) family.

psa: a dict of class index 0..K-1 -> (H, W) float map, at the image's size.
irn: a dict of ``keys`` (class indices 0..K-1), ``cam`` (K', ceil(H/4), ceil(W/4)) and ``high_res`` (K', H, W); only
``high_res`` is read. Its arrays may be torch tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from wsssbench.errors import UserError
from wsssbench.files.npy import load_array_dict, save_array_dict
from wsssbench.interfaces import Cam
from wsssbench.ops import MAX_CLASSES
from wsssbench.ops.cam import upsample

STRIDE = 4  # of IRNet's small maps
SLACK = 1e-3  # values this little outside [0, 1] are rounding, e.g. of SEAM's min-max
_MAX_DIGITS = 20  # Python reads no number from a text of thousands
_IRN = ("keys", "high_res")


@dataclass(frozen=True)
class CamFormat:
    """A family of CAM files.

    Attributes:
        suffix: of its files.
        read: (path, size) -> `Cam` with maps at full size; `size` (H, W) is needed for a file without classes only.
        write: (path, cam) -> None; atomic, equal CAMs give equal bytes.
    """

    suffix: str
    read: Callable[..., Cam]
    write: Callable[[Path, Cam], None]


def read_psa(path: Path, size: tuple[int, int] | None = None) -> Cam:
    """Read an AffinityNet-style ``.npy``: a dict of class index 0..K-1 -> (H, W) float map, as `Cam` (classes 1..K).

    Args:
        size: the image's (H, W), which a file without classes cannot tell.

    Raises:
        UserError: unreadable, or of another kind.
    """
    maps = load_array_dict(path, tensors=True)
    if set(_IRN) <= set(maps):
        raise UserError(f"{path} is a file of the IRNet family: read it as format irn")
    odd = [key for key in maps if not str(key).isdecimal() or len(str(key)) > _MAX_DIGITS]
    if odd:
        raise UserError(f"{path}: its key {odd[0]!r:.80} is not a class index 0..{MAX_CLASSES - 1}")
    keys = sorted(maps, key=int)
    shapes = [maps[key].shape for key in keys]
    if any(len(shape) != 2 or shape != shapes[0] or 0 in shape for shape in shapes):
        raise UserError(f"{path}: its maps have shapes {shapes}, not one (H, W)")
    if keys:
        size = (shapes[0][0], shapes[0][1])
    elif size is None:
        raise UserError(f"{path}: holds no class map")
    arrays = [_real(maps[key], path) for key in keys]
    stacked = np.stack(arrays) if arrays else np.zeros((0, *size), np.float32)
    return Cam(_classes([int(key) for key in keys], path), stacked, size)


def write_psa(path: Path, cam: Cam) -> None:
    """Write `cam` at the image's size as AffinityNet does: dict of class index 0..K-1 -> (H, W) float32."""
    maps = _full(cam)
    save_array_dict(path, {int(v) - 1: m for v, m in zip(cam.classes, maps, strict=True)})


def read_irn(path: Path, size: tuple[int, int] | None = None) -> Cam:
    """Read an IRNet-style ``.npy``: its ``high_res`` maps of class indices ``keys``, as `Cam` (classes 1..K).

    Args:
        size: the image's (H, W), used only for a file without classes.

    Raises:
        UserError: unreadable, or of another kind.
    """
    content = load_array_dict(path, tensors=True)
    if not set(_IRN) <= set(content):
        other = content and all(str(key).isdecimal() for key in content)
        hint = ": it is of the AffinityNet family, format psa" if other else ""
        raise UserError(f"{path} lacks 'keys' or 'high_res' of the IRNet family{hint}")
    keys, maps = content["keys"].ravel(), content["high_res"]
    if keys.dtype.kind not in "iu":
        raise UserError(f"{path}: its keys are {keys.dtype}, not class indices")
    if not len(keys) and size is not None and not maps.size:
        maps = np.zeros((0, *size), np.float32)
    if maps.ndim != 3 or len(maps) != len(keys) or 0 in maps.shape[1:]:
        raise UserError(
            f"{path}: its high_res has shape {maps.shape} for {len(keys)} keys, not (keys, H, W)"
        )
    order = np.argsort(keys, kind="stable")
    classes = _classes(keys[order].tolist(), path)
    return Cam(classes, np.ascontiguousarray(_real(maps, path)[order]), maps.shape[1:])


def write_irn(path: Path, cam: Cam) -> None:
    """Write `cam` as IRNet does: int64 ``keys``, float32 ``high_res`` (K', H, W) and ``cam`` at a fourth of it.

    ``cam`` is made from ``high_res``: means over its cells, then each map over its maximum, as IRNet's is scaled.
    """
    maps = _full(cam)
    keys = cam.classes.astype(np.int64) - 1
    save_array_dict(path, {"keys": keys, "cam": _quarter(maps), "high_res": maps})


def bounded(cam: Cam, path: Path) -> tuple[Cam, bool]:
    """Return `cam` with values in [0, 1], and whether any were clipped.

    Raises:
        UserError: NaN, or values that are more than `SLACK` outside.
    """
    if not cam.maps.size:
        return cam, False
    low, high = float(cam.maps.min()), float(cam.maps.max())
    if not (low >= -SLACK and high <= 1 + SLACK):  # also true of NaN
        raise UserError(
            f"{path} has values from {low:.4g} to {high:.4g}, but maps have to be normalised to [0, 1]: "
            "divide the positive part of each by its maximum"
        )
    if low >= 0 and high <= 1:
        return cam, False
    return replace(cam, maps=np.clip(cam.maps, 0, 1)), True


def _classes(indices: list[int], path: Path) -> np.ndarray:
    """Turn ascending class indices 0..K-1 into label-map values (K',) uint8."""
    if indices and not 0 <= indices[0] <= indices[-1] < MAX_CLASSES:
        raise UserError(f"{path}: class indices {indices} are not in 0..{MAX_CLASSES - 1}")
    if len(set(indices)) < len(indices):
        raise UserError(f"{path}: class indices {indices} name a class twice")
    return np.array([index + 1 for index in indices], np.uint8)


def _real(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise UserError(f"{path}: its maps are {array.dtype}, not real numbers")
    with np.errstate(over="ignore"):  # infinite values are told about with their file
        return np.asarray(array, np.float32)


def _full(cam: Cam) -> np.ndarray:
    """Return the maps at the image's size (K', H, W) float32; interpolation may leave [0, 1] by rounding."""
    maps = upsample(cam.maps, cam.size)
    return maps if maps is cam.maps else np.clip(maps, 0, 1)


def _quarter(maps: np.ndarray) -> np.ndarray:
    height, width = (-(-side // STRIDE) for side in maps.shape[1:])
    if not len(maps):
        return np.zeros((0, height, width), np.float32)
    small: Any = F.adaptive_avg_pool2d(torch.from_numpy(maps.copy()), (height, width)).numpy()
    peaks = small.max(axis=(1, 2), keepdims=True)
    scaled: np.ndarray = small / np.where(peaks > 0, peaks, 1)
    return scaled


FORMATS = {
    "psa": CamFormat(".npy", read_psa, write_psa),
    "irn": CamFormat(".npy", read_irn, write_irn),
}
