"""infer_cams: a trained classifier -> one CAM artefact ``<id>.npz`` per image.

Config: cam (component), splits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wsssbench.files.artefacts import read_cam, write_cam
from wsssbench.files.images import read_image
from wsssbench.interfaces import Cam, Cams, Dataset, TrainedClassifier
from wsssbench.interfaces.requirements import need_cam
from wsssbench.parallel import ranks
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.plugins import load
from wsssbench.progress import Progress
from wsssbench.registry import Registries
from wsssbench.stages import classify
from wsssbench.stages.handles import CamFiles, photos_of
from wsssbench.stages.stage import (
    IMPORTED_LABELS,
    Node,
    Nodes,
    SplitUse,
    StageKind,
    StageWork,
    at_one_scale,
    distinct,
    with_precision,
)
from wsssbench.training.rehearsal import on_tiny_images, tiny_photo

NODE = "cam"
LOOKED_AT = 50  # images, to tell a classifier that sees nothing


class CamItem(NamedTuple):
    """One image: its file, its image-level labels (K,), where its CAM goes."""

    image: Path
    labels: np.ndarray
    target: Path


class CamJob(ImageJob[CamItem]):
    """Infers one image's CAM with a trained classifier."""

    def __init__(self, cam: Mapping[str, Any], trained: TrainedClassifier, device: str) -> None:
        self.cam = dict(cam)
        self.trained = trained
        self.device = device

    def prepare(self) -> None:
        self.method = load().registries.cam.build(self.cam)
        self.classifier = self.trained.build().to(self.device).eval()

    def valid(self, path: Path) -> None:
        read_cam(path)

    def run(self, item: CamItem) -> None:
        image = read_image(item.image)
        cam = self.method.infer(self.classifier, image, item.labels)
        present = tuple((np.flatnonzero(item.labels) + 1).tolist())
        name = f"cam {self.cam['type']} on image '{item.target.stem}'"
        need_cam(cam, image.shape[:2], present, name)
        write_cam(item.target, cam)


class CamStage(StageKind):
    """The common part of the stages that leave CAMs: inferred here, or imported."""

    title = "CAM"

    def split_uses(self, config: Mapping[str, Any]) -> Mapping[str, SplitUse]:
        usual = " (usual: pseudo-labels are scored where they are made)"
        return {"evaluate": SplitUse("scores pseudo-labels", masks=True, shared=usual)}

    def handle(self, config: Mapping[str, Any], directory: Path, dataset: Dataset) -> Cams:
        return CamFiles(directory)

    def picture(self, directory: Path, id: str, split: str) -> np.ndarray | None:
        files = CamFiles(directory)
        return heat(files.read(id)) if files.path(id).is_file() else None

    def class_pictures(self, directory: Path, id: str) -> Mapping[int, np.ndarray]:
        files = CamFiles(directory)
        if not files.path(id).is_file():
            return {}
        cam = files.read(id)
        return {int(value): heat for value, heat in zip(cam.classes, cam.maps, strict=True)}


class InferCams(CamStage):
    """Infers the CAMs of an experiment that trains a classifier."""

    name = "infer_cams"
    section = "cam"
    required = True
    slots = {"cam": "cam"}

    def resolve(self, given: Any, config: Mapping[str, Any], registries: Registries) -> Any:
        return registries.cam.resolve(given, self.section)

    def smoke(self, section: Any) -> Any:
        return at_one_scale(section)

    def names(self, nodes: Nodes) -> Iterable[str]:
        imported = nodes.config["import_cams"] or nodes.config[IMPORTED_LABELS]
        return () if imported else (NODE,)

    def node(self, name: str, nodes: Nodes) -> Node:
        splits = distinct(nodes.split(key) for key in ("train", "evaluate", "heldout"))
        return Node(
            name=name,
            kind=self,
            config={"cam": nodes.config[self.section], "splits": splits},
            inputs={"classifier": nodes.need(classify.NODE).name},
            splits=splits,
            makes=Cams,
            title=self.title,
            scored=nodes.split("evaluate"),
        )

    def check(self, node: Node, dataset: Dataset, progress: Progress) -> None:
        load().registries.cam.build(node.config["cam"], where=self.section)

    def rehearse(self, work: StageWork, pretrained: bool) -> None:
        """Infer the CAMs of a tiny image."""
        if work.inputs["classifier"] is None:
            return
        classifier = work.inputs["classifier"].build().to(work.context.device).eval()
        stride = classifier.backbone.strides[-1]
        method = load().registries.cam.build(work.config["cam"])
        labels = np.zeros(classifier.num_classes, np.float32)
        labels[0] = 1
        on_tiny_images(
            lambda side: method.infer(classifier, tiny_photo(side), labels), 32 * stride, stride
        )

    def run(self, work: StageWork) -> dict[str, Any]:
        """Infer the CAMs of every image of the splits, for the classes in its image-level labels."""
        photos = photos_of(work.dataset, work.config["splits"])
        items = [
            CamItem(photo.path, photo.labels, work.directory / f"{photo.id}.npz")
            for photo in photos
        ]
        device = work.context.device
        job = CamJob(work.config["cam"], work.inputs["classifier"], device)
        run_images(job, items, work.context, "cam", in_process=device == "cuda")
        ranks.barrier()
        looked_at = [item.target for item in items if item.labels.any()][:LOOKED_AT]
        if looked_at and not any(read_cam(path).maps.any() for path in looked_at):
            work.context.progress.warn(
                f"the CAMs of {len(looked_at)} of {len(items)} images are empty: the classifier responds nowhere to "
                "the classes of its images. Has its training diverged? Its loss is in the report"
            )
        return {"images": len(items)}

    def card(self, node: Node, above: Mapping[str, Any]) -> dict[str, Any]:
        cam = node.config["cam"]
        views = {"scales": tuple(cam.get("scales", ())), "flip": bool(cam.get("flip", False))}
        entries = {**views, "crf": (), **above, "labels_at_inference": True}
        return with_precision(entries, "CAM", cam.get("amp"))


def heat(cam: Cam) -> np.ndarray:
    """Return the largest activation of any class at each place, (h, w) float in [0, 1]."""
    maps = cam.maps
    return maps.max(axis=0) if maps.size else np.zeros((1, 1), np.float32)
