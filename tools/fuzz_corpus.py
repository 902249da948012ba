"""The readers that fuzz_readers.py tries, each with small valid files that the project's own writers made."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, PngImagePlugin

from wsssbench.datasets.coco import annotations, masks
from wsssbench.datasets.folder import label_files
from wsssbench.datasets.voc import sbd, submission
from wsssbench.evaluation import image_counts
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.files import (
    artefacts,
    cam_formats,
    class_names,
    image_labels,
    image_lists,
    images,
    mxnet_params,
    npy,
    weights,
)
from wsssbench.interfaces import Cam, Scores
from wsssbench.results import run, sweep_record

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


@dataclass(frozen=True)
class Reader:
    """One reader of files.

    Attributes:
        seeds: makes valid files in a folder, and returns their bytes.
        read: reads the file at a path.
        form: ``png``, ``zip`` or ``json``: what is known about the inside of the files; else empty.
        tokens: bytes that mean something in such files.
        named: whether an error has to name the file.
    """

    name: str
    seeds: Callable[[Path], list[bytes]]
    read: Callable[[Path], Any]
    suffix: str
    form: str = ""
    tokens: tuple[bytes, ...] = (b"\0\0\0\0",)
    named: bool = True


def _written(*writers: Callable[[Path], Any]) -> Callable[[Path], list[bytes]]:
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


def _text(*texts: str) -> Callable[[Path], list[bytes]]:
    return lambda _: [text.encode() for text in texts]


def _encoded(array: np.ndarray, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, form, **options)
    return buffer.getvalue()


def _labels(folder: Path) -> list[bytes]:
    grey = [
        _encoded(LABEL, "PNG"),
        _encoded(LABEL, "TIFF"),
        _encoded(LABEL, "GIF"),
        _encoded(LABEL, "BMP"),
    ]
    return _written(lambda path: images.write_label(path, LABEL))(folder) + grey


def _palette_pngs(folder: Path) -> list[bytes]:
    return _labels(folder)[:2]


def _photos(_: Path) -> list[bytes]:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "made by hand " * 9, zip=True)
    text.add_itxt("Title", "ü", "de", "Titel")
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        _encoded(PHOTO, "PNG", pnginfo=text, exif=exif),
        _encoded(PHOTO, "JPEG", exif=exif),
        _encoded(PHOTO, "JPEG", progressive=True, quality=50),
        _encoded(PHOTO, "TIFF", compression="tiff_lzw"),
        _encoded(PHOTO, "WEBP"),
        _encoded(PHOTO[..., 0].astype(np.uint16) * 257, "PNG"),
    ]


def _size_free(read: Callable[..., Any]) -> Callable[[Path], Any]:
    return lambda path: read(path, (9, 12))


def _counts(path: Path) -> None:
    counts = ClassCounts(*(np.arange(2 * 4, dtype=np.int32).reshape(2, 4) for _ in range(3)))
    image_counts.write_image_counts(path, ["a", "b"], {"chosen": counts, "oracle": counts})


def _xml(folder: Path) -> list[bytes]:
    objects = (
        "<object><name>cat</name><difficult>0</difficult></object><object><name>dog</name></object>"
    )
    return [f"<?xml version='1.0' encoding='UTF-8'?><annotation>{objects}</annotation>".encode()]


def _coco(_: Path) -> list[bytes]:
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


def _read_coco(path: Path) -> None:
    job = masks.InstanceMasks(path.parent, path, "smallest")
    listed = annotations.read_instances(path, "train")
    job.prepare()
    for image in listed:
        job.run(image)


def _matlab(folder: Path) -> list[bytes]:
    from scipy.io import savemat

    contents = []
    for compressed in (True, False):
        buffer = io.BytesIO()
        savemat(
            buffer, {"GTcls": {"Segmentation": LABEL, "Boundaries": 1}}, do_compression=compressed
        )
        contents.append(buffer.getvalue())
    return contents[:1]


def _params(_: Path) -> list[bytes]:
    """Two float32 arrays (2, 3) of version V2 with names, by the format's description."""

    def u(size: int, *numbers: int) -> bytes:
        return b"".join(number.to_bytes(size, "little") for number in numbers)

    array = (
        u(4, 0xF993FAC9, 0, 2) + u(8, 2, 3) + u(4, 1, 0, 0) + np.arange(6, dtype="<f4").tobytes()
    )
    names = b"".join(u(8, len(name)) + name for name in (b"arg:a_weight", b"aux:b_mean"))
    return [u(8, 0x112, 0, 2) + 2 * array + u(8, 2) + names]


