"""infer_cams: a trained classifier, if it is needed, -> one artefact of CAM or scores ``<id>.npz`` per image.

Config: cam (component), splits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.files.artefacts import read_cam, read_scores, write_cam, write_scores
from wsssbench.files.images import image_size
from wsssbench.interfaces import (
    Cam,
    CamInference,
    Cams,
    Dataset,
    Photo,
    Scores,
    TrainedClassifier,
    photo_of,
)
from wsssbench.interfaces.requirements import need_cam, need_scores
from wsssbench.ops.label_map import label_map
from wsssbench.parallel import ranks
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.plugins import load
from wsssbench.progress import Progress
from wsssbench.registry import Registries
from wsssbench.stages import classify
from wsssbench.stages.classifier_rehearsal import artefacts_of
from wsssbench.stages.handles import CamFiles, ScoreFiles, files_of, photos_of
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
MANY_PASSES = 50  # of an image: from here on they are told, and processes pay for a few images


class CamItem(NamedTuple):
    """One image, and where its CAM goes."""

    photo: Photo
    target: Path


class CamJob(ImageJob[CamItem]):
    """Infers one image's CAM, or scores, with a trained classifier or with none.

    Args:
        cam: component.
        classes: K names.
        trained: None if the component needs no classifier.
        device: ``cpu`` or ``cuda``.
        seed: of the run, for a component that is random.
    """

    def __init__(
        self,
        cam: Mapping[str, Any],
        classes: tuple[str, ...],
        trained: TrainedClassifier | None,
        device: str,
        seed: int = 0,
    ) -> None:
        self.cam = dict(cam)
        self.classes = classes
        self.trained = trained
        self.device = device
        self.seed = seed
        self.slow = (_built(cam, classes).passes() or 0) >= MANY_PASSES

    def prepare(self) -> None:
        self.method = _built(self.cam, self.classes, self.seed)
        trained = self.trained
        self.classifier = None if trained is None else trained.build().to(self.device).eval()

    def valid(self, path: Path) -> None:
        (read_cam if _class(self.cam).gives is Cams else read_scores)(path)

    def run(self, item: CamItem) -> None:
        photo = item.photo
        made = self.method.infer(self.classifier, photo)
        size, present = image_size(photo.path), tuple((np.flatnonzero(photo.labels) + 1).tolist())
        name = f"cam {self.cam['type']} on image '{photo.id}'"
        if self.method.gives is Cams:
            need_cam(made, size, present, name)
            write_cam(item.target, made)
        else:
            need_scores(made, size, present, name, "infer()")
            write_scores(item.target, made)


class CamStage(StageKind):
    """The common part of the stages that leave CAMs: inferred here, or imported."""

    title = "CAM"

    def split_uses(self, config: Mapping[str, Any]) -> Mapping[str, SplitUse]:
        usual = " (usual: pseudo-labels are scored where they are made)"
        return {"evaluate": SplitUse("scores pseudo-labels", masks=True, shared=usual)}

    def handle(self, config: Mapping[str, Any], directory: Path, dataset: Dataset) -> Any:
        return CamFiles(directory)

    def picture(self, directory: Path, id: str, split: str) -> np.ndarray | None:
        return layer_over(directory, id)

    def class_pictures(self, directory: Path, id: str) -> Mapping[int, np.ndarray]:
        files = CamFiles(directory)
        if not files.path(id).is_file():
            return {}
        cam = cam_or_scores(directory, id)
        if isinstance(cam, Scores):
            return {}
        return {int(value): heat for value, heat in zip(cam.classes, cam.maps, strict=True)}


class InferCams(CamStage):
    """Infers the CAMs of an experiment that trains a classifier."""

    name = "infer_cams"
    section = "cam"
    required = True
    slots = {"cam": "cam"}

    def resolve(self, given: Any, config: Mapping[str, Any], registries: Registries) -> Any:
        resolved = registries.cam.resolve(given, self.section)
        if config[classify.Classify.section] is None and _class(resolved).needs_classifier:
            raise UserError("config: parameter 'classifier' (dict[str, Any]) has to be given")
        return resolved

    def smoke(self, section: Any) -> Any:
        return at_one_scale(_quick(section))

    def effort(self, node: Node, dataset: Dataset) -> str:
        component = node.config["cam"]
        passes = _built(component, dataset.classes).passes() or 0
        if passes < MANY_PASSES:
            return ""
        return (
            f"{node.name}: {component['type']} sees the pixels of an image with one class {passes:.0f} times (a plain "
            "CAM at four scales: 15); how long it takes is told after the first images, and finished ones are kept"
        )

    def names(self, nodes: Nodes) -> Iterable[str]:
        imported = nodes.config["import_cams"] or nodes.config[IMPORTED_LABELS]
        return () if imported else (NODE,)

    def node(self, name: str, nodes: Nodes) -> Node:
        splits = distinct(nodes.split(key) for key in ("train", "evaluate", "heldout"))
        cls = _class(nodes.config[self.section])
        need = {"classifier": classify.NODE} if cls.needs_classifier else {}
        return Node(
            name=name,
            kind=self,
            config={"cam": nodes.config[self.section], "splits": splits},
            inputs={role: nodes.need(one).name for role, one in need.items()},
            splits=splits,
            makes=cls.gives,
            title=self.title,
            scored=nodes.split("evaluate"),
        )

    def check(self, node: Node, dataset: Dataset, progress: Progress) -> None:
        load().registries.cam.build(node.config["cam"], dataset.classes, where=self.section)

    def rehearse(self, work: StageWork, pretrained: bool) -> None:
        """Infer the CAMs of a tiny image, if there is a classifier, and nothing is read that is there of real ones."""
        read = [one for one in artefacts_of(work.config) if not isinstance(one, TrainedClassifier)]
        if read or work.inputs.get("classifier") is None:
            return
        classifier = work.inputs["classifier"].build().to(work.context.device).eval()
        stride = classifier.backbone.strides[-1]
        method = _built(_quick(work.config["cam"]), work.dataset.classes)
        labels = np.zeros(classifier.num_classes, np.float32)
        labels[0] = 1
        on_tiny_images(
            lambda side: method.infer(classifier, photo_of(tiny_photo(side), labels)),
            32 * stride,
            stride,
        )

    def run(self, work: StageWork) -> dict[str, Any]:
        """Infer the CAMs of every image of the splits, for the classes in its image-level labels."""
        photos = photos_of(work.dataset, work.config["splits"])
        items = [CamItem(photo, work.directory / f"{photo.id}.npz") for photo in photos]
        device, component = work.context.device, work.config["cam"]
        trained, seed = work.inputs.get("classifier"), work.context.seed
        job = CamJob(component, work.dataset.classes, trained, device, seed)
        run_images(job, items, work.context, "cam", in_process=device == "cuda")
        ranks.barrier()
        looked_at = [item.target for item in items if item.photo.labels.any()][:LOOKED_AT]
        if (
            _class(component).gives is Cams
            and looked_at
            and not any(read_cam(path).maps.any() for path in looked_at)
        ):
            work.context.progress.warn(
                f"the CAMs of {len(looked_at)} of {len(items)} images are empty: the classifier responds nowhere to "
                "the classes of its images. Has its training diverged? Its loss is in the report"
            )
        return {"images": len(items)}

    def handle(self, config: Mapping[str, Any], directory: Path, dataset: Dataset) -> Any:
        return files_of(_class(config["cam"]).gives, directory)

    def card(self, node: Node, above: Mapping[str, Any]) -> dict[str, Any]:
        cam = node.config["cam"]
        views = {"scales": tuple(cam.get("scales", ())), "flip": bool(cam.get("flip", False))}
        entries = {**views, "crf": (), **above, "labels_at_inference": True}
        return with_precision(entries, "CAM", cam.get("amp"))


def heat(cam: Cam) -> np.ndarray:
    """Return the largest activation of any class at each place, (h, w) float in [0, 1]."""
    maps = cam.maps
    return maps.max(axis=0) if maps.size else np.zeros((1, 1), np.float32)


def cam_or_scores(directory: Path, id: str) -> Cam | Scores:
    """Read the file ``<id>.npz``, whichever of the two it is; CorruptArtefactError if it is neither."""
    try:
        return CamFiles(directory).read(id)
    except CorruptArtefactError:
        return ScoreFiles(directory).read(id)


def layer_over(directory: Path, id: str) -> np.ndarray | None:
    """Return the layer over the photo of `id`, see `StageKind.picture`: of a CAM, or of scores."""
    if not CamFiles(directory).path(id).is_file():
        return None
    made = cam_or_scores(directory, id)
    if isinstance(made, Cam):
        return heat(made)
    return label_map(made.planes, made.classes, made.size)


def with_seed(method: Any, seed: int) -> Any:
    """Return the CAM inference `method`, which draws its random numbers from `seed`, if it draws any."""
    if method.random:
        method.seed = seed
    return method


def _built(component: Mapping[str, Any], classes: tuple[str, ...], seed: int = 0) -> Any:
    return with_seed(load().registries.cam.build(component, classes), seed)


def _quick(component: Mapping[str, Any]) -> dict[str, Any]:
    """Return the resolved `component` with the parameters with which it takes moments."""
    return {**component, **_class(component).quick}


def _class(component: Mapping[str, Any]) -> type[CamInference]:
    return cast(type[CamInference], load().registries.cam.get(component["type"]))
