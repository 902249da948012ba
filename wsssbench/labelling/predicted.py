"""Label maps of another stage as pseudo-labels."""

from __future__ import annotations

import numpy as np

from wsssbench.interfaces import IGNORE, Cam, Labelling, LabelMaps, Photo, Scores


class PredictedLabels(Labelling):
    """The label maps that another stage made, e.g. what an earlier segmentation network predicts of its own images.

    Args:
        labels: that stage, e.g. ``once.predict.train``.
        present_only: classes that are not in a photo's image-level labels become background. PMM's released code
            (ICCV 2021) keeps them.
    """

    takes = ()

    def __init__(
        self, classes: tuple[str, ...], *, labels: LabelMaps, present_only: bool = True
    ) -> None:
        self.labels = labels
        self.present_only = present_only

    def label(self, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
        label = self.labels.read(photo.id)
        if not self.present_only:
            return label
        present = np.flatnonzero(photo.labels) + 1
        return np.where(np.isin(label, [IGNORE, *present]), label, 0).astype(np.uint8)
