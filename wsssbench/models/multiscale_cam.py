"""CAMs of one image, summed over scales and mirror images."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from wsssbench.interfaces import Cam, CamInference, Classifier, Photo
from wsssbench.models.preprocess import normalise as normalise_image
from wsssbench.models.preprocess import resize_image
from wsssbench.ops.cam import normalise, normalise_range


class MultiScaleCAM(CamInference):
    """Class activation maps (Zhou et al., CVPR 2016), summed as in AffinityNet (CVPR 2018).

    Per scale s the image is resized bicubically to round(size * s). In this order: ReLU of the maps
    at their own resolution, mirrored maps turned back, bilinear upsampling to the image's size, sum
    over scales and mirror images, and the normalisation per class.

    Args:
        scales: of the image; an empty tuple is not allowed.
        flip: add the maps of the mirrored image.
        relu: ``map``: of the maps as they are, so that negative evidence cannot eat into the border
            of a neighbouring activation (AffinityNet). ``image``: of the upsampled maps (AEFT's and
            OC-CSE's code).
        normalisation: of the sum. ``max``: eq. 1, over its maximum. ``range``: SEAM's, from its minimum to its maximum,
            where the released code has a negative value at the minimum if that is above 0, and here is 0.
        multiple: the maps are enlarged to the image's size, rounded up to a multiple of this, and then cut to it: a
            network of stride 16 sees as much with its last cell. 16 in IRN and its heirs; 1 in AffinityNet and its.
        amp: ``"bfloat16"``: the network computes in mixed precision, on a CPU or a GPU; what follows does not.
    """

    def __init__(
        self,
        classes: tuple[str, ...] = (),
        *,
        scales: Annotated[tuple[Annotated[float, Field(gt=0, le=8)], ...], Field(min_length=1)] = (
            0.5,
            1.0,
            1.5,
            2.0,
        ),
        flip: bool = True,
        relu: Literal["map", "image"] = "map",
        normalisation: Literal["max", "range"] = "max",
        multiple: Annotated[int, Field(ge=1, le=256)] = 1,
        amp: Literal["bfloat16"] | None = None,
    ) -> None:
        if not scales or min(scales) <= 0:
            raise ValueError(f"scales={scales}, but has to hold at least one, all above 0")
        self.scales = scales
        self.flip = flip
        self.relu = relu
        self.normalisation = normalisation
        self.multiple = multiple
        self.amp = amp

    def infer(self, classifier: Classifier, photo: Photo) -> Cam:
        """CAMs of `photo` for the classes in its labels, at full size.

        The classifier is left in evaluation mode, and works on the device its parameters are on.
        Without a class the result holds no maps, (0, H, W).
        """
        image, labels = photo.image, photo.labels
        size = (image.shape[0], image.shape[1])
        present = np.flatnonzero(np.asarray(labels) > 0)
        if len(present) == 0:
            return Cam(np.zeros(0, np.uint8), np.zeros((0, *size), np.float32), size)
        classifier.eval()
        device = next(classifier.parameters()).device
        step = self.multiple
        whole = (-(-size[0] // step) * step, -(-size[1] // step) * step)
        total = torch.zeros(len(present), *whole, device=device)
        index = torch.as_tensor(present, device=device)
        given = torch.as_tensor(np.asarray(labels, np.float32), device=device)[None]
        with torch.inference_mode():
            for scale in self.scales:
                height, width = (max(1, round(n * scale)) for n in size)
                resized = torch.from_numpy(normalise_image(resize_image(image, (height, width))))
                total += self._at_scale(classifier, resized.to(device), given, index, whole)
            total = total[:, : size[0], : size[1]]
            maps = (normalise if self.normalisation == "max" else normalise_range)(total)
        return Cam((present + 1).astype(np.uint8), maps.cpu().numpy().astype(np.float32), size)

    def passes(self) -> float:
        return sum(scale**2 for scale in self.scales) * (2 if self.flip else 1)

    def _at_scale(
        self,
        classifier: Classifier,
        image: Tensor,
        labels: Tensor,
        present: Tensor,
        size: tuple[int, int],
    ) -> Tensor:
        """Activation (K', H, W) of `image` (3, H_s, W_s), summed with that of its mirror image."""
        views = torch.stack([image, image.flip(-1)]) if self.flip else image[None]
        given = labels.expand(len(views), -1)
        with torch.autocast(views.device.type, torch.bfloat16, enabled=self.amp is not None):
            maps = classifier.cam_maps(views, given)
        maps = maps[:, present].float()  # (1 or 2, K', h, w)
        if self.relu == "image":
            return self._sum(F.relu(_upsampled(maps, size)))
        # upsampling is linear: once for the sum
        return _upsampled(self._sum(F.relu(maps))[None], size)[0]

    def _sum(self, maps: Tensor) -> Tensor:
        """The maps of the views (1 or 2, K', h, w) added up, the mirrored ones turned back."""
        return maps[0] + maps[1].flip(-1) if self.flip else maps[0]


def _upsampled(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)
