"""Images and label maps for mmsegmentation, from explicit lists."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform, RandomFlip, Resize, TestTimeAug
from mmseg.datasets import BaseSegDataset
from mmseg.datasets.transforms import PackSegInputs, PhotoMetricDistortion, RandomCrop

from wsssbench.errors import UserError
from wsssbench.files.images import read_image, read_label, voc_palette
from wsssbench.interfaces import IGNORE, SegmentationItem
from wsssbench.models.preprocess import IMAGENET_MEAN
from wsssbench.segmenters.settings import TestSettings, TrainView

_META = ("id", "img_path", "ori_shape", "img_shape", "pad_shape", "scale_factor",
         "flip", "flip_direction")  # fmt: skip


class Items(BaseSegDataset):
    """A data set of mmseg from `SegmentationItem`s.

    Args:
        items: the images, with label maps for training.
        names: background and the classes.
        pipeline: transforms; the first one is `ReadItem`.
        seed: of the run; `dataset[(index, position)]` takes all its randomness from (seed, position).
        test_mode: `dataset[index]`, no label maps.
    """

    def __init__(
        self,
        items: Sequence[SegmentationItem],
        names: Sequence[str],
        pipeline: Sequence[BaseTransform],
        seed: int = 0,
        test_mode: bool = False,
    ) -> None:
        self.items = list(items)
        self.seed = seed
        metainfo = {"classes": tuple(names), "palette": voc_palette()[: len(names)].tolist()}
        super().__init__(metainfo=metainfo, pipeline=list(pipeline), test_mode=test_mode)

    def load_data_list(self) -> list[dict[str, Any]]:
        """What the pipeline starts from, one dict per image."""
        return [
            {
                "id": item.id,
                "img_path": str(item.image),
                "seg_map_path": None if item.label is None or self.test_mode else str(item.label),
                "num_labels": len(self._metainfo["classes"]),
                "seg_fields": [],
            }
            for item in self.items
        ]

    def __getitem__(self, draw: int | tuple[int, int]) -> Any:
        if not isinstance(draw, tuple):
            return self.prepare_data(draw)
        index, position = draw
        with _seeded(self.seed, position):
            return self.prepare_data(index)


class ReadItem(BaseTransform):
    """Read image and label map the way everything else here does: no EXIF rotation, one sentence when it fails."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds ``img`` (H, W, 3) uint8 BGR as mmcv has it, and ``gt_seg_map`` (H, W) uint8."""
        image = np.ascontiguousarray(read_image(results["img_path"])[..., ::-1])
        results.update(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
        path = results["seg_map_path"]
        if path is not None:
            label = read_label(path)
            if label.shape != image.shape[:2]:
                raise UserError(
                    f"label map {path} is {label.shape}, but its image {results['img_path']} is "
                    f"{image.shape[:2]} (height, width): they have to be of one size"
                )
            wrong = label[(label >= results["num_labels"]) & (label != IGNORE)]
            if wrong.size:
                raise UserError(
                    f"label map {path} holds the value {int(wrong.max())}, but only 0 to "
                    f"{results['num_labels'] - 1} and {IGNORE} (ignored) are allowed"
                )
            results["gt_seg_map"] = label
            results["seg_fields"].append("gt_seg_map")
        return results


class ScaleJitter(BaseTransform):
    """Resize by a random factor on the image's own size (mmcv's RandomResize fits all images into one size).

    Args:
        smallest, largest: the range of the factor.
        step: the factor is one of smallest, smallest + step, ... that are not above `largest`; None: any.
        interpolation: of the image: ``"bilinear"`` or ``"cubic"`` (OpenCV's).
    """

    def __init__(
        self,
        smallest: float,
        largest: float,
        step: float | None = None,
        interpolation: str = "bilinear",
    ) -> None:
        self.range = (smallest, largest)
        self.step = step
        self.interpolation = {"cubic": "bicubic"}.get(interpolation, interpolation)  # mmcv's names

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resizes ``img`` and ``gt_seg_map`` (nearest)."""
        factor = np.random.uniform(*self.range)  # noqa: NPY002 - seeded per draw, as mmseg's transforms
        if self.step is not None:
            smallest, largest = self.range
            count = int((largest - smallest) / self.step + 1e-6) + 1
            factor = smallest + self.step * np.random.randint(count)  # noqa: NPY002
        resize = Resize(
            scale_factor=float(factor), keep_ratio=True, interpolation=self.interpolation
        )
        resized: dict[str, Any] = resize.transform(results)
        return resized


class HsvShift(BaseTransform):
    """Shift hue (turning), saturation and value (clipped) of OpenCV's 8-bit HSV by a number of -limit..limit each.

    The colour augmentation of SEAM's segmentation recipe, with `limit` 10. Hue has 180 values there.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Changes ``img`` (H, W, 3) uint8 BGR."""
        shift = np.random.randint(-self.limit, self.limit + 1, 3)  # noqa: NPY002 - seeded per draw
        hsv = cv2.cvtColor(results["img"], cv2.COLOR_BGR2HSV).astype(np.int16) + shift
        hsv[..., 0] %= 180
        results["img"] = cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2BGR)
        return results


