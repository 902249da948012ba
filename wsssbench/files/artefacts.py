"""The files between stages: CAMs and scores as small .npz archives, label maps as palette PNGs.

An artefact is written at once (see `atomic`), with the same bytes for the same content, and checked
completely when it is read: whatever is damaged or foreign raises `CorruptArtefactError`, so that
its stage makes it again.

CAM files store at most half the image's resolution in 8 bits. On real masks that takes 1/35 of the
bytes of full-resolution float32 maps and changes mIoU by about 0.01 (tools/bench_artefacts.py).
Exact ones, for maps that somebody else made, keep every value.
Scores keep their resolution in 16 bits: 1/20 for those of a CRF, 1/2.4 for smooth ones.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.files import images, png
from wsssbench.files.atomic import write_atomically
from wsssbench.files.limits import require_pixels
from wsssbench.files.npz import parse_npz
from wsssbench.files.reading import reading_artefact
from wsssbench.interfaces import Cam, Scores
from wsssbench.ops.cam import upsample

_LEVEL = 6  # of deflate
_FLOAT_LEVEL = 1  # for maps in full precision, whose last bits nothing compresses


def write_cam(path: Path, cam: Cam, exact: bool = False) -> None:
    """Store `cam`: at most half the image's resolution, in steps of 1/255; peaks keep their value.

    Args:
        exact: keep resolution and values, in 32 bits, or in 16 if those hold every value.

    Raises:
        UserError: `cam` breaks its contract (e.g. NaN from a diverged classifier), or the disk is
        full.
    """
    problem = _cam_problem(cam)
    if problem is not None:
        raise UserError(f"the CAM for {Path(path).stem} is not valid: {problem}")
    if exact:
        half = cam.maps.astype("<f2")
        maps = half if np.array_equal(half.astype(np.float32), cam.maps) else cam.maps.astype("<f4")
    else:
        maps = np.rint(_reduced(cam.maps, cam.size) * 255).astype(np.uint8)
    level = _FLOAT_LEVEL if exact else _LEVEL
    packed = _pack(level, classes=cam.classes, maps=maps, size=_size(cam.size))
    write_atomically(Path(path), packed)


def read_cam(path: Path) -> Cam:
    """Read the CAM in `path`, exact or not.

    Raises:
        CorruptArtefactError: missing, damaged, foreign, or not a valid CAM.
    """
    stored = _unpack(Path(path), classes="u1", maps=("u1", "<f2", "<f4"), size="<i4")
    maps = stored["maps"].astype(np.float32)
    if stored["maps"].dtype == np.uint8:
        maps /= np.float32(255)
    cam = Cam(stored["classes"], maps, _sized(stored))
    _require(path, _cam_problem(cam))
    return cam


def write_scores(path: Path, scores: Scores) -> None:
    """Store `scores` at their resolution, in steps of 1/65535 of the largest value.

    Raises:
        UserError: `scores` break their contract, or the disk is full.
    """
    problem = _problem(scores.classes, scores.planes, scores.size, extra=1)
    if problem is not None:
        raise UserError(f"the scores for {Path(path).stem} are not valid: {problem}")
    scale = np.float32(scores.planes.max() / 65535)
    steps = scores.planes.astype(np.float64) / (scale or np.float32(1))
    planes = np.minimum(np.rint(steps), 65535).astype("<u2")
    size, stored_scale = _size(scores.size), np.array(scale, "<f4")
    packed = _pack(_LEVEL, classes=scores.classes, planes=planes, size=size, scale=stored_scale)
    write_atomically(Path(path), packed)


def read_scores(path: Path) -> Scores:
    """Read the scores in `path`.

    Raises:
        CorruptArtefactError: missing, damaged, foreign, or not valid scores.
    """
    stored = _unpack(Path(path), classes="u1", planes="<u2", size="<i4", scale="<f4")
    if stored["scale"].shape != () or not np.isfinite(stored["scale"]) or stored["scale"] < 0:
        raise CorruptArtefactError(path, "its scale is not a non-negative number")
    scale = np.float32(stored["scale"])
    scores = Scores(stored["classes"], stored["planes"].astype(np.float32) * scale, _sized(stored))
    _require(path, _problem(scores.classes, scores.planes, scores.size, extra=1))
    return scores


def read_label(path: Path) -> np.ndarray:
    """Read the label map (H, W) uint8 that a stage wrote with `images.write_label`.

    Raises:
        CorruptArtefactError: missing, damaged, or not a label map.
    """
    with reading_artefact(path):
        data = Path(path).read_bytes()
        png.require_checksums(data)
        return images.decode_label(io.BytesIO(data))


_READERS: dict[str, Callable[[Path], object]] = {
    "cam": read_cam,
    "scores": read_scores,
    "label": read_label,
}


def check(path: Path, kind: str) -> bool:
    """Tell whether `path` can be read back completely as a ``"cam"``, ``"scores"`` or ``"label"``."""
    try:
        _READERS[kind](path)
    except CorruptArtefactError:
        return False
    return True


def _reduced(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring `maps` (K', h, w) down to half of `size` where they are larger.

    Bilinear at a factor of at most 2 weights every pixel, and puts odd sizes right, which block
    means do not: those cost several hundredths of a point of mIoU.
    """
    target = tuple(
        min(have, -(-full // 2)) for have, full in zip(maps.shape[1:], size, strict=True)
    )
    if target == maps.shape[1:] or not len(maps):
        return maps
    reduced = upsample(maps, (target[0], target[1]))
    flat = reduced.reshape(len(maps), -1)
    # Averaging has lowered the peaks.
    peaks = maps.max(axis=(1, 2))
    flat[np.arange(len(maps)), flat.argmax(axis=1)] = peaks
    return reduced


def _problem(
    classes: np.ndarray, planes: np.ndarray, size: tuple[int, int], extra: int
) -> str | None:
    """Say what is wrong with classes (K',), planes (extra + K', h, w) and size (H, W), or None."""
    values = np.asarray(classes).astype(np.int64).ravel()
    if np.ndim(classes) != 1 or np.asarray(classes).dtype != np.uint8:
        return "its classes are not a vector of uint8"
    if len(values) and (values.min() < 1 or values.max() > 254 or (np.diff(values) <= 0).any()):
        return f"its classes {values.tolist()} are not ascending label-map values of 1..254"
    if planes.ndim != 3 or planes.dtype != np.float32:
        return f"its values are {planes.dtype} of shape {planes.shape}, not float32 (classes, h, w)"
    if len(planes) != extra + len(values):
        return f"it has {len(planes)} planes for {len(values)} classes"
    (h, w), (height, width) = planes.shape[1:], size
    if not (1 <= h <= height and 1 <= w <= width):
        return f"its planes of {h} x {w} do not suit an image of {height} x {width}"
    if not np.isfinite(planes).all():
        return "it holds NaN or infinite values (did the training diverge?)"
    if planes.size and planes.min() < 0:
        return f"it holds negative values, down to {planes.min():.4g}"
    return None


def _cam_problem(cam: Cam) -> str | None:
    problem = _problem(cam.classes, cam.maps, cam.size, extra=0)
    if problem is None and cam.maps.size and cam.maps.max() > 1:
        problem = f"its largest value is {cam.maps.max():.4g}, but maps are in [0, 1]"
    return problem


def _require(path: Path, problem: str | None) -> None:
    if problem is not None:
        raise CorruptArtefactError(path, problem)


def _size(size: tuple[int, int]) -> np.ndarray:
    return np.array(size, dtype="<i4")


def _sized(stored: dict[str, np.ndarray]) -> tuple[int, int]:
    return int(stored["size"][0]), int(stored["size"][1])


def _pack(level: int, **arrays: np.ndarray) -> bytes:
    """Make an archive that `numpy.load` opens, too; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy")  # dated 1980
            info.create_system = 3  # the same bytes on every platform
            archive.writestr(info, member.getvalue(), zipfile.ZIP_DEFLATED, level)
    return buffer.getvalue()


def _unpack(path: Path, **dtypes: str | tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read the arrays of an archive, each of exactly the given dtype, or of one of those."""
    with reading_artefact(path):
        arrays = parse_npz(path.read_bytes())
        if set(arrays) != set(dtypes):
            raise ValueError(f"it holds {', '.join(sorted(arrays))} instead of {', '.join(dtypes)}")
        for name, allowed in dtypes.items():
            names = (allowed,) if isinstance(allowed, str) else allowed
            if arrays[name].dtype not in [np.dtype(dtype) for dtype in names]:
                raise ValueError(f"its '{name}' is {arrays[name].dtype}")
        if arrays["size"].shape != (2,):
            raise ValueError("its size is not (H, W)")
        require_pixels(_sized(arrays))
    return arrays
