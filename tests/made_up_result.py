"""A made-up run, as the pipeline would hand it to the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from wsssbench.results.run import (
    Evaluation,
    GalleryRow,
    Layer,
    Point,
    RunResult,
    StageTime,
    TrainingCurve,
)

CLASSES = ["cat", "dog", "sofa"]


def _card(**more: Any) -> dict[str, Any]:
    card = {"dataset": "VOC2012", "split": "train", "scales": "0.5, 1.0", "flip": True}
    return card | {"threshold_choice": "fixed", "labels_at_inference": True, "seed": 0} | more


def _gallery(rows: int, size: tuple[int, int], seed: int) -> list[GalleryRow]:
    rng = np.random.default_rng(seed)
    return [
        GalleryRow(
            f"img{i}",
            rng.integers(0, 256, (*size, 3), dtype=np.uint8),
            [
                Layer("ground truth", rng.integers(0, 4, size).astype(np.uint8)),
                Layer("CAM", rng.random(size).astype(np.float32)),
            ],
        )
        for i in range(rows)
    ]


@pytest.fixture
def make_result() -> Callable[..., RunResult]:
    """Builds a run; keyword arguments replace whole fields, `shift` is added to every mIoU."""

    def make(shift: float = 0.0, rows: int = 2, size: tuple[int, int] = (24, 32), **fields: Any):
        curve = [
            Point(40 - 100 * (t - 0.2) ** 2 + shift, 50 + t, 70 - t, t) for t in (0.1, 0.2, 0.3)
        ]
        cam = Evaluation(
            name="CAM",
            node="cam",
            split="train",
            chosen=Point(39.0 + shift, 50.3, 69.7, 0.3),
            oracle=Point(40.0 + shift, 50.2, 69.8, 0.2),
            iou={"background": 70.0, "cat": 30.0, "dog": 17.0, "sofa": None},
            curve=curve,
            card=_card(threshold=0.3),
        )
        val = Evaluation(
            name="DeepLab val",
            node="predict",
            split="val",
            chosen=Point(55.25 + shift, 61.0, 62.0, None),
            iou={"background": 80.0, "cat": 50.0, "dog": 35.0, "sofa": None},
            card=_card(split="val", threshold=None, threshold_choice="none"),
        )
        given: dict[str, Any] = {
            "name": "aeft_voc",
            "run_id": "0a1b-seed0",
            "config_text": "seed = 0\n",
            "evaluations": [cam, val],
            "times": [StageTime("classify", 90.0, 2048.0, True), StageTime("cam", 30.0, 512.0)],
            "gallery": _gallery(rows, size, seed=0),
            "environment": {"torch": "2.14.1"},
            "created": "2026-03-01T14:22:33+00:00",
            "reference": {"CAM": 56.0},
            "class_names": CLASSES,
            "training": [TrainingCurve("classify", "loss", [(1.0, 0.7), (2.0, 0.5)])],
        }
        return RunResult(**(given | fields))

    return make
