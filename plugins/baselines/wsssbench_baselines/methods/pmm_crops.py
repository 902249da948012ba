"""PMM's crops: a classifier that learns from windows of photos, with the labels of what these show, and its CAMs.

Y. Li, Z. Kuang, L. Liu, Y. Chen and W. Zhang, "Pseudo-mask Matters in Weakly-supervised Semantic Segmentation", ICCV
2021. An ordinary classifier's CAMs, cut out by a CRF, are rough masks. A second classifier sees windows of photos at
many scales, each stretched to a square, and of each window the classes whose mask it shows. Its CAMs are the means of
the maps of all such windows.

Windows and defaults are those of the released code (https://github.com/Eli-YiLi/PMM, tool/data.py, run.py), which
"448 pixels at a stride of 300" describes badly: along an axis, the last window has 448 pixels of the scaled photo, and
those before it have 300 and do not overlap. Ends are rounded down to pixels of the photo. What of it the paper says was
not verified [?]. The rest of PMM is `PPMG`, `PretendedUnderfitting` and, for its cycle, `PredictedLabels` of the core.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from wsssbench.errors import UserError
from wsssbench.interfaces import Augmentation, Cam, CamInference, Classifier, Photo, ScoreMaps
from wsssbench.models.preprocess import normalise
from wsssbench.ops.cam import upsample

Share = Annotated[float, Field(ge=0, lt=1)]
Side = Annotated[int, Field(ge=1, le=4096)]
Scales = Annotated[tuple[Annotated[float, Field(gt=0, le=8)], ...], Field(min_length=1)]
Box = tuple[int, int, int, int]  # left, top, right, bottom
SCALES = (0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0)
EPS = 1e-5


def windows(size: tuple[int, int], scale: float, crop: int, stride: int) -> list[Box]:
    """Return the windows of a photo of `size` (H, W) at `scale`, in its own pixels, from left to right.

    Args:
        crop: length of the last window along an axis, pixels of the scaled photo.
        stride: length of the others.
    """
    rows, columns = (_spans(length, scale, crop, stride) for length in size)
    return [(left, top, right, bottom) for left, right in columns for top, bottom in rows]


def _spans(length: int, scale: float, crop: int, stride: int) -> list[tuple[int, int]]:
    scaled = max(1, int(length * scale))
    before = math.ceil(max(0, scaled - crop) / stride)
    spans = [(i * stride, min(scaled, (i + 1) * stride)) for i in range(before)]
    spans.append((max(0, scaled - crop), scaled))
    own = [(min(length - 1, int(start / scale)), int(end / scale)) for start, end in spans]
    return [(start, min(length, max(start + 1, end))) for start, end in own]


class RelabelledCrops(Augmentation):
    """Shows a window of each photo, at a random scale, with the classes that it shows by the rough masks.

    A class stays if more than `share` of its mask is inside the window, or if its mask is more than `share` of the
    window. Windows of the scale are drawn until one shows a class, as often as there are windows; the last one may show
    none. Classes are those of the masks, whatever the photo's labels; one whose mask is empty is dropped everywhere.

    Args:
        masks: the stage whose scores are the rough masks, e.g. ``rough.crf``.
        crop: length of the last window along an axis, pixels of the scaled photo, and side of what is shown; that of
            ``classifier.transform`` has to be the same.
        stride: length of the other windows.
        scales: of the photo.
        sure: score of a class from which on a pixel is in its mask.
        share: of the mask, or of the window.

    Raises:
        UserError: masks of another size than the photo's.
    """

    def __init__(
        self,
        *,
        masks: ScoreMaps,
        crop: Side = 448,
        stride: Side = 300,
        scales: Scales = SCALES,
        sure: Share = 0.9,
        share: Share = 0.1,
    ) -> None:
        self.masks, self.crop, self.stride, self.scales = masks, crop, stride, scales
        self.sure, self.share = sure, share

    def views(self, photo: Photo, random: np.random.Generator) -> Sequence[Photo]:
        """Return one photo, `crop` x `crop` pixels."""
        image, scores = photo.image, self.masks.read(photo.id)
        size = (image.shape[0], image.shape[1])
        if tuple(scores.size) != size:
            raise UserError(
                f"the masks of image '{photo.id}' are {scores.size[0]} x {scores.size[1]}, but it is {size[0]} x "
                f"{size[1]}: relabel crops before an augmentation that changes sizes"
            )
        masks = upsample(scores.planes[1:], size) > self.sure
        boxes = windows(
            size, self.scales[random.integers(len(self.scales))], self.crop, self.stride
        )
        for _ in boxes:
            box = boxes[random.integers(len(boxes))]
            shown = scores.classes[shown_classes(masks, box, self.share)]
            if len(shown):
                break
        labels = np.zeros_like(photo.labels)
        labels[shown.astype(int) - 1] = 1
        planes = {
            name: stretched(plane, box, self.crop, Image.Resampling.NEAREST)
            for name, plane in photo.planes.items()
        }
        return (
            photo.changed(image=stretched(image, box, self.crop), labels=labels, planes=planes),
        )


def shown_classes(masks: np.ndarray, box: Box, share: float) -> np.ndarray:
    """Which of `masks` (K', H, W) bool a window shows: (K',) bool."""
    left, top, right, bottom = box
    inside = masks[:, top:bottom, left:right].sum(axis=(1, 2))
    whole = masks.sum(axis=(1, 2))
    area = (right - left) * (bottom - top)
    shown: np.ndarray = (whole > 0) & (
        (inside / np.maximum(whole, 1) > share) | (inside / area > share)
    )
    return shown


def stretched(
    pixels: np.ndarray,
    box: Box,
    side: int,
    resampling: Image.Resampling = Image.Resampling.BILINEAR,
) -> np.ndarray:
    """The window `box` of `pixels` (H, W) or (H, W, 3) uint8, as a square."""
    window = Image.fromarray(np.ascontiguousarray(pixels)).crop(box)
    return np.array(window.resize((side, side), resampling))


class MultiCropCAM(CamInference):
    """The mean of the maps of all windows of a photo, which are stretched to a square, at several scales.

    The maps of a window and of its mirror image are set to 0 where negative, enlarged to the window and averaged with
    those of the other windows. The mean goes from its minimum, 0, to its maximum, 1 (divided by the range + 1e-5). The
    released code sets nothing to 0, since its maps, SEAM's, are not negative; it makes the minimum negative if it is
    above 0, by a slip, and stores half precision.

    Args:
        classes: supplied by the toolkit.
        crop: length of the last window along an axis, pixels of the scaled photo, and side of what the network sees.
        stride: length of the other windows.
        scales: of the photo.
        flip: add the mirrored windows.
    """

    def __init__(
        self,
        classes: tuple[str, ...] = (),
        *,
        crop: Side = 448,
        stride: Side = 300,
        scales: Scales = SCALES,
        flip: bool = True,
    ) -> None:
        super().__init__(classes)
        self.crop, self.stride, self.scales, self.flip = crop, stride, scales, flip

    def infer(self, classifier: Classifier, photo: Photo) -> Cam:
        """CAMs of `photo` for the classes in its labels; the classifier is left in evaluation mode."""
        image, labels = photo.image, np.asarray(photo.labels, np.float32)
        size = (image.shape[0], image.shape[1])
        present = np.flatnonzero(labels > 0)
        classes = (present + 1).astype(np.uint8)
        if not len(present):
            return Cam(classes, np.zeros((0, *size), np.float32), size)
        classifier.eval()
        device = next(classifier.parameters()).device
        given = torch.as_tensor(labels, device=device)[None]
        boxes = [
            box for scale in self.scales for box in windows(size, scale, self.crop, self.stride)
        ]
        made = []
        with torch.inference_mode():
            for box in boxes:
                seen = torch.from_numpy(normalise(stretched(image, box, self.crop))).to(device)
                views = torch.stack([seen, seen.flip(-1)]) if self.flip else seen[None]
                maps = classifier.cam_maps(views, given.expand(len(views), -1))[:, present]
                own = maps.float().relu()
                own = (own[0] + own[1].flip(-1)) / 2 if self.flip else own[0]
                made.append(own.cpu())
        return Cam(classes, ranged(merged(made, boxes, size)).numpy(), size)


def merged(maps: Sequence[Tensor], boxes: Sequence[Box], size: tuple[int, int]) -> Tensor:
    """Return the mean (K', H, W) of `maps` (K', h_i, w_i), each at its window; 0 where there is none."""
    total, count = torch.zeros(len(maps[0]), *size, dtype=maps[0].dtype), torch.zeros(size)
    for one, (left, top, right, bottom) in zip(maps, boxes, strict=True):
        window = (bottom - top, right - left)
        enlarged = F.interpolate(one[None], window, mode="bilinear", align_corners=False)[0]
        total[:, top:bottom, left:right] += enlarged
        count[top:bottom, left:right] += 1
    return total / count.clamp(min=1)


def ranged(maps: Tensor) -> Tensor:
    """Bring `maps` (K', H, W) to [0, 1]: from the minimum of each, within 1e-5, to its maximum."""
    low, high = (extreme(maps, dim=(1, 2), keepdim=True) for extreme in (torch.amin, torch.amax))
    return torch.where(maps < low + EPS, 0, maps - low) / (high - low + EPS)
