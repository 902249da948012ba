"""Dense CRF as a refinement of CAMs or scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from wsssbench.errors import unknown
from wsssbench.interfaces import Cam, Refinement, Scores
from wsssbench.ops.crf import PRESETS, CrfParameters, dense_crf
from wsssbench.refinements.score_maps import start_scores


class DenseCRF(Refinement):
    """Fully connected CRF (Krähenbühl & Koltun, NeurIPS 2011) on the image's colours.

    Args:
        preset: settings of the literature (`wsssbench.ops.crf.PRESETS`): psa, psa_rw (after a
            random walk), pmm, irn, bes, deeplab, seg_test, afa.
        alpha: CAMs get the background (1 - max_k A_k)^alpha; scores have one already.
        iterations: mean-field iterations; None: the preset's, as for all that follow.
        gaussian_sxy: standard deviation of the smoothness kernel, pixels.
        gaussian_compat: its weight.
        bilateral_sxy: spatial standard deviation of the appearance kernel, pixels.
        bilateral_srgb: its colour standard deviation, grey values of 0..255.
        bilateral_compat: its weight.

    Raises:
        ValueError: unknown preset; a value that is not positive.
    """

    title = "CRF"

    def __init__(
        self,
        *,
        preset: str = "psa",
        alpha: float = 4.0,
        iterations: int | None = None,
        gaussian_sxy: float | None = None,
        gaussian_compat: float | None = None,
        bilateral_sxy: float | None = None,
        bilateral_srgb: float | None = None,
        bilateral_compat: float | None = None,
    ) -> None:
        given: dict[str, Any] = {
            "iterations": iterations,
            "gaussian_sxy": gaussian_sxy,
            "gaussian_compat": gaussian_compat,
            "bilateral_sxy": bilateral_sxy,
            "bilateral_srgb": bilateral_srgb,
            "bilateral_compat": bilateral_compat,
        }
        changed = {name: value for name, value in given.items() if value is not None}
        for name, value in {"alpha": alpha, **changed}.items():
            if not value > 0:
                raise ValueError(f"{name}={value} has to be greater than 0")
        self.alpha = alpha
        self.preset = preset
        self.parameters = replace(find_preset(preset), **changed)

    def refine(self, image: np.ndarray, given: Cam | Scores) -> Scores:
        """Posterior of the CRF at the image's size; background alone if no class is present."""
        planes = start_scores(image, given, self.alpha)
        return Scores(given.classes, dense_crf(image, planes, self.parameters), given.size)

    def card(self) -> Mapping[str, Any]:
        return {"crf": (self.preset,)}


def find_preset(name: str) -> CrfParameters:
    """The preset called `name`; ValueError with near matches if there is none."""
    if name not in PRESETS:
        raise ValueError(unknown("CRF preset", name, PRESETS))
    return PRESETS[name]
