"""Small valid files for fuzz_corpus.py, made by the project's own writers wherever there are any."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, PngImagePlugin

from wsssbench.datasets.coco import annotations, masks
from wsssbench.datasets.voc import submission
from wsssbench.evaluation import image_counts
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.experiment import cache
from wsssbench.experiment.config import config_text
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.files import images
from wsssbench.interfaces import Cam
from wsssbench.results import run, sweep_record
from wsssbench.training import checkpoints

CLASSES = ("cat", "dog", "dining table")
CONFIG = {
    "name": "x",
    "seed": 0,
    "classifier": {"pooling": {"type": "GPP", "bins": (1, 4)}, "erasing": []},
}
CAM = Cam(
    np.array([1, 3], np.uint8),
    np.linspace(0, 1, 2 * 5 * 6, dtype=np.float32).reshape(2, 5, 6),
    (9, 12),
)
LABEL = (np.arange(9 * 12, dtype=np.uint8) % 4).reshape(9, 12)
PHOTO = (np.arange(9 * 12 * 3) % 251).astype(np.uint8).reshape(9, 12, 3)


def written(*writers: Callable[[Path], Any]) -> Callable[[Path], list[bytes]]:
    """What each of `writers` writes to the path it is given."""

    def seeds(folder: Path) -> list[bytes]:
        contents = []
        for write in writers:
            path = folder / "seed"
            write(path)
            contents.append(path.read_bytes())
            path.unlink()
        return contents

    return seeds


def texts(*texts: str) -> Callable[[Path], list[bytes]]:
    return lambda _: [text.encode() for text in texts]


def encoded(array: np.ndarray, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, form, **options)
    return buffer.getvalue()


def label_maps(folder: Path) -> list[bytes]:
    grey = [
        encoded(LABEL, "PNG"),
        encoded(LABEL, "TIFF"),
        encoded(LABEL, "GIF"),
        encoded(LABEL, "BMP"),
    ]
    return written(lambda path: images.write_label(path, LABEL))(folder) + grey


def palette_pngs(folder: Path) -> list[bytes]:
    return label_maps(folder)[:2]


def photos(_: Path) -> list[bytes]:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "made by hand " * 9, zip=True)
    text.add_itxt("Title", "ü", "de", "Titel")
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        encoded(PHOTO, "PNG", pnginfo=text, exif=exif),
        encoded(PHOTO, "JPEG", exif=exif),
        encoded(PHOTO, "JPEG", progressive=True, quality=50),
        encoded(PHOTO, "TIFF", compression="tiff_lzw"),
        encoded(PHOTO, "WEBP"),
        encoded(PHOTO[..., 0].astype(np.uint16) * 257, "PNG"),
    ]


def counts(path: Path) -> None:
    counts = ClassCounts(*(np.arange(2 * 4, dtype=np.int32).reshape(2, 4) for _ in range(3)))
    image_counts.write_image_counts(path, ["a", "b"], {"chosen": counts, "oracle": counts})


def xml(folder: Path) -> list[bytes]:
    objects = (
        "<object><name>cat</name><difficult>0</difficult></object><object><name>dog</name></object>"
    )
    return [f"<?xml version='1.0' encoding='UTF-8'?><annotation>{objects}</annotation>".encode()]


def coco(_: Path) -> list[bytes]:
    outline = {
        "id": 1,
        "image_id": 9,
        "category_id": 17,
        "segmentation": [[1, 1, 5, 1, 5, 4]],
        "iscrowd": 0,
    }
    runs = {"id": 2, "image_id": 9, "category_id": 18, "iscrowd": 1,
            "segmentation": {"size": [9, 12], "counts": [10, 20, 78]}}  # fmt: skip
    packed = {**runs, "id": 3, "segmentation": {"size": [9, 12], "counts": ":d0^2"}}
    picture = {"id": 9, "file_name": "COCO_train2014_000000000009.jpg", "height": 9, "width": 12}
    content = {
        "info": {"contributor": "Jürgen"},
        "images": [picture],
        "annotations": [outline, runs, packed],
        "categories": [
            {"id": number, "name": name} for number, name in annotations.CATEGORIES.items()
        ][:18],
    }
    return [
        json.dumps(content, ensure_ascii=False).encode(),
        json.dumps(content, indent=1).encode(),
    ]


def read_coco(path: Path) -> None:
    job = masks.InstanceMasks(path.parent, path, "smallest")
    listed = annotations.read_instances(path, "train")
    job.prepare()
    for image in listed:
        job.run(image)


def matlab(folder: Path) -> list[bytes]:
    from scipy.io import savemat

    contents = []
    for compressed in (True, False):
        buffer = io.BytesIO()
        savemat(
            buffer, {"GTcls": {"Segmentation": LABEL, "Boundaries": 1}}, do_compression=compressed
        )
        contents.append(buffer.getvalue())
    return contents[:1]


def params(_: Path) -> list[bytes]:
    """Two float32 arrays (2, 3) of version V2 with names, by the format's description."""

    def u(size: int, *numbers: int) -> bytes:
        return b"".join(number.to_bytes(size, "little") for number in numbers)

    array = (
        u(4, 0xF993FAC9, 0, 2) + u(8, 2, 3) + u(4, 1, 0, 0) + np.arange(6, dtype="<f4").tobytes()
    )
    names = b"".join(u(8, len(name)) + name for name in (b"arg:a_weight", b"aux:b_mean"))
    return [u(8, 0x112, 0, 2) + 2 * array + u(8, 2) + names]


