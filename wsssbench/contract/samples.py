"""What components are tried out on: tiny images, labels, maps and networks, all generated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from wsssbench.files.artefacts import write_cam, write_scores
from wsssbench.files.images import write_label
from wsssbench.interfaces import (
    Artefact,
    Backbone,
    Batch,
    Cam,
    Cams,
    Classifier,
    FitItem,
    LabelMaps,
    Output,
    Photo,
    Photos,
    Pooled,
    Pooling,
    ScoreMaps,
    Scores,
    SegmentationItem,
    TrainedClassifier,
)
from wsssbench.stages.handles import FilePhoto, FrozenClassifier, files_of

K = 4
CLASSES = ("circle", "square", "triangle", "star")
CHANNELS = (6, 8)  # of `TwoConvolutions`
# kind -> what the toolkit gives its constructors by position, and how that reads
SUPPLIED: dict[str, tuple[Any, ...]] = {
    "dataset": (),
    "backbone": (),
    "pooling": (K,),
    "erasing": (K, CHANNELS),
    "objective": (K, CHANNELS),
    "augmentation": (),
    "cam": (CLASSES,),
    "refinement": (),
    "labelling": (CLASSES,),
    "loss": (),
    "segmenter": (CLASSES,),
    "stage": (CLASSES,),
}
CALLS = dict.fromkeys(SUPPLIED, "()") | {
    "pooling": "(num_classes)",
    "erasing": "(num_classes, channels)",
    "objective": "(num_classes, channels)",
    "cam": "(classes)",
    "labelling": "(classes)",
    "segmenter": "(classes)",
    "stage": "(classes)",
}
# kind -> parameters that make a check quick, or possible at all, where a component has them
_TRAINED: dict[str, Any] = {
    "backbone": {"type": "EfficientNetLite0", "weights": None},
    "schedule": {"batch_size": 2, "iterations": 2, "lr": 0.01},
    "crop": 64,
}
QUICK: dict[str, dict[str, Any]] = {
    "dataset": {"train_images": 8, "val_images": 4},
    "backbone": {"weights": None, "pretrained": False},
    "erasing": {"width": 8},  # of hidden layers
    "objective": {"widths": (8, 8)},
    "refinement": _TRAINED,
    "segmenter": _TRAINED,
}


class TwoConvolutions(Backbone):
    """The smallest backbone there is: feature maps at stride 2 and 4."""

    channels = CHANNELS
    strides = (2, 4)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, CHANNELS[0], 3, stride=2, padding=1)
        self.second = nn.Conv2d(CHANNELS[0], CHANNELS[1], 3, stride=2, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        fine = torch.relu(self.first(images))
        return fine, torch.relu(self.second(fine))


class Mean(Pooling):
    """The spatial mean, without an attention."""

    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(maps.mean(dim=(2, 3)))


class Attention(Pooling):
    """The mean weighted by an attention."""

    def forward(self, maps: Tensor) -> Pooled:
        attention = maps.flatten(2).softmax(dim=2).view_as(maps)  # (N, K, h, w)
        return Pooled((maps * attention).sum(dim=(2, 3)), attention)


def make_classifier(
    pooling: Pooling, erasing: tuple[Any, ...] = (), objectives: tuple[Any, ...] = ()
) -> Classifier:
    """The smallest classifier; the same weights every time."""
    torch.manual_seed(1)
    return Classifier(TwoConvolutions(), pooling, K, erasing, objectives=objectives)


def make_maps(n: int, height: int, width: int, classes: int = K) -> Tensor:
    """Class maps (n, classes, height, width) of a normal distribution."""
    generator = torch.Generator().manual_seed(2)
    return torch.randn(n, classes, height, width, generator=generator)


def make_images(n: int, height: int, width: int) -> Tensor:
    """Normalised images (n, 3, height, width)."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(n, 3, height, width, generator=generator)


def make_batch(n: int, height: int, width: int, progress: float = 0.5) -> Batch:
    """Every image has one class, its neighbours have others."""
    labels = torch.zeros(n, K)
    labels[torch.arange(n), torch.arange(n) % K] = 1
    ids = tuple(f"image_{i % len(_PHOTOS)}" for i in range(n))
    return Batch(make_images(n, height, width), labels, progress, ids, torch.arange(n))


