"""The mean activation of each photo's CAM, and label maps of what is above it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from typing import Any

import numpy as np

from wsssbench.files.images import write_label
from wsssbench.interfaces import Artefact, Cams, LabelMaps, Photos, RunContext, Stage
from wsssbench.ops.cam import upsample


class Means(Artefact):
    """A number per photo."""

    called = "mean activations"

    def of(self, id: str) -> float:
        return float(json.loads((self.directory / "means.json").read_text())[id])


class MeanActivation(Stage):
    """Writes the mean activation of each photo."""

    makes = Means
    splits = ("train", "evaluate")

    def __init__(self, classes: tuple[str, ...], *, cams: Cams, factor: float = 1.0) -> None:
        self.cams = cams
        self.factor = factor

    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        means = {id: self.factor * float(self.cams.read(id).maps.mean()) for id in photos.ids}
        (context.directory / "means.json").write_text(json.dumps(means))
        return {"photos": len(photos)}


class AboveMean(Stage):
    """A label map of the best class wherever the CAM is above its mean activation."""

    makes = LabelMaps
    splits = ("train", "evaluate")
    title = "above mean"

    def __init__(self, classes: tuple[str, ...], *, cams: Cams, means: Means) -> None:
        self.cams, self.means = cams, means

    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        made = 0
        for photo in photos:
            path = context.directory / f"{photo.id}.png"
            if path.exists():
                continue
            cam = self.cams.read(photo.id)
            maps = upsample(cam.maps, cam.size)
            best = cam.classes[maps.argmax(axis=0)]
            label = np.where(maps.max(axis=0) > self.means.of(photo.id), best, 0)
            write_label(path, label.astype(np.uint8))
            made += 1
            if os.environ.get("KILL_AFTER") == str(made):
                os.kill(os.getpid(), signal.SIGKILL)
        return {"made": made}


class AboveMeanOf(Stage):
    """Reads label maps, and may not see those that were made with masks."""

    makes = Means

    def __init__(self, classes: tuple[str, ...], *, labels: LabelMaps) -> None:
        self.labels = labels

    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        raise AssertionError("this must not be reached")


class Drawn(Artefact):
    """One number."""


class Draw(Stage):
    """Draws a number from the seed of the run."""

    makes = Drawn
    random = True

    def __init__(self, classes: tuple[str, ...]) -> None:
        pass

    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        number = np.random.default_rng(context.seed).random()
        (context.directory / "number.txt").write_text(str(number))
        return {"number": number}
