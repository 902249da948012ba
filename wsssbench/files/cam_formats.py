"""CAM files of other repositories, read and written: the AffinityNet (PSA) and the IRNet (IRN) family.

psa: a dict of class index 0..K-1 -> (H, W) float map, at the image's size.
irn: a dict of ``keys`` and maps of these classes at the image's size, (K', H, W), whose name tells who wrote it:

* ``high_res``: IRNet and what is built on it (AdvCAM, RIB, ReCAM, LPCAM, AMN ...); keys are class indices 0..K-1.
* ``attn_highres``: CLIP-ES; keys likewise.
* ``hr_cam``: Puzzle-CAM, P-NOC; keys are 0 for the background, which has no map, then class index + 1.

IRNet's small maps ``cam`` (K', ceil(H/4), ceil(W/4)) are written, and not read. An image without any class has no maps,
and may have nothing but empty ``keys``. Arrays may be torch tensors, ``keys`` a list of numbers, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from wsssbench.errors import UserError
from wsssbench.files.npy import load_array_dict, save_array_dict
from wsssbench.files.npy_tensors import SavedTensor
from wsssbench.interfaces import Cam
from wsssbench.ops import MAX_CLASSES
from wsssbench.ops.cam import upsample

STRIDE = 4  # of IRNet's small maps
SLACK = 1e-3  # values this little outside [0, 1] are rounding, e.g. of SEAM's min-max
_MAX_DIGITS = 20  # Python reads no number from a text of thousands
_KEYS = "keys"
# The name of the maps -> who writes them, and whether the keys begin with the background's.
_FAMILIES = {
    "high_res": ("IRNet", False),
    "attn_highres": ("CLIP-ES", False),
    "hr_cam": ("Puzzle-CAM", True),
}


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
    if _KEYS in maps:
        family = next((f"the {of[0]} family" for name, of in _FAMILIES.items() if name in maps), "")
        raise UserError(f"{path} is a file of {family or 'another family'}: read it as format irn")
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
    """Read a ``.npy`` dict of ``keys`` and full-size maps, of one of the families above, as `Cam` (classes 1..K).

    Args:
        size: the image's (H, W), used only for a file without classes.

    Raises:
        UserError: unreadable, or of another kind.
    """
    content = load_array_dict(path, tensors=True)
    name = next((name for name in _FAMILIES if name in content), "")
    if _KEYS not in content or not (name or not content[_KEYS].size):
        raise UserError(f"{path} {_of_another_kind(content)}")
    keys = _whole(content[_KEYS], path)
    maps = content.get(name, np.zeros(0, np.float32))
    if name and _FAMILIES[name][1]:
        keys = _without_background(keys, maps, path)
    if not content[_KEYS].ndim and maps.ndim == 2:  # of one class, without its axis
        maps = maps[None]
    if not len(keys) and not maps.size:
        if size is None:
            raise UserError(f"{path}: holds no class map")
        return Cam(np.zeros(0, np.uint8), np.zeros((0, *size), np.float32), size)
    if maps.ndim != 3 or len(maps) != len(keys) or 0 in maps.shape[1:]:
        raise UserError(
            f"{path}: its {name} has shape {maps.shape} for {len(keys)} classes, not (classes, H, W)"
        )
    order = np.argsort(keys, kind="stable")
    classes = _classes(keys[order].tolist(), path)
    return Cam(classes, np.ascontiguousarray(_real(maps, path)[order]), maps.shape[1:])


def write_irn(path: Path, cam: Cam) -> None:
    """Write `cam` as IRNet does: int64 ``keys``, float32 ``high_res`` (K', H, W) and ``cam`` at a fourth of it.

    As in its files, ``keys`` and ``cam`` are torch tensors and ``high_res`` is an array: its next steps call
    ``cam.cuda()`` and numpy's functions on ``high_res``. ``cam`` is made from ``high_res``: means over its cells, then
    each map over its maximum, as IRNet's is scaled.
    """
    maps = _full(cam)
    keys = SavedTensor(cam.classes.astype(np.int64) - 1)
    arrays: dict[str, np.ndarray | SavedTensor] = {
        _KEYS: keys,
        "cam": SavedTensor(_quarter(maps)),
        "high_res": maps,
    }
    save_array_dict(path, arrays)


def bounded(cam: Cam, path: Path) -> tuple[Cam, bool]:
    """Return `cam` with values in [0, 1], and whether any were clipped.

    Raises:
        UserError: NaN or infinite values, or values that are more than `SLACK` outside.
    """
    if not cam.maps.size:
        return cam, False
    low, high = float(cam.maps.min()), float(cam.maps.max())
    if not np.isfinite([low, high]).all():
        raise UserError(
            f"{path} holds NaN or infinite values: did the training diverge, or was 0 divided by 0?"
        )
    if low < -SLACK or high > 1 + SLACK:
        raise UserError(
            f"{path} has values from {low:.4g} to {high:.4g}, but maps have to be normalised to [0, 1]: "
            f"{_remedy(low, high)}"
        )
    if low >= 0 and high <= 1:
        return cam, False
    return replace(cam, maps=np.clip(cam.maps, 0, 1)), True


def _remedy(low: float, high: float) -> str:
    if high <= 0:
        return "these may be logarithms of probabilities, of which exp() gives probabilities"
    if low >= 0 and 128 <= high <= 255:
        return "these may be grey values, which are divided by 255"
    raw = "these are class scores before any normalisation; " if low < 0 else ""
    return f"{raw}divide the positive part of each map by its maximum"


def _of_another_kind(content: Mapping[Any, Any]) -> str:
    """Say what a dictionary that is none of the families is."""
    if content and all(str(key).isdecimal() for key in content):
        return "lacks 'keys' of the IRNet family: it is of the AffinityNet family, format psa"
    if "IS_CAM" in content:
        return (
            "is a file of SIPE: its IS_CAM holds scores of the background and of the classes, no CAMs; save the label "
            "maps keys[IS_CAM.argmax(axis=0)] as PNG files and score those (format png)"
        )
    known = ", ".join(f"{name} ({family})" for name, (family, _) in _FAMILIES.items())
    if "cam" in content:
        return f"has the small maps 'cam' only: maps at the image's size are needed, called {known}"
    found = ", ".join(map(str, content))[:80] or "none"
    return f"lacks 'keys' and the maps of the IRNet family, which are called {known}; its own keys are: {found}"


def _whole(keys: np.ndarray, path: Path) -> np.ndarray:
    """Class indices as a vector of int64; an empty vector may have any type."""
    values = keys.ravel()
    if values.dtype.kind not in "iuf" or (values.size and (values != np.floor(values)).any()):
        raise UserError(f"{path}: its keys are {values.dtype} {values[:5]}, not class indices")
    return values.astype(np.int64)


def _without_background(keys: np.ndarray, maps: np.ndarray, path: Path) -> np.ndarray:
    """Turn Puzzle-CAM's keys, 0 for the background and class index + 1, into class indices."""
    if keys.size and (keys[0] != 0 or len(keys) == len(maps)):
        raise UserError(
            f"{path}: its keys {keys.tolist()} for {len(maps)} maps are not those of Puzzle-CAM: 0 for the background, "
            "which has no map, then class index + 1 of each map"
        )
    return keys[1:] - 1


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