class RandomPlace(BaseTransform):
    """Put an image that is smaller than the crop at a random place of it, on the mean colour; the rest is ignored."""

    def __init__(self, crop: int) -> None:
        self.crop = crop

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pads ``img``, (H, W, 3) BGR, and ``gt_seg_map`` where the crop is larger."""
        image, label = results["img"], results["gt_seg_map"]
        space = [max(0, self.crop - side) for side in image.shape[:2]]
        before = [int(np.random.randint(n + 1)) for n in space]  # noqa: NPY002 - seeded per draw
        if not any(space):
            return results
        margins = [(b, n - b) for b, n in zip(before, space, strict=True)]
        # The mean in float32, which normalisation turns into 0 exactly.
        mean = np.array([255 * value for value in reversed(IMAGENET_MEAN)], np.float32)
        size = [side + n for side, n in zip(image.shape, space, strict=False)]
        canvas = np.empty((*size, 3), np.float32)
        canvas[:] = mean
        canvas[before[0] :, before[1] :][: image.shape[0], : image.shape[1]] = image
        results["img"] = canvas
        results["gt_seg_map"] = np.pad(label, margins, constant_values=IGNORE)
        results["img_shape"] = canvas.shape[:2]
        return results


def training_pipeline(view: TrainView) -> list[BaseTransform]:
    """Random size, crop, flip, colours."""
    pipeline: list[BaseTransform] = [ReadItem()]
    if view.resize != (1.0, 1.0):
        pipeline.append(ScaleJitter(*view.resize, view.resize_step, view.interpolation))
    pipeline.append(RandomCrop((view.crop, view.crop), view.cat_max_ratio, IGNORE))
    if view.flip:
        pipeline.append(RandomFlip(prob=0.5))
    if view.photometric:
        hsv = view.photometric == "hsv10"
        pipeline.append(HsvShift(10) if hsv else PhotoMetricDistortion())
    if view.small_images == "random":
        pipeline.append(RandomPlace(view.crop))
    return [*pipeline, PackSegInputs(meta_keys=_META)]


def test_pipeline(settings: TestSettings) -> list[BaseTransform]:
    """The image at every scale, as it is and mirrored: lists of inputs and data samples."""
    sizes = [Resize(scale_factor=float(scale), keep_ratio=True) for scale in settings.scales]
    flips = [RandomFlip(prob=float(flip)) for flip in range(1 + settings.flip)]
    return [ReadItem(), TestTimeAug([sizes, flips, [PackSegInputs(meta_keys=_META)]])]


test_pipeline.__test__ = False  # type: ignore[attr-defined]  # pytest: this is no test


@contextmanager
def _seeded(seed: int, position: int) -> Iterator[None]:
    """Global generators that depend on (seed, position) alone inside, and are as before afterwards."""
    before = (random.getstate(), np.random.get_state(), torch.get_rng_state())  # noqa: NPY002
    words = np.random.SeedSequence((seed, position)).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))  # noqa: NPY002
    torch.random.default_generator.manual_seed(int(words[2]))
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
