"""infer_cams: trained classifier -> one CAM artefact ``<id>.npz`` per image.

Config: cam (component), classifier (backbone, pooling, erasing, dropout), splits.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from wsssbench.files.artefacts import read_cam, write_cam
from wsssbench.files.images import read_image
from wsssbench.interfaces import Classifier
from wsssbench.models.classifier import build_classifier
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.plugins import load
from wsssbench.stages.work import StageWork, ids_of


class CamItem(NamedTuple):
    """One image: its file, its image-level labels (K,), where its CAM goes."""

    image: Path
    labels: np.ndarray
    target: Path


class CamJob(ImageJob[CamItem]):
    """Infers one image's CAM with the classifier in `weights`."""

    def __init__(
        self, config: Mapping[str, Any], num_classes: int, weights: Path, device: str
    ) -> None:
        self.config = dict(config)
        self.num_classes = num_classes
        self.weights = weights
        self.device = device

    def prepare(self) -> None:
        self.method = load().registries.cam.build(self.config["cam"])
        self.classifier = load_classifier(self.config["classifier"], self.num_classes, self.weights)
        self.classifier.to(self.device).eval()

    def target(self, item: CamItem) -> Path:
        return item.target

    def valid(self, path: Path) -> None:
        read_cam(path)

    def run(self, item: CamItem) -> None:
        cam = self.method.infer(self.classifier, read_image(item.image), item.labels)
        write_cam(item.target, cam)


def load_classifier(config: Mapping[str, Any], num_classes: int, weights: Path) -> Classifier:
    """The classifier of `config` with what `classify` trained."""
    classifier = build_classifier(config, num_classes, pretrained=False)
    state = torch.load(weights, map_location="cpu", weights_only=True)
    classifier.load_state_dict(
        {name.removeprefix("classifier."): value for name, value in state.items()}
    )
    return classifier


def run(work: StageWork) -> dict[str, Any]:
    """CAMs of every image of the splits, for the classes in its image-level labels."""
    dataset = work.dataset
    labels = {
        (split, id): row
        for split in work.config["splits"]
        for id, row in zip(dataset.ids(split), dataset.labels(split), strict=True)
    }
    items = [
        CamItem(dataset.image_path(id), labels[split, id], work.directory / f"{id}.npz")
        for id, split in ids_of(dataset, work.config["splits"])
    ]
    weights = work.inputs["classify"] / "weights.pth"
    job = CamJob(work.config, len(dataset.classes), weights, work.context.device)
    run_images(job, items, work.context, "cam", in_process=work.context.device == "cuda")
    return {"images": len(items)}