def make_photo(seed: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on dark noise, (height, width, 3) uint8, and where the disc is, (height, width) bool."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    centre = rng.uniform(0.3, 0.7, 2) * (height, width)
    inside = np.hypot(y - centre[0], x - centre[1]) < 0.3 * min(height, width)
    colour = rng.integers(160, 240, 3)
    photo = np.where(inside[..., None], colour, 60) + rng.normal(0, 10, (height, width, 3))
    return np.clip(photo, 0, 255).astype(np.uint8), inside


def make_cam(seed: int, height: int, width: int, classes: tuple[int, ...] = (2, 4)) -> Cam:
    """CAMs at half the size: the disc of `make_photo` for the first class, what is around it for the second."""
    inside = make_photo(seed, height, width)[1][::2, ::2].astype(np.float32)
    planes = [0.1 + 0.9 * inside, 1 - 0.7 * inside, 0.5 + 0.5 * inside][: len(classes)]
    maps = np.stack(planes) if planes else np.zeros((0, *inside.shape))
    return Cam(np.array(classes, np.uint8), maps.astype(np.float32), (height, width))


def as_scores(cam: Cam) -> Scores:
    """The CAM with a background of 0.5 everywhere."""
    background = np.full((1, *cam.maps.shape[1:]), 0.5, np.float32)
    return Scores(cam.classes, np.concatenate([background, cam.maps]), cam.size)


def write_fit_items(directory: Path, scores: bool = False) -> list[FitItem]:
    """The images of `write_photos` with their files of CAMs, or of `scores`; the last has no class."""
    items = []
    for seed, ((height, width), classes) in enumerate(_PHOTOS):
        item = FitItem(f"image_{seed}", directory / f"{seed}.png", directory / f"{seed}.npz")
        Image.fromarray(make_photo(seed, height, width)[0]).save(item.image)
        cam = make_cam(seed, height, width, classes)
        if scores:
            write_scores(item.given, as_scores(cam))
        else:
            write_cam(item.given, cam)
        items.append(item)
    return items


def write_segmentation_items(directory: Path) -> list[SegmentationItem]:
    """Four images of different sizes with label maps of the values 0, 1..K and 255; the last has no class."""
    items = []
    for seed, (height, width) in enumerate([(40, 56), (61, 43), (48, 48), (35, 51)]):
        stem = directory / f"{seed}"
        item = SegmentationItem(f"image_{seed}", stem.with_suffix(".jpg"), stem.with_suffix(".png"))
        photo, inside = make_photo(seed, height, width)
        Image.fromarray(photo).save(item.image)
        label = np.where(inside, seed + 1 if seed < 3 else 0, 0).astype(np.uint8)
        label[:2] = 255
        write_label(stem.with_suffix(".png"), label)
        items.append(item)
    return items


# Photos of stages and what is there about them: (height, width), and label-map values of the classes
_PHOTOS = (((40, 56), (2, 4)), ((61, 43), (1,)), ((48, 48), (2, 3, 4)), ((35, 51), ()))


def write_photos(directory: Path) -> Photos:
    """Four photos of different sizes and numbers of classes; the last has none."""
    photos = []
    for seed, ((height, width), classes) in enumerate(_PHOTOS):
        path = directory / f"image_{seed}.png"
        Image.fromarray(make_photo(seed, height, width)[0]).save(path)
        labels = np.zeros(K, np.float32)
        labels[[value - 1 for value in classes]] = 1
        photos.append(FilePhoto(path.stem, path, labels))
    return Photos(photos)


def cam_of(photo: Photo) -> Cam:
    """The CAM of one of `write_photos`."""
    seed = int(photo.id.rpartition("_")[2])
    (height, width), classes = _PHOTOS[seed]
    return make_cam(seed, height, width, classes)


class SampleClassifier(TrainedClassifier):
    """A classifier as `make_classifier` makes it."""

    def build(self, trained: bool = True) -> Classifier:
        return make_classifier(Attention())

    def frozen(self) -> Callable[[Tensor], Output]:
        return FrozenClassifier(self)


def sample_artefact(artefact: type[Artefact], directory: Path) -> Artefact | None:
    """What another stage could have left of the photos of `write_photos`; None for a plugin's own kind of artefact."""
    if artefact is TrainedClassifier:
        return SampleClassifier(directory)
    for seed, ((height, width), classes) in enumerate(_PHOTOS):
        cam = make_cam(seed, height, width, classes)
        if artefact is Cams:
            write_cam(directory / f"image_{seed}.npz", cam)
        elif artefact is ScoreMaps:
            write_scores(directory / f"image_{seed}.npz", as_scores(cam))
        elif artefact is LabelMaps:
            inside = make_photo(seed, height, width)[1]
            write_label(
                directory / f"image_{seed}.png",
                np.where(inside, max(classes, default=0), 0).astype(np.uint8),
            )
        else:
            return None
    return files_of(artefact, directory)
