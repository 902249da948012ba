"""nGWP: each pixel decides softly to which class it belongs, and the classes pool their own pixels; its masks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from wsssbench.interfaces import CamInference, Classifier, Photo, Pooled, Pooling, ScoreMaps, Scores
from wsssbench.models.preprocess import normalise, resize_image

Score = Annotated[float, Field(ge=-1000, le=1000)]


def masks(maps: Tensor, background: float) -> Tensor:
    """Softmax over the class maps (N, K, h, w) beside a constant `background`: (N, 1 + K, h, w), background first."""
    maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
    return torch.cat([torch.full_like(maps[:, :1], background), maps], dim=1).softmax(dim=1)


class NGWP(Pooling):
    """Normalised global weighted pooling with a size-focal term (Araslanov & Roth, CVPR 2020).

    Of the class maps f, and a background of one constant, every pixel p gets masks m = softmax over the 1 + K planes.
    With the mean a_k of m_k over the image:

    * s_k = sum over p of m_k f_k / (1 + sum over p of m_k)   (nGWP),
    * logit_k = s_k + focal x (1 - a_k)^power x log(lowest + a_k)   (size-focal term, which is negative).

    The pooling of a class looks at its own pixels alone, and the second term makes their number not too small. The
    gradient flows through the masks and their mean, too. The attention is m_k of the classes, (N, K, h, w).

    Formula and defaults are those of the released code (https://github.com/visinf/1-stage-wseg). There this pools the
    masks of a segmentation network that teaches itself; here it is the pooling alone, for which no number is published
    [?]. Its last convolution has a bias, the head of this toolkit has none.

    Args:
        num_classes: K; supplied by the toolkit, not needed here.
        background: score of the background at every pixel.
        divisor: is added to the size of the masks.
        focal: weight of the size-focal term, 1 in the paper; 0 switches it off.
        power: p of this term; the larger it is, the less it says about masks of some size.
        lowest: lambda of this term, which it is finite with.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        background: Score = 1.0,
        divisor: Annotated[float, Field(gt=0, le=1000)] = 1.0,
        focal: Annotated[float, Field(ge=0, le=1000)] = 1.0,
        power: Annotated[int, Field(ge=0, le=100)] = 3,
        lowest: Annotated[float, Field(gt=0, le=1)] = 0.01,
    ) -> None:
        super().__init__()
        self.background, self.divisor = background, divisor
        self.focal, self.power, self.lowest = focal, power, lowest

    def forward(self, maps: Tensor) -> Pooled:
        """Pool `maps` (N, K, h, w) to logits (N, K), half precision in float32."""
        own = masks(maps, self.background)[:, 1:]
        size = own.sum(dim=(2, 3))
        logits = (own * maps).sum(dim=(2, 3)) / (self.divisor + size)
        area = size / own[0, 0].numel()
        penalty = (1 - area) ** self.power * torch.log(self.lowest + area)
        return Pooled(logits + self.focal * penalty, own)


class NGWPMasks(CamInference):
    """The masks of `NGWP` as scores with a background of their own (Araslanov & Roth, CVPR 2020).

    Per scale and mirror image they are the softmax over the class maps and a constant background; enlarged to the
    image's size and turned back, their mean is taken, and the plane of the background to the third power. Labels are
    the best plane of each pixel, without a threshold. Classes that are not in the image's labels take part in the
    softmax, but are left out of the result; the planes do not sum to 1.

    This and the defaults are the released code's, which takes the classes that the network predicts unless told
    otherwise; here they are the image-level labels, as in its rows "clean". Class maps that objectives make are taken.

    Args:
        classes: supplied by the toolkit.
        background: score of the background; as that of the pooling.
        background_power: to which the plane of the background is raised: the larger, the more is foreground.
        scales: of the image.
        flip: add the masks of the mirrored image.
    """

    gives = ScoreMaps

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        background: Score = 1.0,
        background_power: Annotated[float, Field(gt=0, le=100)] = 3.0,
        scales: Annotated[tuple[Annotated[float, Field(gt=0, le=8)], ...], Field(min_length=1)] = (
            1.0,
            0.5,
            1.5,
            2.0,
        ),
        flip: bool = True,
    ) -> None:
        super().__init__(classes)
        self.background, self.background_power = background, background_power
        self.scales, self.flip = scales, flip

    def infer(self, classifier: Classifier, photo: Photo) -> Scores:
        """Scores (1 + K', H, W) of the classes in the labels of `photo`; the classifier is left in evaluation mode."""
        image, labels = photo.image, np.asarray(photo.labels, np.float32)
        size = (image.shape[0], image.shape[1])
        present = np.flatnonzero(labels > 0)
        classifier.eval()
        device = next(classifier.parameters()).device
        given = torch.as_tensor(labels, device=device)[None]
        planes = torch.as_tensor([0, *(present + 1)], device=device)
        made = []
        with torch.inference_mode():
            for scale in self.scales:
                height, width = (max(1, round(n * scale)) for n in size)
                resized = torch.from_numpy(normalise(resize_image(image, (height, width))))
                views = [resized, resized.flip(-1)] if self.flip else [resized]
                stacked = torch.stack(views).to(device)
                maps = classifier.cam_maps(stacked, given.expand(len(stacked), -1))
                own = masks(maps, self.background)[:, planes]
                made += [view.flip(-1) if i else view for i, view in enumerate(own)]
            fused_planes = fused(made, size, self.background_power).cpu().numpy()
        return Scores((present + 1).astype(np.uint8), fused_planes.astype(np.float32), size)

    def passes(self) -> float:
        return sum(scale**2 for scale in self.scales) * (2 if self.flip else 1)


def fused(views: Iterable[Tensor], size: tuple[int, int], power: float) -> Tensor:
    """The mean of `views`, (1 + K', h_i, w_i) each, at `size`, with the background to the `power`: (1 + K', H, W)."""
    enlarged = [
        F.interpolate(view[None], size, mode="bilinear", align_corners=False)[0] for view in views
    ]
    mean = torch.stack(enlarged).mean(dim=0)
    return torch.cat([mean[:1] ** power, mean[1:]])
