"""AE-PSL's adversarial erasing in rounds: what one classifier finds is erased for the next, and their finds are united.

Wei, Feng, Liang, Cheng, Zhao & Yan, "Object Region Mining with Adversarial Erasing: A Simple Classification to Semantic
Segmentation Approach", CVPR 2017. With the photos I_1, round t = 1, 2, ..., T

    trains a classifier on I_t and infers its CAM H_t of I_t,
    mines F_t, where H_t of a class reaches 1 - `top` of its peak,
    and erases F_t:  I_{t+1} is I_t with the mean pixel on F_t.

The regions of the object are the union of F_1, ..., F_T; of a pixel that several classes claim, the earliest round
counts, and in a round the largest activation. No code was released.

Verified: the loop, the mean pixel as filling, three rounds. Not verified [?]: `top`, a top 20 % in the paper, is read
as 20 % of the peak's value, so from 0.8 on, since its abstract begins with a small region; the other reading is that of
Zhou et al. (CVPR 2016), from 0.2 on (``top=0.8``); that the mean pixel is ImageNet's; which class has a pixel that
several claim.

What is not the paper's:

* the background is where its saliency network (DRFI) sees nothing; here, where the CAM of a plain classifier is low;
* its classifier learns by a squared loss, ours by binary cross-entropy;
* its online segmentation training, "prohibitive segmentation learning" (PSL), is left out: its formula is not verified.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from wsssbench.errors import UserError
from wsssbench.interfaces import (
    IGNORE,
    Augmentation,
    Cam,
    Cams,
    Classifier,
    Labelling,
    LabelMaps,
    Photo,
    Scores,
)
from wsssbench.models.multiscale_cam import MultiScaleCAM
from wsssbench.ops.cam import upsample
from wsssbench.ops.label_map import thresholded

Share = Annotated[float, Field(ge=0, le=1)]
Colour = Annotated[int, Field(ge=0, le=255)]
MEAN = (124, 116, 104)  # of ImageNet, RGB


class MinedRegions(Labelling):
    """F_t, the most active regions of each class, beside those of earlier rounds; 0 elsewhere.

    Args:
        classes: K names; supplied by the toolkit.
        top: share of a class's peak within which an activation is mined.
        add_to: the stage with the regions of the earlier rounds, which stay; None in the first one.
    """

    takes = (Cams,)
    title = "mined regions"

    def __init__(
        self, classes: tuple[str, ...], *, top: Share = 0.2, add_to: LabelMaps | None = None
    ) -> None:
        self.top, self.add_to = top, add_to

    def label(self, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
        assert isinstance(given, Cam)
        mined = thresholded(given.maps, given.classes, given.size, 1 - self.top)
        if self.add_to is None:
            return mined
        former = self.add_to.read(photo.id)
        return np.where(former > 0, former, mined)


class EraseRegions(Augmentation):
    """Shows photos without the regions that earlier rounds have mined.

    Args:
        regions: the stage with the regions, label maps of which all that is not 0 is erased.
        fill: the colour of what is erased, RGB.
    """

    def __init__(self, *, regions: LabelMaps, fill: tuple[Colour, Colour, Colour] = MEAN) -> None:
        self.regions, self.fill = regions, fill

    def views(self, photo: Photo, random: np.random.Generator) -> Sequence[Photo]:
        """Return one photo, `photo` without its regions."""
        return (erased(photo, self.regions, self.fill),)


class ErasedCAM(MultiScaleCAM):
    """CAMs of photos without the regions that earlier rounds have mined, as `MultiScaleCAM` infers them.

    Args:
        regions: the stage with the regions; None: of the photos as they are.
        fill: the colour of what is erased, RGB.
    """

    def __init__(
        self,
        classes: tuple[str, ...] = (),
        *,
        regions: LabelMaps | None = None,
        fill: tuple[Colour, Colour, Colour] = MEAN,
        **rest: Any,
    ) -> None:
        super().__init__(classes, **rest)
        self.regions, self.fill = regions, fill

    def infer(self, classifier: Classifier, photo: Photo) -> Cam:
        """CAMs of `photo` without its regions."""
        shown = photo if self.regions is None else erased(photo, self.regions, self.fill)
        return super().infer(classifier, shown)


class MinedOrBackground(Labelling):
    """Pseudo-labels: the mined regions, background where a CAM is low, and the rest ignored.

    Args:
        classes: K names; supplied by the toolkit.
        regions: the stage with the regions of all rounds.
        background: a pixel is background if no class's activation there reaches this.
    """

    takes = (Cams,)

    def __init__(
        self, classes: tuple[str, ...], *, regions: LabelMaps, background: Share = 0.05
    ) -> None:
        self.regions, self.background = regions, background

    def label(self, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
        assert isinstance(given, Cam)
        highest = upsample(given.maps, given.size).max(axis=0, initial=0)
        label = np.where(highest < self.background, 0, IGNORE).astype(np.uint8)
        mined = self.regions.read(photo.id)
        return np.where(mined > 0, mined, label)


def erased(photo: Photo, regions: LabelMaps, fill: tuple[int, int, int]) -> Photo:
    """Return `photo` with the colour `fill` where its label map of `regions` is not 0.

    Raises:
        UserError: the photo has another size.
    """
    region, image = regions.read(photo.id), photo.image.copy()
    if region.shape != image.shape[:2]:
        raise UserError(
            f"the regions of image '{photo.id}' are {region.shape[0]} x {region.shape[1]}, but it is "
            f"{image.shape[0]} x {image.shape[1]}: erase them before an augmentation that changes sizes"
        )
    image[region > 0] = fill
    return photo.changed(image=image)
