"""label: scores -> pseudo-label, one palette PNG ``<id>.png`` per image, 255 where ignored.

Config: confidence, splits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wsssbench.files.artefacts import read_label, read_scores
from wsssbench.files.images import write_label
from wsssbench.interfaces import IGNORE, Scores
from wsssbench.ops.cam import upsample
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.stages.work import StageWork, ids_of


def label_map(scores: Scores, confidence: float = 0.0) -> np.ndarray:
    """The best class per pixel, (H, W) uint8; 255 where its share of the scores' sum is below `confidence`."""
    planes = upsample(scores.planes, scores.size)  # (1 + K', H, W)
    values = np.concatenate([[0], scores.classes]).astype(np.uint8)
    best = planes.argmax(axis=0)
    label = values[best]
    if confidence > 0:
        top = np.take_along_axis(planes, best[None], axis=0)[0]
        label[top < confidence * planes.sum(axis=0)] = IGNORE
    return label


class LabelItem(NamedTuple):
    """One image: its scores, where the pseudo-label goes."""

    given: Path
    target: Path


class LabelJob(ImageJob[LabelItem]):
    """Turns one image's scores into its pseudo-label."""

    def __init__(self, confidence: float) -> None:
        self.confidence = confidence

    def target(self, item: LabelItem) -> Path:
        return item.target

    def valid(self, path: Path) -> None:
        read_label(path)

    def run(self, item: LabelItem) -> None:
        write_label(item.target, label_map(read_scores(item.given), self.confidence))


def run(work: StageWork) -> dict[str, Any]:
    """Pseudo-labels of every image of the splits."""
    items = [
        LabelItem(work.inputs["given"] / f"{id}.npz", work.directory / f"{id}.png")
        for id, _ in ids_of(work.dataset, work.config["splits"])
    ]
    run_images(LabelJob(work.config["confidence"]), items, work.context, "label")
    return {"images": len(items)}
