"""CDA: objects cut out of photos are pasted into photos of other classes, so that context no longer tells the class.

Su, Sun, Lin & Wu, "Context Decoupling Augmentation for Weakly Supervised Semantic Segmentation", ICCV 2021. An earlier
round's label maps give a bank of instances: the tight cut-outs of photos that show one class, on 10 to 70 % of their
pixels. In training each photo x with labels y is seen twice, as it is and with a pasted instance of class c:

    x' = m x_c + (1 - m) x,    y' = y or c,

with c drawn from the classes that the photo does not have, an instance of c, a rotation, and a place. The instance is
shrunk to at most 70 % of the photo's height and width. The classification loss is over both views, which are then
resized, mirrored and cropped independently.

Defaults are those of the released code (https://github.com/suyukun666/CDA, commit c254b10): rotation by whole degrees
up to 90 either way, by cubic splines with black around, then bilinear shrinking. Its variant without rotation is
``angle=0, rescale=(0.8, 1.2)``. What it does otherwise:

* its mask holds the class number, which is interpolated like the colours, so that instances of high class numbers grow
  by up to a quarter: a bug. Here a pixel is pasted if at least half of it is the instance, whatever its class;
* a class without an instance is an error there. Here c is drawn from those that have one, and if there is none the
  second view is the photo itself;
* its learning rate is 0 in the second half of the training, since steps are counted in batches of another size;
* its bank is of VOC's train (1,464 images) while train_aug is trained on: ``InstanceBank(photos="evaluate")``.

Not verified [?]: what the paper itself says about rotation and sizes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from PIL import Image
from pydantic import Field
from scipy import ndimage

from wsssbench.errors import UserError
from wsssbench.files.atomic import write_atomically, write_json
from wsssbench.files.image_lists import first_few
from wsssbench.files.reading import reading_artefact
from wsssbench.files.records import checked, parse_json
from wsssbench.interfaces import (
    Artefact,
    Augmentation,
    LabelMaps,
    Photo,
    Photos,
    RunContext,
    Stage,
)

Share = Annotated[float, Field(gt=0, le=1)]
Factor = Annotated[float, Field(gt=0, le=10)]
_FILE = "bank.json"


class Instances(Artefact):
    """Cut-outs of objects: ``<image id>.png`` with the object's mask as its alpha, and ``bank.json``."""

    called = "instances"

    @cached_property
    def by_class(self) -> dict[int, list[str]]:
        """Label-map value of a class -> ids of the images that an instance of it was cut out of.

        Raises:
            CorruptArtefactError: the file is not whole.
        """
        path = self.directory / _FILE
        with reading_artefact(path):
            return checked(dict[int, list[str]], parse_json(path.read_bytes()))

    def read(self, id: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the cut-out of image `id`, (h, w, 3) uint8, and its mask (h, w) uint8 in {0, 1}.

        Raises:
            CorruptArtefactError: the file is not whole.
        """
        path = self.directory / f"{id}.png"
        with reading_artefact(path), Image.open(path) as image:
            pixels = np.array(image.convert("RGBA"))
        return pixels[..., :3], (pixels[..., 3] > 0).astype(np.uint8)


class InstanceBank(Stage):
    """Cuts out the objects of photos whose label maps show one class.

    Args:
        classes: K names; supplied by the toolkit.
        labels: the stage whose label maps are used; one with an ignored pixel (255) is left out.
        photos: key of the split whose images are looked at, which has to be ``train`` or ``evaluate``; None: ``train``.
        area: smallest and largest share of a photo's pixels that an instance may have.

    Raises:
        ValueError: `area` is not a range.
        UserError: there is no label map of one of the photos.
    """

    makes = Instances
    title = "instances"

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        labels: LabelMaps,
        photos: Photos | None = None,
        area: tuple[Share, Share] = (0.1, 0.7),
    ) -> None:
        if area[0] >= area[1]:
            raise ValueError(f"area={area} has to be a range (smallest, largest)")
        self.classes, self.labels, self.photos, self.area = classes, labels, photos, area

    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        """Write every instance, and which classes they are of."""
        bank: dict[int, list[str]] = {}
        looked_at = photos if self.photos is None else self.photos
        missing = [id for id in looked_at.ids if not self.labels.path(id).is_file()]
        if missing:
            raise UserError(
                f"InstanceBank: there are no label maps of {first_few(missing)}: photos has to be a split that label "
                "maps are made of, 'train' or 'evaluate'"
            )
        with context.progress.track("instances", total=len(looked_at)) as task:
            for photo in looked_at:
                label = self.labels.read(photo.id)
                value, box = instance(label, self.area)
                if value:
                    bank.setdefault(value, []).append(photo.id)
                    alpha = (label[box] > 0).astype(np.uint8)[..., None] * 255
                    _write(context, photo.id, np.concatenate([photo.image[box], alpha], axis=2))
                task.advance()
        without = [name for i, name in enumerate(self.classes) if i + 1 not in bank]
        if without:
            context.progress.warn(
                f"no instance of {len(without)} of {len(self.classes)} classes ({', '.join(without[:5])}): no image of "
                f"these has a label map of one class on {self.area[0]:g} to {self.area[1]:g} of its pixels"
            )
        write_json(context.directory / _FILE, dict(sorted(bank.items())))
        return {"instances": sum(map(len, bank.values())), "classes": len(bank)}


class ContextDecoupling(Augmentation):
    """Shows each photo twice: as it is, and with an instance of a class pasted that it does not have.

    Args:
        bank: the stage that has made the instances, of the round before.
        angle: largest rotation of an instance either way, in degrees; 0: none.
        largest: share of the photo's height and width that an instance is shrunk to, if it is larger.
        rescale: smallest and largest factor that its size is changed by then.

    Raises:
        ValueError: `rescale` is not a range, or makes instances larger than photos.
    """

    count = 2

    def __init__(
        self,
        *,
        bank: Instances,
        angle: Annotated[int, Field(ge=0, le=180)] = 90,
        largest: Share = 0.7,
        rescale: tuple[Factor, Factor] = (1.0, 1.0),
    ) -> None:
        if not rescale[0] <= rescale[1] <= 1 / largest:
            raise ValueError(
                f"rescale={rescale} has to be a range (smallest, largest) that keeps instances of largest={largest} "
                "of a photo inside of it"
            )
        self.bank, self.angle, self.largest, self.rescale = bank, angle, largest, rescale

    def views(self, photo: Photo, random: np.random.Generator) -> Sequence[Photo]:
        """Return `photo`, and `photo` with an instance."""
        absent = [value for value in self.bank.by_class if not photo.labels[value - 1]]
        if not absent:
            return photo, photo
        value = absent[random.integers(len(absent))]
        ids = self.bank.by_class[value]
        cutout, mask = self.bank.read(ids[random.integers(len(ids))])
        degree = int(random.integers(-self.angle, self.angle, endpoint=True))
        image = photo.image
        cutout, mask = prepared(
            cutout, mask, image.shape[:2], degree, self.largest, random.uniform(*self.rescale)
        )
        row, column = (
            int(random.integers(0, whole - part, endpoint=True))
            for whole, part in zip(image.shape[:2], mask.shape, strict=True)
        )
        labels = photo.labels.copy()
        labels[value - 1] = 1
        return photo, photo.changed(image=pasted(image, cutout, mask, row, column), labels=labels)


def instance(label: np.ndarray, area: tuple[float, float]) -> tuple[int, tuple[slice, slice]]:
    """Return the only class of a label map (H, W) and the tight box around it; (0, ...) if it is no instance.

    It is one if there is one value beside the background, 255 included, on a share of the pixels within `area`.
    """
    values = np.unique(label[label > 0])
    share = np.count_nonzero(label) / label.size
    if len(values) != 1 or values[0] == 255 or not area[0] <= share <= area[1]:
        return 0, (slice(0), slice(0))
    rows, columns = (np.flatnonzero(label.any(axis=axis)) for axis in (1, 0))
    return int(values[0]), (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))


def prepared(
    cutout: np.ndarray,
    mask: np.ndarray,
    photo: tuple[int, int],
    degree: int,
    largest: float,
    rescale: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Rotate an instance, shrink it to at most `largest` of the size (H, W) of `photo`, and change that by `rescale`.

    Args:
        cutout: (h, w, 3) uint8.
        mask: (h, w) uint8 in {0, 1}.

    Returns:
        The instance and its mask in their new size.
    """
    if degree:
        cutout, mask = ndimage.rotate(cutout, degree), ndimage.rotate(mask, degree)
    height, width = mask.shape
    factor = min(1.0, largest * photo[0] / height, largest * photo[1] / width)
    size = tuple(max(1, int(length * factor * rescale)) for length in (height, width))
    return _resize(cutout, *size), _resize(mask, *size)


def pasted(
    image: np.ndarray, cutout: np.ndarray, mask: np.ndarray, row: int, column: int
) -> np.ndarray:
    """Return `image` (H, W, 3) with `cutout` where `mask` is not 0, its upper left corner at (`row`, `column`)."""
    result = image.copy()
    window = result[row : row + mask.shape[0], column : column + mask.shape[1]]
    window[mask > 0] = cutout[mask > 0]
    return result


def _resize(array: np.ndarray, height: int, width: int) -> np.ndarray:
    if array.shape[:2] == (height, width):
        return array
    return np.array(Image.fromarray(array).resize((width, height), Image.Resampling.BILINEAR))


def _write(context: RunContext, id: str, pixels: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    write_atomically(context.directory / f"{id}.png", buffer.getvalue())
