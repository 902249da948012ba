"""Stages that go wrong, and one that is called as a refinement is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from wsssbench.interfaces import Artefact, Cams, Photos, RunContext, ScoreMaps, Stage


class Nothing(Artefact):
    """No file."""

    called = "nothing"


class Figures(Stage):
    """Returns `kind` of figures, and leaves nothing."""

    makes = Nothing

    def __init__(self, classes: tuple[str, ...], *, kind: str = "numpy") -> None:
        self.kind = kind

    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        kinds: dict[str, Any] = {
            "numpy": {"one": np.float32(1), "more": np.arange(3)},
            "object": {"one": object()},
            "list": [1, 2],
        }
        return kinds[self.kind]


class OfVal(Stage):
    """Should leave scores of the val split, and does not."""

    makes = ScoreMaps
    splits = ("val",)

    def __init__(self, classes: tuple[str, ...], *, cams: Cams | None = None) -> None:
        self.cams = cams

    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        if self.cams is not None:
            self.cams.read(photos[0].id)
        return {}


class DenseCRF(Stage):
    """Has the name of a refinement, whose `preset` is a text."""

    makes = Nothing

    def __init__(self, classes: tuple[str, ...], *, preset: Cams) -> None:
        self.preset = preset

    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        return {}
