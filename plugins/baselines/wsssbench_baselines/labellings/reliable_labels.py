"""RRM's reliable labels (Zhang B. et al., AAAI 2020): what CRFs are sure of, where the CAM is strong."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from wsssbench.interfaces import IGNORE, Cam, Cams, Labelling, Photo, Scores
from wsssbench.ops.crf import dense_crf
from wsssbench.refinements.dense_crf import find_preset
from wsssbench.refinements.score_maps import start_scores

Share = Annotated[float, Field(ge=0, le=1)]


class ReliableLabels(Labelling):
    """Labels of two CRFs, kept where they are probable and the CAM is among the strongest of its class; 255 elsewhere.

    B. Zhang, J. Xiao, Y. Wei, M. Sun and K. Huang, *Reliability Does Matter: An End-to-End Weakly Supervised Semantic
    Segmentation Approach*, AAAI 2020. The background beside the CAM A is b_a = (1 - max A)^a. One dense CRF starts from
    b_low and says which class a pixel has, another from b_high and says what is background, whatever the first says.
    A label is kept if

    * its largest probability, of the second's background and of the first's classes, reaches `probability`, and
    * the pixel is sure: the best plane of (b_high, A) is a class, whose A is above the quantile `quantile` of those of
      its values over `floor` with which it is best; or it is the background, above `background`. Either has to be
      shown by the first CRF somewhere.

    A pixel that is sure of one class, where the CRF says another, keeps the CRF's, as in the released code
    (https://github.com/zbf1991/RRM at 6d4191c), which rule and defaults are from; which of them the paper names was not
    verified [?]. There the labels are made anew in each step, of the CAMs of the network that they teach; here once, of
    CAMs that are done. There a class that is best with no value over `floor` is an error; here it is sure nowhere.

    Args:
        low: exponent of the background that classes are found beside.
        high: exponent of the background that has to be exceeded; the larger, the less background.
        quantile: share of the pixels of a class that are not sure: 0.6 keeps the upper 40 %.
        floor: activation that counts as one of a class.
        background: what the background b_high has to exceed.
        probability: of a CRF, from which it is believed.
        preset: of both CRFs, see `wsssbench.ops.crf.PRESETS`.

    Raises:
        ValueError: `low` is above `high`; an unknown preset.
    """

    takes = (Cams,)
    title = "reliable labels"

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        low: Annotated[float, Field(gt=0, le=1000)] = 4.0,
        high: Annotated[float, Field(gt=0, le=1000)] = 32.0,
        quantile: Annotated[float, Field(ge=0, lt=1)] = 0.6,
        floor: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        background: Share = 0.8,
        probability: Share = 0.8,
        preset: str = "psa",
    ) -> None:
        if low > high:
            raise ValueError(
                f"low={low} has to be at most high={high}: it is the exponent of the larger background"
            )
        self.low, self.high = low, high
        self.quantile, self.floor, self.background = quantile, floor, background
        self.probability = probability
        self.crf = find_preset(preset)

    def label(self, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
        assert isinstance(given, Cam)
        image = photo.image
        low, high = (start_scores(image, given, alpha) for alpha in (self.low, self.high))
        beside, below = (dense_crf(image, planes, self.crf) for planes in (low, high))
        return self.believed(high, beside, below, given.classes)

    def believed(
        self, planes: np.ndarray, beside: np.ndarray, below: np.ndarray, classes: np.ndarray
    ) -> np.ndarray:
        """Return the label map (H, W) uint8 of what two CRFs say.

        Args:
            planes: (b_high, A), (1 + K', H, W).
            beside: posterior of the CRF from b_low, alike.
            below: of that from b_high.
            classes: (K',) label-map values.
        """
        shown = beside.argmax(axis=0)
        label = np.concatenate([[IGNORE], classes]).astype(np.uint8)[shown]
        label[below.argmax(axis=0) == 0] = 0
        probable = np.concatenate([below[:1], beside[1:]]).max(axis=0) >= self.probability
        return np.where(probable & self.sure(planes, np.unique(shown)), label, IGNORE)

    def sure(self, planes: np.ndarray, shown: np.ndarray) -> np.ndarray:
        """Where `planes` (b_high, A), (1 + K', H, W), are strong, of those `shown`: (H, W) bool."""
        best = planes.argmax(axis=0)
        sure = np.zeros(best.shape, bool)
        for index in shown:
            own = np.where(best == index, planes[index], 0)
            if index == 0:
                sure |= own > self.background
                continue
            values = np.sort(own[own > self.floor])
            if len(values):
                sure |= own > values[int(self.quantile * len(values))]
        return sure
