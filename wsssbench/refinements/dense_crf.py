"""Dense CRF as a refinement of CAMs or scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from wsssbench.errors import unknown
from wsssbench.interfaces import Cam, Photo, Refinement, Scores
from wsssbench.ops.crf import PRESETS, CrfParameters, dense_crf
from wsssbench.refinements.score_maps import Background, start_scores

# The lattice of the filter counts in 16 bits: it is no longer right for narrower kernels on large images.
Width = Annotated[float, Field(ge=0.5, le=1000)]
Weight = Annotated[float, Field(gt=0, le=1000)]

_ALPHA = 4.0


class DenseCRF(Refinement):
    """Fully connected CRF (Krähenbühl & Koltun, NeurIPS 2011) on the image's colours.

    Args:
        preset: settings of the literature (`wsssbench.ops.crf.PRESETS`): psa, psa_rw (after a
            random walk), pmm, irn, bes, deeplab, seg_test, rrm, afa. They are kernels, not backgrounds.
        alpha: CAMs get the background (1 - max_k A_k)^alpha; scores have one already.
        background: CAMs get this constant as background instead. IRN's seeds come from ``preset="irn"`` with 0.30 (what
            is foreground) and with 0.05 (what is background).
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
        alpha: Annotated[float, Field(gt=0, le=1000)] = _ALPHA,
        background: Annotated[float, Field(gt=0, lt=1)] | None = None,
        iterations: Annotated[int, Field(ge=1, le=1000)] | None = None,
        gaussian_sxy: Width | None = None,
        gaussian_compat: Weight | None = None,
        bilateral_sxy: Width | None = None,
        bilateral_srgb: Width | None = None,
        bilateral_compat: Weight | None = None,
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
        if background is not None and alpha != _ALPHA:
            raise ValueError(
                f"alpha={alpha} has no effect, since background={background} is given: leave one of the two out"
            )
        self.background = Background(alpha, background)
        self.preset = preset
        self.parameters = replace(find_preset(preset), **changed)

    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        """Posterior of the CRF at the image's size; background alone if no class is present."""
        image = photo.image
        planes = start_scores(image, given, self.background)
        return Scores(given.classes, dense_crf(image, planes, self.parameters), given.size)

    def card(self) -> Mapping[str, Any]:
        return {"crf": (self.preset,)}


def find_preset(name: str) -> CrfParameters:
    """The preset called `name`; ValueError with near matches if there is none."""
    if name not in PRESETS:
        raise ValueError(unknown("CRF preset", name, PRESETS))
    return PRESETS[name]
