"""A few images in MS-COCO 2014's layout, written member by member."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wsssbench.datasets.coco.classes import CATEGORIES

HEIGHT, WIDTH = 24, 32


def rectangle(left: float, top: float, right: float, bottom: float) -> list[float]:
    """The outline that covers the pixels left..right-1, top..bottom-1."""
    return [left, top, right, top, right, bottom, left, bottom]


def run_lengths(pixels: np.ndarray) -> list[int]:
    """MS-COCO's run lengths of (H, W) bool, pixel by pixel."""
    runs, value = [0], False
    for pixel in pixels.T.reshape(-1).tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs


def name_of(number: int, split: str = "train") -> str:
    return f"COCO_{split}2014_{number:012}"


@dataclass
class MiniCoco:
    """Collects images and annotations of a split; `write` makes the files."""

    root: Path
    split: str = "train"
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.root / "annotations" / f"instances_{self.split}2014.json"

    def image(self, number: int, height: int = HEIGHT, width: int = WIDTH) -> None:
        name = f"{name_of(number, self.split)}.jpg"
        self.images.append({"license": 3, "file_name": name, "height": height, "width": width,
                            "date_captured": "2013-11-14 16:28:13", "id": number})  # fmt: skip

    def object(self, image: int, category: int, segmentation: Any, crowd: int = 0) -> None:
        self.annotations.append({"segmentation": segmentation, "area": 1.5, "iscrowd": crowd,
                                 "image_id": image, "bbox": [0, 0, 1, 1], "category_id": category,
                                 "id": 900 + len(self.annotations)})  # fmt: skip

    def content(self) -> dict[str, Any]:
        return {
            "info": {"description": 'MS-COCO é "mini" ] }', "year": 2014},
            "images": self.images,
            "licenses": [{"id": 3, "name": "none"}],
            "annotations": self.annotations,
            "categories": [
                {"supercategory": "x", "id": i, "name": n} for i, n in CATEGORIES.items()
            ],
        }

    def write(self, **how: Any) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.content(), ensure_ascii=False, **how)
        self.file.write_bytes(text.encode())
        folder = self.root / f"{self.split}2014"
        folder.mkdir(parents=True, exist_ok=True)
        for image in self.images:
            grey = Image.new("RGB", (image["width"], image["height"]), (90, 120, 60))
            grey.save(folder / image["file_name"])

    def stuff_map(self, number: int, values: np.ndarray, folder: str = "val2017") -> Path:
        path = self.root / "stuffthingmaps" / folder / f"{number:012}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(np.uint8)).save(path)
        return path


def mini_coco(root: Path, split: str = "train") -> MiniCoco:
    """Images 9, 25 (no object) and 30, in another order: a dog in front of a person, and a crowd of people."""
    coco = MiniCoco(root, split)
    for number in (30, 9, 25):
        coco.image(number)
    coco.object(9, 1, [rectangle(2, 2, 20, 20)])
    crowd = np.zeros((HEIGHT, WIDTH), bool)
    crowd[5:9, 4:30] = True
    coco.object(30, 1, {"size": [HEIGHT, WIDTH], "counts": run_lengths(crowd)}, crowd=1)
    coco.object(9, 18, [rectangle(10, 10, 14, 16), rectangle(22, 1, 25, 4)])
    coco.object(30, 90, [rectangle(6, 6, 10, 20)])
    coco.write()
    return coco
