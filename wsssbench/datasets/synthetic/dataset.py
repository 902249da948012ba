"""The embedded default: generated scenes that have what makes learning from image-level labels hard."""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from pydantic import Field

from wsssbench.datasets.synthetic.scene_layout import MOST_CLASSES, SceneParameters
from wsssbench.datasets.synthetic.scenes import CLASS_NAMES, Scene, draw_scene
from wsssbench.errors import UserError, unknown
from wsssbench.files.atomic import write_atomically
from wsssbench.files.image_labels import read_labels_csv, stack, write_labels_csv
from wsssbench.files.image_lists import read_id_list
from wsssbench.files.images import write_label
from wsssbench.interfaces import Dataset
from wsssbench.progress import Progress

SPLITS = ("train", "val")  # the position of a split is part of its images' seed
_IMAGES = Path("JPEGImages")
_MASKS = Path("SegmentationClass")
_LISTS = Path("ImageSets/Segmentation")
_LABELS = "labels.csv"

Number = Annotated[int, Field(ge=1, le=6)]
Span = Annotated[float, Field(ge=0.02, le=0.8)]
Share = Annotated[float, Field(ge=0, le=1)]
Multiple = Annotated[float, Field(ge=0.5, le=20)]


class SyntheticScenes(Dataset):
    """Multi-label scenes, drawn from a seed and stored in VOC layout with image-level labels in ``labels.csv``.

    An object is a body with a badge. The badge is the only thing that tells its class for certain: bodies are shared by
    several classes, and the ground that belongs to a class is often, but not always, around its objects. So a
    classifier has every reason to look at the badge and the ground, and none to find the whole body.

    Each image has a random stream of its own, (seed, split, index): its bytes depend on neither the order nor the
    number of images. Image i of a split shows class i modulo K, and others, so K images in a row show all classes.

    Args:
        num_classes: K, 2 to 20.
        train_images: images in the split ``train``.
        val_images: images in the split ``val``.
        image_size: side of the square images, in pixels.
        seed: of the whole data set; 0 or larger.
        objects: smallest and largest number of objects in an image.
        object_size: smallest and largest object: square root of the area of its body, as a share of the image's side.
        overlap: largest share of a body that objects in front of it may hide; 0 keeps objects apart.
        occluders: probability that an object is crossed by something in front of it that has no label.
        part_size: area of the badge as a share of the area of the body.
        part_contrast: how much of the badge shows; at 0 the body's own surface is there instead, and only bodies and
            grounds tell classes.
        classes_per_body: how many classes share the look of a body; 1 gives every class a body of its own.
        context_probability: probability that an object stands on the ground of its class.
        context_leak: probability, for each class that an image does not show, that its ground is there all the same.
        context_size: smallest and largest ground of a class: its area over that of the object on it.
        clutter: share of the background that is covered by small textured shapes.
        boundary: pixels on either side of an object's boundary that are 255 (ignore) in the mask.
    """

    generated = True
    sizes = ("train_images", "val_images")

    def __init__(
        self,
        *,
        num_classes: Annotated[int, Field(ge=2, le=MOST_CLASSES)] = 8,
        train_images: Annotated[int, Field(ge=1, le=99_999)] = 600,
        val_images: Annotated[int, Field(ge=1, le=99_999)] = 200,
        image_size: Annotated[int, Field(ge=32, le=1024)] = 128,
        seed: Annotated[int, Field(ge=0, lt=2**32)] = 0,
        objects: tuple[Number, Number] = (1, 3),
        object_size: tuple[Span, Span] = (0.3, 0.7),
        overlap: Annotated[float, Field(ge=0, le=0.6)] = 0.3,
        occluders: Share = 0.25,
        part_size: Annotated[float, Field(ge=0.02, le=0.5)] = 0.1,
        part_contrast: Share = 1.0,
        classes_per_body: Annotated[int, Field(ge=1, le=MOST_CLASSES)] = 2,
        context_probability: Share = 0.9,
        context_leak: Share = 0.03,
        context_size: tuple[Multiple, Multiple] = (2.2, 3.6),
        clutter: Annotated[float, Field(ge=0, le=0.8)] = 0.25,
        boundary: Annotated[int, Field(ge=0, le=4)] = 1,
    ) -> None:
        for name, count in (("train_images", train_images), ("val_images", val_images)):
            if not 1 <= count <= 99_999:
                raise ValueError(f"{name}={count} has to lie between 1 and 99999")
        if seed < 0:
            raise ValueError(f"seed={seed} has to be 0 or larger")
        self.parameters = SceneParameters(
            num_classes=num_classes,
            image_size=image_size,
            objects=objects,
            object_size=object_size,
            overlap=overlap,
            occluders=occluders,
            part_size=part_size,
            part_contrast=part_contrast,
            classes_per_body=classes_per_body,
            context_probability=context_probability,
            context_leak=context_leak,
            context_size=context_size,
            clutter=clutter,
            boundary=boundary,
        )
        self.seed = seed
        self.classes = CLASS_NAMES[:num_classes]
        self.counts = {"train": train_images, "val": val_images}
        self._root: Path | None = None

    @property
    def root(self) -> Path:
        """The folder of the files; UserError before `at`."""
        if self._root is None:
            raise UserError(
                "SyntheticScenes has no files yet: generate(directory) makes them, at(directory) finds them"
            )
        return self._root

    def at(self, directory: Path) -> SyntheticScenes:
        bound = copy.copy(self)
        bound._root = Path(directory)
        return bound

    def scene(self, split: str, index: int) -> Scene:
        """Draw image `index` of `split`, with everything that is known about it; a pure function of the parameters.

        Raises:
            UserError: no such split, or parameters that leave too little of an object visible.
        """
        self._check(split)
        rng = np.random.default_rng((self.seed, SPLITS.index(split), index))
        try:
            return draw_scene(rng, self.parameters, first=index % len(self.classes))
        except ValueError as error:  # only drawing shows that too little of an object stays visible
            raise UserError(f"SyntheticScenes: {error}") from error

    def generate(self, directory: Path, progress: Progress) -> None:
        directory = Path(directory)
        for folder in (_IMAGES, _MASKS, _LISTS):
            (directory / folder).mkdir(parents=True, exist_ok=True)
        labels: dict[str, np.ndarray] = {}
        with progress.track("synthetic scenes", sum(self.counts.values())) as task:
            for split, count in self.counts.items():
                names = [f"{split}_{index:05d}" for index in range(count)]
                for index, name in enumerate(names):
                    scene = self.scene(split, index)
                    _write_jpeg(directory / _IMAGES / f"{name}.jpg", scene.image)
                    write_label(directory / _MASKS / f"{name}.png", scene.mask)
                    labels[name] = _multi_hot(scene.labels, len(self.classes))
                    task.advance()
                text = "".join(f"{name}\n" for name in names)
                write_atomically(directory / _LISTS / f"{split}.txt", text.encode())
        write_labels_csv(directory / _LABELS, labels, self.classes)

    def ids(self, split: str) -> list[str]:
        self._check(split)
        return read_id_list(self.root / _LISTS / f"{split}.txt")

    def labels(self, split: str) -> np.ndarray:
        path = self.root / _LABELS
        return stack(read_labels_csv(path, self.classes), self.ids(split), str(path))

    def image_path(self, id: str) -> Path:
        path = self.root / _IMAGES / f"{id}.jpg"
        if not path.is_file():
            raise UserError(f"'{id}' has no image in {path.parent}: generate the data set again")
        return path

    def mask_path(self, id: str, split: str) -> Path | None:
        self._check(split)
        return self.root / _MASKS / f"{id}.png"

    def mask_directories(self) -> tuple[Path, ...]:
        return (self.root / _MASKS,)

    def _check(self, split: str) -> None:
        if split not in SPLITS:
            raise UserError(unknown("split", split, SPLITS))


def _write_jpeg(path: Path, image: np.ndarray) -> None:
    buffer = io.BytesIO()
    # Colour is kept at full resolution: in images this small it is what edges are made of.
    Image.fromarray(image).save(buffer, format="JPEG", quality=95, subsampling=0)
    write_atomically(path, buffer.getvalue())


def _multi_hot(indices: Sequence[int], num_classes: int) -> np.ndarray:
    vector = np.zeros(num_classes, dtype=np.float32)
    vector[list(indices)] = 1
    return vector
