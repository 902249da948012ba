"""The readers that fuzz_readers.py tries, each with small valid files (see fuzz_seeds.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fuzz_seeds as seeds
import numpy as np

from wsssbench.datasets.coco import masks
from wsssbench.datasets.folder import label_files
from wsssbench.datasets.voc import sbd, submission
from wsssbench.evaluation import image_counts
from wsssbench.experiment import cache, config_file
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
from wsssbench.interfaces import Scores
from wsssbench.results import run, run_files, sweep_record


@dataclass(frozen=True)
class Reader:
    """One reader of files.

    Attributes:
        seeds: makes valid files in a folder, and returns their bytes.
        read: reads the file at a path.
        file: the name that the file has.
        form: ``png``, ``zip`` or ``json``: what is known about the inside of the files; else empty.
        tokens: bytes that mean something in such files.
        named: whether an error has to name the file.
    """

    name: str
    seeds: Callable[[Path], list[bytes]]
    read: Callable[[Path], Any]
    file: str
    form: str = ""
    tokens: tuple[bytes, ...] = (b"\0\0\0\0",)
    named: bool = True


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
_PYTHON = (
    b"=",
    b"(",
    b")",
    b"[",
    b"import os\n",
    b"__import__('os')",
    b"\xef\xbb\xbf",
    b"\0",
    b"9" * 99,
)
_DATA = (
    b"=",
    b"(",
    b")",
    b"[",
    b"# coding: latin-1\n",
    b"_base_ = 'x.py'\n",
    b"\xef\xbb\xbf",
    b"\0",
)
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
    Reader("image", seeds.photos, images.read_image, "input.png", "", _PNG),
    Reader("png photo", lambda f: seeds.photos(f)[:1], images.read_image, "input.png", "png", _PNG),
    Reader("image facts", seeds.photos, images.inspect_image, "input.png", "", _PNG),
    Reader("image size", seeds.photos, images.image_size, "input.png", "", _PNG),
    Reader("label", seeds.label_maps, images.read_label, "input.png", "", _PNG),
    Reader("png label", seeds.palette_pngs, images.read_label, "input.png", "png", _PNG),
    Reader("label artefact", seeds.palette_pngs, artefacts.read_label, "input.png", "png", _PNG),
    Reader(
        "cam artefact",
        seeds.written(lambda p: artefacts.write_cam(p, seeds.CAM)),
        artefacts.read_cam,
        "input.npz",
        "zip",
        _NPZ,
    ),
    Reader(
        "score artefact",
        seeds.written(
            lambda p: artefacts.write_scores(
                p, Scores(np.array([1], np.uint8), seeds.CAM.maps, (5, 6))
            )
        ),
        artefacts.read_scores,
        "input.npz",
        "zip",
        _NPZ,
    ),
    Reader(
        "image counts",
        seeds.written(seeds.counts),
        image_counts.read_image_counts,
        "input.npz",
        "zip",
        _NPZ,
    ),
    Reader(
        "psa",
        seeds.written(lambda p: cam_formats.write_psa(p, seeds.CAM)),
        lambda p: cam_formats.read_psa(p, (9, 12)),
        "input.npy",
        "",
        _PICKLED,
    ),
    Reader(
        "irn",
        seeds.written(lambda p: cam_formats.write_irn(p, seeds.CAM)),
        lambda p: cam_formats.read_irn(p, (9, 12)),
        "input.npy",
        "",
        _PICKLED,
    ),
    Reader(
        "cls_labels",
        seeds.written(
            lambda p: npy.save_array_dict(
                p, {2007000032: np.array([1.0, 0, 0]), "b": np.array([0, 1, 1])}
            )
        ),
        lambda p: image_labels.labels_from_npy(p, seeds.CLASSES),
        "input.npy",
        "",
        _PICKLED,
    ),
    Reader(
        "list",
        seeds.texts("a\nb\n# c\n", "/x/a.jpg /y/a.png\n"),
        image_lists.read_list,
        "input.txt",
        "",
        _SEPARATE,
    ),
    Reader(
        "classes",
        seeds.texts("cat\ndog\n# c\ndining table\n"),
        class_names.read_classes,
        "input.txt",
        "",
        _SEPARATE,
    ),
    Reader(
        "csv",
        seeds.texts("id,labels\na,cat;dog\nb,3\n", "id,labels,split\na,,train\n"),
        lambda p: image_labels.read_labels_csv(p, seeds.CLASSES),
        "input.csv",
        "",
        _SEPARATE,
    ),
    Reader(
        "xml",
        seeds.xml,
        lambda p: image_labels.labels_from_xml(p.parent, [p.stem], seeds.CLASSES),
        "input.xml",
        "",
        (b"<!ENTITY a 'aaaa'>", b"&a;", b"encoding='utf-7'", b"<object>", b"]]>"),
    ),
    Reader(
        "labels json",
        seeds.texts(
            '{"classes": ["cat", "dog"], "images": {"a": {"labels": ["cat"], "split": "val"}}}',
            '{"images": {"a": ["cat"]}}',
        ),
        lambda p: label_files.read_label_file(p, None),
        "input.json",
        "json",
        _JSON,
    ),
    Reader("coco", seeds.coco, seeds.read_coco, "input.json", "json", _JSON),
    Reader(
        "coco record",
        seeds.texts('{"rule": "smallest", "finished": {"train": 3}}'),
        lambda p: masks.read_record(p.parent),
        masks.RECORD,
        "json",
        _JSON,
    ),
    Reader("mat", seeds.matlab, sbd.read_sbd_mask, "input.mat"),
    Reader("params", seeds.params, mxnet_params.read_params, "input.params"),
    Reader("weights", seeds.weights, weights.load_state_dict_file, "input.pth", "", _PICKLED),
    Reader(
        "metrics",
        seeds.metrics,
        lambda p: run.read_run(p.parent),
        "metrics.json",
        "json",
        _JSON,
    ),
    Reader(
        "sweep",
        seeds.sweep,
        lambda p: sweep_record.read_sweep(p.parent),
        "sweep.json",
        "json",
        _JSON,
    ),
    Reader(
        "run record",
        seeds.run_record,
        lambda p: run_files.read_stages(p.parent),
        "run.json",
        "json",
        _JSON,
    ),
    Reader(
        "run config",
        seeds.run_config,
        lambda p: run_files.read_config(p.parent),
        "config.py",
        "",
        _PYTHON,
    ),
    Reader(
        "config",
        seeds.texts("name = 'x'\ndata = dict(type='SyntheticScenes', seed=0)\n"),
        config_file.load_config_file,
        "input.py",
        "",
        _DATA,  # tokens that cannot run anything: a config is the user's own program
    ),
    Reader(
        "manifest",
        seeds.manifest,
        lambda p: cache.read_manifest(p.parent),
        "manifest.json",
        "json",
        _JSON,
    ),
    Reader(
        "checkpoint",
        seeds.checkpoint,
        lambda p: seeds.load_checkpoint(p),
        "iteration_0000004.pth",
        "",
        _PICKLED,
    ),
    Reader(
        "archive",
        seeds.archive,
        lambda p: submission.check_submission(p, [("a", p.with_name("a.png"))], 3),
        "input.tar.gz",
    ),
    Reader(
        "set",
        seeds.texts(
            "seed=1",
            "classifier.pooling=GPP(bins=(2, 4))",
            "classifier.pooling.bins.1=7",
            "+classifier.erasing=none",
        ),
        seeds.set,
        "input.txt",
        "",
        _VALUES,
        named=False,
    ),
)
READERS = {reader.name.replace(" ", "_"): reader for reader in _ALL}
