"""The smallest files for the data sets that cannot be checked without any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mini_coco import mini_coco
from PIL import Image

from wsssbench.contract.samples import make_photo
from wsssbench.datasets.coco.prepare import CocoPreparation
from wsssbench.files.images import write_label
from wsssbench.interfaces import RunContext
from wsssbench.progress import Silent

VALUES = {"2007_000001": 3, "2007_000002": 7, "2007_000003": 12}


def voc(folder: Path) -> dict[str, Any]:
    """A devkit of three photos, each with one class, in the splits train and val."""
    root = folder / "VOC2012"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    _photos(root / "JPEGImages", root / "SegmentationClass")
    first, *others = VALUES
    (root / "ImageSets/Segmentation/val.txt").write_text(f"{first}\n")
    (root / "ImageSets/Segmentation/train.txt").write_text("".join(f"{id}\n" for id in others))
    rows = "".join(f"{id},{value}\n" for id, value in VALUES.items())
    (root / "labels.csv").write_text(f"id,labels\n{rows}")
    return {"root": str(root)}


def photos(folder: Path) -> dict[str, Any]:
    """A folder of three photos with a CSV and masks."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    _photos(folder / "images", folder / "masks")
    rows = "".join(f"{id},class_{value}\n" for id, value in VALUES.items())
    (folder / "labels.csv").write_text(f"id,labels\n{rows}")
    classes = tuple(f"class_{value}" for value in range(1, 13))
    return {
        "images": "images",
        "labels": "labels.csv",
        "masks": "masks",
        "classes": classes,
        "root": str(folder),
    }


def coco(folder: Path) -> dict[str, Any]:
    """MS-COCO's layout with three images in each split, prepared."""
    root = folder / "coco"
    for split in ("train", "val"):
        mini_coco(root, split)
    preparation = CocoPreparation(root, root, "instances", root / "stuffthingmaps")
    preparation.run(("train", "val"), RunContext(root, "cpu", 1, 0, Silent()))
    return {"root": str(root), "masks": "instances"}


def _photos(images: Path, masks: Path) -> None:
    for seed, (id, value) in enumerate(VALUES.items()):
        photo, inside = make_photo(seed, 40 + seed, 48)
        Image.fromarray(photo).save(images / f"{id}.jpg")
        write_label(masks / f"{id}.png", np.where(inside, value, 0).astype(np.uint8))


# the data sets that need parameters, and what makes files and parameters for them
MAKERS = {"VOC2012": voc, "FolderDataset": photos, "COCO2014": coco}
