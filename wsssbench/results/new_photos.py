"""What the networks of a finished run say about photos that are in no data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from wsssbench.errors import UserError
from wsssbench.files.artefacts import read_label
from wsssbench.interfaces import Cam, Cams, RunContext, SegmentationItem, photo_of
from wsssbench.interfaces.requirements import need_cam
from wsssbench.ops.label_map import thresholded
from wsssbench.plugins import load
from wsssbench.progress import Progress
from wsssbench.results.finished_run import Run
from wsssbench.stages.evaluate import Evaluate
from wsssbench.stages.infer_cams import NODE as CAM
from wsssbench.stages.infer_cams import InferCams, with_seed
from wsssbench.stages.segment import NODE as SEGMENT
from wsssbench.stages.segment import Segment
from wsssbench.stages.select_threshold import NODE as THRESHOLD
from wsssbench.stages.select_threshold import read_selected

_METHOD = InferCams.section  # in the config of CAMs that were inferred here


@dataclass(frozen=True)
class Seen:
    """What a classifier sees in a photo.

    Attributes:
        scores: of the K classes, sigmoid, (K,) float32 in [0, 1].
        labels: the classes whose CAMs are made, (K,) float32 in {0, 1}.
        cam: of those classes, maps at any size.
    """

    scores: np.ndarray
    labels: np.ndarray
    cam: Cam

    def label(self, threshold: float) -> np.ndarray:
        """The label map, (H, W) uint8: the largest activation where it exceeds `threshold`."""
        return thresholded(self.cam.maps, self.cam.classes, self.cam.size, threshold)


class PhotoClassifier:
    """The classifier of a run, with the run's way to make CAMs of it.

    Args:
        run: finished.
        device: ``cpu`` or ``cuda``.

    Raises:
        UserError: its CAMs are somebody else's, or the classifier is not in the cache any more.
    """

    def __init__(self, run: Run, device: str) -> None:
        config = run.artefacts.node_config(CAM)
        if not has_classifier(run):
            how = "made without one" if _METHOD in config else "imported"
            raise UserError(f"run {run.directory} has no classifier: its CAMs were {how}")
        method = load().registries.cam.build(config[_METHOD], run.artefacts.dataset.classes)
        self.method = with_seed(method, config.get("seed", 0))
        if self.method.gives is not Cams:
            raise UserError(
                f"cam {config[_METHOD]['type']} of run {run.directory} gives scores: only CAMs of new photos are shown"
            )
        self.name = f"{_METHOD} {config[_METHOD]['type']}"
        self.network = run.classifier().to(device)

    def __call__(self, image: np.ndarray, labels: np.ndarray | None, least: float) -> Seen:
        """Look at an `image` (H, W, 3) uint8 RGB.

        Args:
            labels: its image-level labels (K,); None: the classes whose score is at least `least`.
        """
        with torch.inference_mode():
            scores = self.network(image).logits[0].float().sigmoid().cpu().numpy()
        chosen = (scores >= least if labels is None else labels > 0).astype(np.float32)
        cam = self.method.infer(self.network.classifier, photo_of(image, chosen))
        present = tuple((np.flatnonzero(chosen) + 1).tolist())
        need_cam(cam, (image.shape[0], image.shape[1]), present, self.name)
        return Seen(scores, chosen, cam)


def has_stage(run: Run, node: str) -> bool:
    """Is the result of `node` in the cache?"""
    return node in run.artefacts.directories


def has_classifier(run: Run) -> bool:
    """Did the run infer CAMs with a classifier of its own?"""
    if not has_stage(run, CAM):
        return False
    method = run.artefacts.node_config(CAM).get(_METHOD)
    cls: Any = load().registries.cam.get(method["type"]) if method else None
    return cls is not None and bool(cls.needs_classifier)


def has_segmenter(run: Run) -> bool:
    """Did the run train a segmentation network?"""
    return has_stage(run, SEGMENT)


def threshold_of(run: Run) -> float:
    """The background threshold at which the run scored its CAMs: fixed, or selected."""
    if has_stage(run, THRESHOLD):
        return read_selected(run.artefacts.directories[THRESHOLD])[0]
    fixed: Mapping[str, Any] = run.config[Evaluate.section]
    return float(fixed["threshold"])


def segment(
    run: Run, photos: Sequence[Path], device: str, workers: int, progress: Progress
) -> list[np.ndarray]:
    """The label maps, (H, W) uint8 each, of `photos` by the segmentation network of `run`."""
    artefacts = run.artefacts
    config = artefacts.node_config(SEGMENT)[Segment.section]
    segmenter = load().registries.segmenter.build(config, artefacts.dataset.classes)
    with TemporaryDirectory() as place:
        context = RunContext(Path(place), device, workers, 0, progress)
        items = [SegmentationItem(str(i), path) for i, path in enumerate(photos)]
        segmenter.predict(items, artefacts.directories[SEGMENT], context)
        return [read_label(Path(place) / f"{item.id}.png") for item in items]