def weights(_: Path) -> list[bytes]:
    contents = []
    for zipped in (True, False):
        buffer = io.BytesIO()
        state = {
            "module.a.weight": torch.ones(2, 3),
            "module.a.bias": torch.zeros(2, dtype=torch.float16),
        }
        torch.save({"state_dict": state}, buffer, _use_new_zipfile_serialization=zipped)
        contents.append(buffer.getvalue())
    return contents


def metrics(_: Path) -> list[bytes]:
    point = run.Point(50.0, 60.0, 70.0, 0.2)
    rung = run.Evaluation(
        "CAM",
        "cam",
        "train",
        point,
        point,
        {"cat": 50.0, "dog": None},
        [point],
        {"seed": 0, "flip": True},
    )
    times = [run.StageTime("classify", 3.5, 100.0)]
    result = run.RunResult(
        "x", "x-1", "name = 'x'\n", [rung], times, class_names=["cat", "dog"], created="2026-01-01"
    )
    return [run.to_json(result).encode()]


def sweep(_: Path) -> list[bytes]:
    content = {
        "schema": sweep_record.SCHEMA, "name": "x", "title": "X", "created": "2026-01-01", "base": "x.py",
        "until": None, "axes": ["pooling"], "baseline": "GAP", "paper": None,
        "rows": [], "cells": [],
    }  # fmt: skip
    return [json.dumps(content).encode()]


def run_record(_: Path) -> list[bytes]:
    stage = {
        "directory": "work/cache/infer_cams/0a1b",
        "hash": "0a1b",
        "title": "CAM",
        "seconds": 3.5,
    }
    content = {"name": "x", "seed": 0, "environment": {"python": "3.11"}, "stages": {"cam": stage}}
    return [json.dumps(content).encode()]


def run_config(_: Path) -> list[bytes]:
    config = {
        **CONFIG,
        "data": {"type": "SyntheticScenes", "seed": 0},
        "splits": {"train": "train"},
    }
    return [config_text(config).encode()]


def manifest(folder: Path) -> list[bytes]:
    """One that is sealed, and one without a seal, whose entries are looked at one by one."""
    entry = cache.Entry(
        folder, cache.Key("cam", CONFIG, {"wsssbench": "1"}, {"classifier": "ab"}, "d")
    )
    entry.open({"classifier": "cd"})
    (entry.directory / "a.npz").write_bytes(b"alpha")
    entry.close({"images": 1}, {"node": "cam", "seconds": 1.5, "peak_mib": 3.0})
    sealed = (entry.directory / cache.MANIFEST).read_bytes()
    content = json.loads(sealed)
    del content["seal"]
    return [sealed, json.dumps(content).encode()]


def checkpoint(_: Path) -> list[bytes]:
    state = torch.nn.Linear(2, 3).state_dict()
    content = {"meta": {"iter": 4, "epoch": 1}, "state_dict": state, "message_hub": {}}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return [buffer.getvalue()]


def load_checkpoint(path: Path) -> None:
    checkpoints.Checkpoints(path.parent).latest()
    checkpoints.load_checkpoint(torch.nn.Linear(2, 3), path)


def archive(folder: Path) -> list[bytes]:
    images.write_label(folder / "a.png", LABEL)
    submission.write_submission(folder, [("a", folder / "a.png")], 3, folder / "seed.tar.gz")
    return [(folder / "seed.tar.gz").read_bytes()]


def set(path: Path) -> Any:
    text = path.read_bytes().decode("utf-8", "surrogateescape")  # as the system gives arguments
    return apply_overrides(CONFIG, [text])
