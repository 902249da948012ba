"""A small devkit and SBD beside it, with .mat files structured as SBD's are."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix

from wsssbench.files.images import write_label

SIZE = (12, 17)
VOC = {"train": ["2007_000001", "2007_000003"], "val": ["2007_000002", "2008_000009"]}
SBD = {"train": ["2007_000003", "2008_000005", "2007_000002"], "val": ["2009_000001"]}
TRAIN_AUG = ["2007_000001", "2007_000003", "2008_000005", "2009_000001"]
ALL = sorted({*TRAIN_AUG, *VOC["val"]})


def write_mat(path: Path, mask: np.ndarray, compress: bool = True) -> None:
    """GTcls: a 1x1 struct of Boundaries (20 sparse maps in a cell), Segmentation, CategoriesPresent."""
    present = np.unique(mask[mask > 0])
    boundaries = np.empty((20, 1), dtype=object)
    flat = mask.reshape(len(mask), math.prod(mask.shape[1:]))
    for k in range(20):
        boundaries[k, 0] = csc_matrix(flat == k + 1)
    dtype = [(name, object) for name in ("Boundaries", "Segmentation", "CategoriesPresent")]
    record = np.empty((1, 1), dtype=dtype)
    record[0, 0] = (boundaries, mask, present.astype(np.float64).reshape(-1, 1))
    savemat(path, {"GTcls": record}, format="5", do_compression=compress)


def sbd_mask(id: str, size: tuple[int, int] = SIZE) -> np.ndarray:
    """No 255, unlike VOC's own masks."""
    rng = np.random.default_rng(int(id[-3:]))
    return rng.choice([0, 0, 8, 15, 20], size).astype(np.uint8)


def voc_mask(id: str) -> np.ndarray:
    mask = sbd_mask(id)
    mask[0] = 255
    return mask


def make_archives(folder: Path) -> tuple[Path, Path]:
    """The devkit and ``benchmark_RELEASE``."""
    voc, sbd = folder / "VOC2012", folder / "benchmark_RELEASE"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (voc / name).mkdir(parents=True)
    (sbd / "dataset" / "cls").mkdir(parents=True)
    for split in ("train", "val"):
        (voc / "ImageSets/Segmentation" / f"{split}.txt").write_text("\n".join(VOC[split]) + "\n")
        (sbd / "dataset" / f"{split}.txt").write_text("\n".join(SBD[split]) + "\n")
        for id in VOC[split]:
            write_label(voc / "SegmentationClass" / f"{id}.png", voc_mask(id))
        for id in SBD[split]:
            write_mat(sbd / "dataset" / "cls" / f"{id}.mat", sbd_mask(id))
    for id in ALL:
        Image.new("RGB", SIZE[::-1]).save(voc / "JPEGImages" / f"{id}.jpg")
    return voc, sbd
