"""A small data set in VOC's layout, and the real photos if they are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsssbench.files.images import write_label

VOC12_LISTS = Path(__file__).parents[2] / "shared" / "data" / "voc12_lists"

IDS = {"train": ["2007_000001", "2007_000002", "2007_000003"], "val": ["2008_000001"]}


@pytest.fixture
def voc_root(tmp_path: Path) -> Path:
    """Four noise images of 20 x 30 pixels with masks: class 1 + i, 15 and 255 in image i."""
    root = tmp_path / "VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split, ids in IDS.items():
        (root / "ImageSets/Segmentation" / f"{split}.txt").write_text("\n".join(ids) + "\n")
        for i, id in enumerate(ids):
            image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
            Image.fromarray(image).save(root / "JPEGImages" / f"{id}.jpg")
            mask = np.zeros((20, 30), np.uint8)
            mask[2:8, 3:9], mask[10:15, 10:20], mask[0] = 1 + i, 15, 255
            write_label(root / "SegmentationClass" / f"{id}.png", mask)
    return root


@pytest.fixture
def voc12_lists() -> Path:
    if not VOC12_LISTS.is_dir():
        pytest.skip("the literature's lists in shared/data/voc12_lists beside the checkout")
    return VOC12_LISTS
