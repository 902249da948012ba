"""IRN's confident seeds (Ahn, Cho & Kwak, CVPR 2019): a label where a CAM leaves little doubt, and 255 elsewhere."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from wsssbench.interfaces import IGNORE, Cam, Cams, Labelling, Photo, Scores
from wsssbench.ops.crf import dense_crf
from wsssbench.refinements.dense_crf import find_preset
from wsssbench.refinements.score_maps import Background, start_scores

Constant = Annotated[float, Field(gt=0, lt=1)]


class ConfidentSeeds(Labelling):
    """Two label maps of a CAM, one with much and one with little background; what they agree on is a seed.

    J. Ahn, S. Cho and S. Kwak, *Weakly Supervised Learning of Instance Segmentation with Inter-pixel Relations*,
    CVPR 2019. Each map is the argmax of a constant background plane and the CAM, and then that of a dense
    CRF on these hard labels (its label has probability 0.7). A pixel gets the class that it has with much background,
    background if both maps say so, and is ignored (255) otherwise.

    Args:
        foreground: the constant that a sure class has to exceed. Released code (jiwoon-ahn/irn): 0.30; others of its
            lineage: BES 0.30, AdvCAM, RIB and ReCAM 0.35.
        background: the constant that no class exceeds on sure background. IRN 0.05; BES 0.07, ReCAM 0.10, AdvCAM 0.15,
            RIB 0.17.
        preset: of both CRFs, see `wsssbench.ops.crf.PRESETS`.

    Raises:
        ValueError: `background` is not below `foreground`; an unknown preset.
    """

    takes = (Cams,)
    title = "seeds"

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        foreground: Constant = 0.30,
        background: Constant = 0.05,
        preset: str = "irn",
    ) -> None:
        if background >= foreground:
            raise ValueError(
                f"background={background} has to be less than foreground={foreground}: it is what even weak "
                "activations exceed"
            )
        self.foreground = foreground
        self.background = background
        self.crf = find_preset(preset)

    def label(self, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
        assert isinstance(given, Cam)
        image = photo.image
        much, little = (
            dense_crf(
                image, start_scores(image, given, Background(constant=constant)), self.crf
            ).argmax(axis=0)
            for constant in (self.foreground, self.background)
        )
        return agreed(much, little, given.classes)


def agreed(much: np.ndarray, little: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the seeds (H, W) uint8 of two maps of indices: 0 background, k + 1 the k-th of `classes`.

    Args:
        much: argmax with much background, (H, W) integer; its classes count, whatever the other map says.
        little: argmax with little background, alike.
        classes: (K',) label-map values.
    """
    seeds = np.concatenate([[IGNORE], classes]).astype(np.uint8)[much]
    seeds[(much == 0) & (little == 0)] = 0
    return seeds
