"""The checks of a segmenter: pseudo-labels -> trained network -> label maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wsssbench.contract.checks import attempt, need
from wsssbench.contract.rig import Subject
from wsssbench.contract.samples import K, write_segmentation_items
from wsssbench.interfaces import SegmentationItem


def trains(subject: Subject) -> None:
    """It trains on a few images of different sizes, one of them without a class, and leaves its network."""
    _trained(subject)


def trains_once(subject: Subject) -> None:
    """The same training again finds its result and leaves it as it is."""
    directory = _trained(subject)
    before = _predicted(subject)
    with attempt(
        "train() in a directory where it has finished",
        "the same command again goes on from what is there",
    ):
        subject.build().train(_items(subject), subject.context(directory))
    after = _predict(subject, _items(subject)[:1])[0]
    name = f"{_items(subject)[0].id}.png"
    need(
        (before / name).read_bytes() == (after / name).read_bytes(),
        "after a second train() in its directory the network predicts something else",
        "a finished training is not done again",
    )


def label_maps(subject: Subject) -> None:
    """It writes a palette PNG per image, of the image's size, with values 0..K."""
    directory = _predicted(subject)
    for item in _items(subject)[:2]:
        _check_png(directory / f"{item.id}.png", item)


def metrics(subject: Subject) -> None:
    """predict() returns a mapping of numbers by name, which may be empty."""
    values = _predictions(subject)[1]
    good = isinstance(values, Mapping) and all(
        isinstance(k, str) and isinstance(v, int | float | np.number) for k, v in values.items()
    )
    need(good, f"predict() returns {values!r}", "a mapping of names to numbers is needed")


def keeps_predictions(subject: Subject) -> None:
    """Images whose PNG is there are skipped, others are predicted."""
    directory = _predicted(subject)
    paths = [directory / f"{item.id}.png" for item in _items(subject)]
    before = [path.stat().st_mtime_ns for path in paths[:2]]
    _predict(subject, _items(subject)[:3], directory)
    need(
        [path.stat().st_mtime_ns for path in paths[:2]] == before,
        "a second predict() writes PNGs again that are there",
        "a run that was killed goes on where it was",
    )
    _check_png(paths[2], _items(subject)[2])


def images_without_masks(subject: Subject) -> None:
    """Items without a label map are predicted, too: a test split has none."""
    bare = [replace(item, label=None) for item in _items(subject)[:1]]
    _check_png(_predict(subject, bare)[0] / f"{bare[0].id}.png", bare[0])


CHECKS = (trains, label_maps, metrics, keeps_predictions, images_without_masks, trains_once)


def _items(subject: Subject) -> list[SegmentationItem]:
    return subject.once("images", lambda: write_segmentation_items(subject.rig.new_directory()))


def _trained(subject: Subject) -> Path:
    def train() -> Path:
        segmenter, context = subject.build(), subject.context()
        with attempt(
            f"train() on {len(_items(subject))} images, one of them without a class",
            "it has to train on whatever images there are, on the CPU, too",
        ):
            segmenter.train(_items(subject), context)
        need(
            any(context.directory.iterdir()),
            "train() leaves no file",
            "predict() reads the network, in another process",
        )
        return context.directory

    return subject.once("a trained network", train)


def _predicted(subject: Subject) -> Path:
    return _predictions(subject)[0]


def _predictions(subject: Subject) -> tuple[Path, Any]:
    """Predict the first two images, once: the directory, and what predict() returned."""
    return subject.once("predictions", lambda: _predict(subject, _items(subject)[:2]))


def _predict(
    subject: Subject, items: Sequence[SegmentationItem], directory: Path | None = None
) -> tuple[Path, Any]:
    """Predict `items` by a new instance: the directory, and what it returned."""
    trained, context = _trained(subject), subject.context(directory)
    with attempt(
        f"predict() of {len(items)} images", "a new instance has to predict with what train() left"
    ):
        return context.directory, subject.build().predict(items, trained, context)


def _check_png(path: Path, item: SegmentationItem) -> None:
    need(
        path.is_file(),
        f"predict() leaves no {path.name} for the item '{item.id}'",
        "every image needs its label map",
    )
    with Image.open(path) as image, Image.open(item.image) as photo:
        mode, form, label, size = image.mode, image.format, np.array(image), photo.size[::-1]
    need(
        (form, mode) == ("PNG", "P"),
        f"its label maps are {form} files of mode {mode}",
        "palette PNGs are needed",
    )
    need(
        label.shape == size,
        f"the label map of an image {size} has size {label.shape}",
        "both have to be the same",
    )
    need(
        int(label.max()) <= K,
        f"its label maps hold the value {label.max()}",
        f"with K = {K} classes values are 0 (background) to {K}",
    )
