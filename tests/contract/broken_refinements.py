"""Refinements that keep their contract, and such that break it at one point each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wsssbench.interfaces import Cam, Cams, FitItem, Photo, Refinement, RunContext, Scores


class Good(Refinement):
    """CAMs with a constant background.

    Args:
        background: its score.
    """

    def __init__(self, *, background: float = 0.3) -> None:
        self.background = background

    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        maps = given.planes[1:] if isinstance(given, Scores) else given.maps
        first = np.full((1, *maps.shape[1:]), self.background, np.float32)
        return Scores(given.classes, np.concatenate([first, maps]), given.size)


class GoodFitted(Good):
    """CAMs with a `background` that is learnt."""

    fitted = True

    def fit(self, items: Sequence[FitItem], num_classes: int, context: RunContext) -> None:
        (context.directory / "background.txt").write_text(str(0.1 * len(items)))

    def load(self, directory: Path, device: str) -> None:
        self.background = float((directory / "background.txt").read_text())


class CamsOnly(Good):
    """Takes no scores, which is allowed; `background` is its score."""

    takes = (Cams,)

    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        assert isinstance(given, Cam)
        return super().refine(photo, given)


class BetterCams(CamsOnly):
    """Gives CAMs; `background` has no effect."""

    gives = Cams

    def refine(self, photo: Photo, given: Cam | Scores) -> Any:
        assert isinstance(given, Cam)
        return Cam(given.classes, np.sqrt(given.maps), given.size)


class GivesText(Good):
    gives = "cams"  # type: ignore[assignment]


class NoBackground(Good):
    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        scores = super().refine(photo, given)
        return replace(scores, planes=scores.planes[1:])


class DoublePrecision(Good):
    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        scores = super().refine(photo, given)
        return replace(scores, planes=scores.planes.astype(np.float64))


class Logarithms(Good):
    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        scores = super().refine(photo, given)
        return replace(scores, planes=np.log(scores.planes + np.float32(0.01)))


class BareArray(Good):
    def refine(self, photo: Photo, given: Cam | Scores) -> Any:
        return super().refine(photo, given).planes


class NeedsMaps(Good):
    def refine(self, photo: Photo, given: Any) -> Scores:
        return super().refine(photo, Cam(given.classes, given.maps, given.size))


class EvenSizes(Good):
    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        height, width = photo.image.shape[:2]
        photo.image.reshape(height // 2, 2, width // 2, 2, 3)
        return super().refine(photo, given)


class NeedsClass(Good):
    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        scores = super().refine(photo, given)
        assert scores.planes[1:].max(axis=0).shape
        return scores


class NotANumber(Good):
    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        scores = super().refine(photo, given)
        with np.errstate(all="ignore"):
            peaks = scores.planes.max(axis=(1, 2), keepdims=True)
            return replace(scores, planes=scores.planes / peaks)


class RandomScores(Good):
    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        scores = super().refine(photo, given)
        factor = np.float32(np.random.default_rng().random())
        return replace(scores, planes=scores.planes * factor)


class ChangesCam(Good):
    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        scores = super().refine(photo, given)
        if isinstance(given, Cam):
            given.maps[:] = 0
        return scores


class WithLambda(Good):
    def __init__(self, *, background: float = 0.3) -> None:
        super().__init__(background=background)
        self.activation = lambda x: x


class FitsNothing(GoodFitted):
    def fit(self, items: Sequence[FitItem], num_classes: int, context: RunContext) -> None:
        pass


class FailsToFit(GoodFitted):
    def fit(self, items: Sequence[FitItem], num_classes: int, context: RunContext) -> None:
        raise IndexError("no class")


class ForgetsToLoad(GoodFitted):
    def load(self, directory: Path, device: str) -> None:
        raise FileNotFoundError("network.pth")