def _weights(_: Path) -> list[bytes]:
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


def _metrics(_: Path) -> list[bytes]:
    point = run.Point(50.0, 60.0, 70.0, 0.2)
    rung = run.Rung(
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


def _sweep(_: Path) -> list[bytes]:
    content = {
        "schema": sweep_record.SCHEMA, "name": "x", "title": "X", "created": "2026-01-01", "base": "x.py",
        "until": None, "axes": ["pooling"], "baseline": "GAP", "paper": None,
        "rows": [], "cells": [],
    }  # fmt: skip
    return [json.dumps(content).encode()]


def _read_sweep(path: Path) -> Any:
    return sweep_record.read_sweep(path.rename(path.with_name(sweep_record.FILE)).parent)


def _archive(folder: Path) -> list[bytes]:
    images.write_label(folder / "a.png", LABEL)
    submission.write_submission(folder, [("a", folder / "a.png")], 3, folder / "seed.tar.gz")
    return [(folder / "seed.tar.gz").read_bytes()]


def _set(path: Path) -> Any:
    text = path.read_bytes().decode("utf-8", "surrogateescape")  # as the system gives arguments
    return apply_overrides(CONFIG, [text])


_SEPARATE = (
    b",",
    b";",
    b'"',
    b"\r\n",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"#",
    b"9999999999999999999999",
)
_PICKLED = (
    b"cnumpy\ndtype\n",
    b"cos\nsystem\n",
    b"\x80\x05",
    b"R.",
    b"b.",
    b"r\xff\xff\xff\x7f",
    b"K\x05",
    b"}",
)
_PNG = (b"IDAT", b"PLTE", b"\x08\x06", b"\x10\x03", b"\xff\xd9", b"\xff\xda", b"II*\0", b"MM\0*")
_NPZ = (
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"\x09\0",
    b"\x01\0",
    b"'|O'",
    b"'<f8'",
    b"(9999999999,)",
    b"<U9",
)
_JSON = (b"{", b"}", b"[", b"]", b",", b"null", b'"', b"\\u0000", b"NaN")
_VALUES = (
    b"=",
    b".",
    b"(",
    b")",
    b"GPP(bins=(1, 2))",
    b"dict(",
    b"{[]:1}",
    "¹".encode(),
    b".0.0",
    b"0x",
    b"+",
    b"-",
    b"**",
)

_ALL = (
    Reader("image", _photos, images.read_image, ".png", "", _PNG),
    Reader("png photo", lambda f: _photos(f)[:1], images.read_image, ".png", "png", _PNG),
    Reader("image facts", _photos, images.inspect_image, ".png", "", _PNG),
    Reader("image size", _photos, images.image_size, ".png", "", _PNG),
    Reader("label", _labels, images.read_label, ".png", "", _PNG),
    Reader("png label", _palette_pngs, images.read_label, ".png", "png", _PNG),
    Reader("label artefact", _palette_pngs, artefacts.read_label, ".png", "png", _PNG),
    Reader(
        "cam artefact",
        _written(lambda p: artefacts.write_cam(p, CAM)),
        artefacts.read_cam,
        ".npz",
        "zip",
        _NPZ,
    ),
    Reader(
        "score artefact",
        _written(
            lambda p: artefacts.write_scores(p, Scores(np.array([1], np.uint8), CAM.maps, (5, 6)))
        ),
        artefacts.read_scores,
        ".npz",
        "zip",
        _NPZ,
    ),
    Reader("image counts", _written(_counts), image_counts.read_image_counts, ".npz", "zip", _NPZ),
    Reader(
        "psa",
        _written(lambda p: cam_formats.write_psa(p, CAM)),
        _size_free(cam_formats.read_psa),
        ".npy",
        "",
        _PICKLED,
    ),
    Reader(
        "irn",
        _written(lambda p: cam_formats.write_irn(p, CAM)),
        _size_free(cam_formats.read_irn),
        ".npy",
        "",
        _PICKLED,
    ),
    Reader(
        "cls_labels",
        _written(
            lambda p: npy.save_array_dict(
                p, {2007000032: np.array([1.0, 0, 0]), "b": np.array([0, 1, 1])}
            )
        ),
        lambda p: image_labels.labels_from_npy(p, CLASSES),
        ".npy",
        "",
        _PICKLED,
    ),
    Reader(
        "list",
        _text("a\nb\n# c\n", "/x/a.jpg /y/a.png\n"),
        image_lists.read_list,
        ".txt",
        "",
        _SEPARATE,
    ),
    Reader(
        "classes",
        _text("cat\ndog\n# c\ndining table\n"),
        class_names.read_classes,
        ".txt",
        "",
        _SEPARATE,
    ),
    Reader(
        "csv",
        _text("id,labels\na,cat;dog\nb,3\n", "id,labels,split\na,,train\n"),
        lambda p: image_labels.read_labels_csv(p, CLASSES),
        ".csv",
        "",
        _SEPARATE,
    ),
    Reader(
        "xml",
        _xml,
        lambda p: image_labels.labels_from_xml(p.parent, [p.stem], CLASSES),
        ".xml",
        "",
        (b"<!ENTITY a 'aaaa'>", b"&a;", b"encoding='utf-7'", b"<object>", b"]]>"),
    ),
    Reader(
        "labels json",
        _text(
            '{"classes": ["cat", "dog"], "images": {"a": {"labels": ["cat"], "split": "val"}}}',
            '{"images": {"a": ["cat"]}}',
        ),
        lambda p: label_files.read_label_file(p, None),
        ".json",
        "json",
        _JSON,
    ),
    Reader("coco", _coco, _read_coco, ".json", "json", _JSON),
    Reader(
        "coco record",
        _text('{"rule": "smallest", "finished": {"train": 3}}'),
        lambda p: masks.read_record(p.rename(p.with_name(masks.RECORD)).parent),
        ".json",
        "json",
        _JSON,
        named=False,
    ),
    Reader("mat", _matlab, sbd.read_sbd_mask, ".mat"),
    Reader("params", _params, mxnet_params.read_params, ".params"),
    Reader("weights", _weights, weights.load_state_dict_file, ".pth", "", _PICKLED),
    Reader(
        "metrics",
        _metrics,
        lambda p: run.from_json(p.read_text("utf-8")),
        ".json",
        "json",
        _JSON,
        named=False,
    ),
    Reader("sweep", _sweep, _read_sweep, ".json", "json", _JSON, named=False),
    Reader(
        "archive",
        _archive,
        lambda p: submission.check_submission(p, [("a", p.with_name("a.png"))], 3),
        ".tar.gz",
    ),
    Reader(
        "set",
        _text(
            "seed=1",
            "classifier.pooling=GPP(bins=(2, 4))",
            "classifier.pooling.bins.1=7",
            "+classifier.erasing=none",
        ),
        _set,
        ".txt",
        "",
        _VALUES,
        named=False,
    ),
)
READERS = {reader.name.replace(" ", "_"): reader for reader in _ALL}
