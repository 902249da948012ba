"""The contract of refinements: CAM or scores -> better scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from wsssbench.interfaces.artefacts import Artefact, Cams, Photo, ScoreMaps
from wsssbench.interfaces.values import Cam, RunContext, Scores


@dataclass(frozen=True)
class FitItem:
    """One training image of a refinement: its id, its file, and the artefact file it is refined from."""

    id: str
    image: Path
    given: Path


class Refinement(ABC):
    """Turns a CAM, or scores, into better scores. ``__init__(*, ...)``. Instances must pickle, for worker processes.

    A refinement that has to be trained first sets `fitted` and overrides `fit`; the pipeline then runs `fit` once, and
    `load` in every process before `refine`.

    Attributes:
        takes: what it refines, and is trained from: `Cams`, `ScoreMaps`, or both.
        gives: `ScoreMaps`, or `Cams` for better CAMs.
        fitted: it has to be trained.
        title: what the ladder calls it, e.g. "CRF".
    """

    takes: ClassVar[tuple[type[Artefact], ...]] = (Cams, ScoreMaps)
    gives: ClassVar[type[Artefact]] = ScoreMaps
    fitted: ClassVar[bool] = False
    title: ClassVar[str] = ""

    @abstractmethod
    def refine(self, photo: Photo, given: Cam | Scores) -> Cam | Scores:
        """Refine what an earlier stage made of `photo`."""

    def card(self) -> Mapping[str, Any]:
        """Return what it adds to the protocol card, e.g. ``{"crf": ("psa",)}``.

        A tuple goes behind what earlier refinements put under the same key; anything else replaces it.
        """
        return {}

    def fit(self, items: Sequence[FitItem], num_classes: int, context: RunContext) -> None:
        """Train on image-level artefacts; leave what `load` needs in ``context.directory``."""
        raise TypeError(f"{type(self).__name__} is not a refinement that is trained")

    def rehearse(self, context: RunContext, pretrained: bool) -> None:  # noqa: B027 - it may be left out
        """Try one step of the training of `fit`, and `refine`, on tiny images; called before the first stage of a run.

        Args:
            context: its directory is thrown away.
            pretrained: False: a weight file is missing, so the network starts from random values.

        Raises:
            MissingWeightsError: a weight file is not there.
            Exception: anything else that would stop `fit` or `refine`.
        """

    def load(self, directory: Path, device: str) -> None:  # noqa: B027 - most have nothing to load
        """Read back what `fit` left in `directory`."""
