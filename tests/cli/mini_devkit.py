"""A VOC devkit of four pictures of 48 x 48 pixels, and an experiment on it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
from in_process import call
from PIL import Image
from tiny_experiment import TINY

from wsssbench.experiment.config import config_text
from wsssbench.files.images import write_label

TRAIN, VAL = ["2007_000001", "2007_000002", "2007_000003"], ["2008_000001"]
CLASSES_IN_MASKS = {
    "2007_000001": [1, 15],
    "2007_000002": [7],
    "2007_000003": [8, 12],
    "2008_000001": [15],
}


def make_devkit(folder: Path) -> Path:
    """Noise photos with a box per class of `CLASSES_IN_MASKS`, an ignored frame, and labels.csv."""
    root = folder / "VOC2012"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split, ids in (("train", TRAIN), ("val", VAL)):
        (root / "ImageSets/Segmentation" / f"{split}.txt").write_text("\n".join(ids) + "\n")
        for id in ids:
            photo = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
            Image.fromarray(photo).save(root / "JPEGImages" / f"{id}.jpg")
            mask = np.zeros((48, 48), np.uint8)
            for i, value in enumerate(CLASSES_IN_MASKS[id]):
                mask[5 + 20 * i : 20 + 20 * i, 10:30] = value
            mask[0] = mask[-1] = 255
            write_label(root / "SegmentationClass" / f"{id}.png", mask)
    lines = [f"{id},{' '.join(map(str, values))}" for id, values in CLASSES_IN_MASKS.items()]
    (root / "labels.csv").write_text("\n".join(["id,labels", *lines]) + "\n")
    return root


def experiment_on(root: Path) -> dict[str, Any]:
    """The tiny experiment, on a devkit."""
    config = copy.deepcopy(TINY)
    config["data"] = {"type": "VOC2012", "root": str(root)}
    config["classifier"]["transform"] = {"crop": 32}
    return config


def scores_of(
    root: Path, cams: Path, form: str, split: str = "train", options: tuple[object, ...] = ()
) -> dict[str, Any]:
    """What ``wsssbench evaluate`` says of the files in `cams`."""
    out = cams.parent / "scores.json"
    outcome = call(
        "evaluate", "--pred", cams, "--gt", root / "SegmentationClass", "--list",
        root / f"ImageSets/Segmentation/{split}.txt", "--format", form, "--num-classes", 20,
        "--json", out, *options,
    )  # fmt: skip
    assert outcome.code == 0, outcome
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def write_config(folder: Path, config: dict[str, Any]) -> Path:
    """`config` as a file in `folder`."""
    path = folder / "mini.py"
    path.write_text(config_text(config))
    return path
