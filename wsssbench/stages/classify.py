"""classify: train the classifier on image-level labels. Writes ``weights.pth`` and ``scalars.jsonl``.

Config: classifier (backbone, pooling, erasing, objectives, dropout, hidden), augment, transform, schedule,
supervised_images, split, val, seed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from wsssbench.errors import IncompatibleError, UserError
from wsssbench.evaluation.ranking import average_precision
from wsssbench.files.images import read_image
from wsssbench.interfaces import Augmentation, Classifier, Dataset, TrainedClassifier
from wsssbench.interfaces.requirements import BrokenContractError
from wsssbench.models.classifier import LISTS, build_classifier, take_over, without_weights
from wsssbench.models.preprocess import normalise
from wsssbench.parallel import ranks
from wsssbench.parallel.jobs import single_thread
from wsssbench.plugins import load
from wsssbench.progress import Progress
from wsssbench.registry import Registries, check_parameters
from wsssbench.stages.classifier_rehearsal import Rehearsed, TinyBatches, tell_warnings
from wsssbench.stages.handles import ClassifierFile, photos_of
from wsssbench.stages.stage import (
    IMPORTED_LABELS,
    Node,
    Nodes,
    SplitUse,
    StageKind,
    StageWork,
    distinct,
    with_precision,
    with_short_training,
)
from wsssbench.training.checkpoints import REMEDY, load_weights
from wsssbench.training.classification import ClassificationTask
from wsssbench.training.engine import seed_everything, train
from wsssbench.training.loading import ImageLabels, collate_views
from wsssbench.training.rehearsal import (
    check_crop,
    images_per_step,
    on_tiny_images,
    training_step,
)
from wsssbench.training.schedule import BatchSize, Schedule
from wsssbench.training.transforms import TrainTransform

NODE = "classify"
# The keys of the section that define the network.
ARCHITECTURE = ("backbone", "pooling", *LISTS, "dropout", "hidden")
INIT = "classifier.init"  # also the role under which the classifier that it starts from is read


@dataclass(frozen=True, kw_only=True)
class ClassifierSection:
    """The network: backbone -> dropout (-> 1x1 to `hidden` channels) -> 1x1 head -> maps -> pooling, beside any number
    of erasing methods and objectives. The first `supervised_images` of a batch get the classification loss; None: all.
    `augment` changes photos before `transform`. `init` names a stage whose classifier it starts from.
    """

    backbone: dict[str, Any]
    pooling: dict[str, Any]
    erasing: tuple[dict[str, Any], ...] = ()
    objectives: tuple[dict[str, Any], ...] = ()
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    hidden: Annotated[int, Field(ge=0, le=8192)] = 0
    init: TrainedClassifier | None = None
    supervised_images: BatchSize | None = None
    augment: tuple[dict[str, Any], ...] = ()
    transform: dict[str, Any]
    schedule: dict[str, Any]


class Classify(StageKind):
    """Trains the classifier, unless the experiment starts from another repository's CAMs."""

    name = "classify"
    section = "classifier"
    slots = {"classifier.backbone": "backbone", "classifier.pooling": "pooling"}
    lists = {
        "classifier.erasing": "erasing",
        "classifier.objectives": "objective",
        "classifier.augment": "augmentation",
    }
    plain = {
        "classifier": ClassifierSection,
        "classifier.transform": TrainTransform,
        "classifier.schedule": Schedule,
    }
    random = True
    trains = "classifier"

    def resolve(self, given: Any, config: Mapping[str, Any], registries: Registries) -> Any:
        if given is None:  # the CAMs' stage asks for it if it needs one
            return None
        kinds = {place.rpartition(".")[2]: kind for place, kind in self.lists.items()}
        for key in kinds:
            there = given.get(key, ()) if isinstance(given, Mapping) else ()
            if not isinstance(there, (list, tuple)) or not all(
                isinstance(i, Mapping) for i in there
            ):
                raise UserError(
                    f"classifier.{key}={there!r} has to be a list of components: [dict(type='Name', ...)]"
                )
        checked = check_parameters(ClassifierSection, given, "classifier")
        for slot in ("backbone", "pooling"):
            checked[slot] = registries[slot].resolve(checked[slot], f"classifier.{slot}")
        for key, kind in kinds.items():
            checked[key] = [
                registries[kind].resolve(item, f"classifier.{key}.{i}")
                for i, item in enumerate(checked[key])
            ]
        for part, cls in (("transform", TrainTransform), ("schedule", Schedule)):
            checked[part] = check_parameters(cls, checked[part], f"classifier.{part}")
        Schedule.from_config(checked["schedule"], "classifier.schedule")
        return checked

    def smoke(self, section: Any) -> Any:
        return with_short_training(section)

    def names(self, nodes: Nodes) -> Iterable[str]:
        return (NODE,) if _is_wanted(nodes.config) else ()

    def lazy_names(self, nodes: Nodes) -> Iterable[str]:
        config = nodes.config
        imported = config["import_cams"] or config[IMPORTED_LABELS]
        return () if imported or not config[self.section] or _is_wanted(config) else (NODE,)

    def split_uses(self, config: Mapping[str, Any]) -> Mapping[str, SplitUse]:
        if not _is_wanted(config):
            return {}
        return {"train": SplitUse("trains", trains=True), "val": SplitUse("watched")}

    def node(self, name: str, nodes: Nodes) -> Node:
        section = nodes.config[self.section]
        train, val = nodes.split("train"), nodes.split("val")
        network = {key: section[key] for key in ARCHITECTURE}
        inputs = {}
        if section["init"] is not None:
            inputs[INIT] = _started_from(section["init"], nodes).name
            place = f"{self.section}.backbone"
            network["backbone"] = without_weights(network["backbone"], place)
        return Node(
            name=name,
            kind=self,
            inputs=inputs,
            config={
                "classifier": network,
                "augment": section["augment"],
                "transform": section["transform"],
                "schedule": section["schedule"],
                "supervised_images": section["supervised_images"],
                "split": train,
                "val": val,
            },
            splits=distinct((train, val)),
            makes=TrainedClassifier,
        )

    def check(self, node: Node, dataset: Dataset, progress: Progress) -> None:
        _augmentations(node.config)

    def rehearse(self, work: StageWork, pretrained: bool) -> TrainedClassifier:
        """Do one training step: the methods have to go together. The classifier is a stand-in for the trained one."""
        config, device = work.config, work.context.device
        schedule = Schedule.from_config(config["schedule"], "classifier.schedule")
        images = images_per_step(schedule, device, "classifier.schedule")
        classifier, _ = _network(work, pretrained)
        crop, stride = config["transform"]["crop"], classifier.backbone.strides[-1]
        check_crop(crop, stride, "classifier.transform.crop")
        tiny = TinyBatches(work, images)
        task = ClassificationTask(classifier, config["supervised_images"], views=tiny.views)
        warn = work.context.progress.warn
        try:
            tell_warnings(classifier, crop, images, lambda text: warn(f"{NODE}: {text}"))
            on_tiny_images(
                lambda side: training_step(task, tiny.batch(side), schedule, device), crop, stride
            )
        except BrokenContractError:
            raise
        except UserError as error:
            raise IncompatibleError(error.whole) from error
        return Rehearsed(work.directory, classifier)

    def run(self, work: StageWork) -> dict[str, Any]:
        """Train, then report the mean average precision of the image-level predictions on the val split."""
        config, dataset = work.config, work.dataset
        seed_everything(work.context.seed)
        classifier, new = _network(work)
        data = ImageLabels(
            photos_of(dataset, (config["split"],)),
            TrainTransform(**config["transform"]),
            work.context.seed,
            _augmentations(config),
        )
        schedule = Schedule.from_config(config["schedule"], "classifier.schedule")
        faster = dict.fromkeys(
            (f"classifier.{path}" for path in new),
            schedule.new_layers_lr,
        )
        task = ClassificationTask(
            classifier, config["supervised_images"], work.context.seed, data.views
        )
        weights = train(
            task, data, schedule, work.context, faster, title="classify", collate=collate_views
        )
        load_weights(task, weights)
        return {"val mAP": _mean_average_precision(task.classifier, work)}

    def handle(
        self, config: Mapping[str, Any], directory: Path, dataset: Dataset
    ) -> TrainedClassifier:
        return ClassifierFile(directory, config["classifier"], len(dataset.classes))

    def card(self, node: Node, above: Mapping[str, Any]) -> dict[str, Any]:
        network = node.config["classifier"]
        card: dict[str, Any] = {"initial weights": {"backbone": network["backbone"]}}
        if INIT in node.inputs:  # from random weights, if it was not that one's
            card = {"initial weights": above["initial weights"], "starts from": node.inputs[INIT]}
        card = with_precision(card, self.section, node.config["schedule"]["amp"])
        weight = _classification_weight(network)
        return card if weight == 1 else {**card, "classification weight": weight}


def _started_from(name: str, nodes: Nodes) -> Node:
    node = nodes.need(name, by=INIT)
    if node.makes is None or not issubclass(node.makes, TrainedClassifier):
        made = "leaves nothing to read" if node.makes is None else f"makes {node.makes.called}"
        raise UserError(
            f"{INIT}='{name}' has to be the name of a stage that makes a classifier, but {node.name} {made}"
        )
    return node


def _network(work: StageWork, pretrained: bool = True) -> tuple[Classifier, Collection[str]]:
    """Build the classifier, with the weights of the one that it starts from, if there is one.

    Returns:
        It, and the first parts of the names of its parameters that start from random values.
    """
    config, start = work.config["classifier"], work.inputs.get(INIT)
    pretrained = pretrained and INIT not in work.inputs
    classifier = build_classifier(config, len(work.dataset.classes), pretrained=pretrained)
    if start is None:
        return classifier, classifier.new_layers()
    new = take_over(classifier, start.build(), INIT)
    if new:
        work.context.progress.say(
            f"{work.name}: {', '.join(new)} of the classifier start from random values, as {INIT} has none of these"
        )
    return classifier, new


def _augmentations(config: Mapping[str, Any]) -> list[Augmentation]:
    build = load().registries.augmentation.build
    return [build(one, where=f"classifier.augment[{i}]") for i, one in enumerate(config["augment"])]


def _classification_weight(network: Mapping[str, Any]) -> float:
    """Return the weight of the classification loss that the components of the config `network` set together."""
    name, registries = "classification_weight", load().registries
    given = (
        float(one.get(name, getattr(registries[kind].get(one["type"]), name)))
        for key, kind in LISTS.items()
        for one in network.get(key, ())
    )
    return math.prod(given)


def _mean_average_precision(classifier: Classifier, work: StageWork) -> float | None:
    """Return the mean AP on the val split in per cent, over the classes that occur; one whole image at a time."""
    dataset, config = work.dataset, work.config
    if not config["val"]:
        return None
    ids = dataset.ids(config["val"])
    labels = dataset.labels(config["val"])
    classifier.to(work.context.device).eval()
    mine = ranks.shard(range(len(ids)))
    logits: dict[int, np.ndarray] = {}
    track = work.context.progress.track("val mAP", total=len(mine))
    with single_thread(), torch.inference_mode(), track as task:
        for i in mine:
            image = torch.from_numpy(normalise(read_image(dataset.image_path(ids[i]))))
            output = classifier(image[None].to(work.context.device))
            logits[i] = output.logits[0].float().cpu().numpy()
            task.advance()
    merged = {i: row for part in ranks.gather(logits) for i, row in part.items()}
    scores = np.stack([merged[i] for i in range(len(ids))])
    if not np.isfinite(scores).all():
        raise UserError(
            f"{NODE}: its logits for images of '{config['val']}' are not finite, so the training has diverged: "
            f"{REMEDY}"
        )
    per_class = [
        average_precision(scores[:, k], labels[:, k] > 0)
        for k in range(labels.shape[1])
        if labels[:, k].any()
    ]
    return 100 * float(np.mean(per_class)) if per_class else None


def _is_wanted(config: Mapping[str, Any]) -> bool:
    """Are CAMs inferred here, by a method that needs a classifier?"""
    if config["import_cams"] or config.get(IMPORTED_LABELS):
        return False
    method: Any = load().registries.cam.get(config["cam"]["type"])
    return bool(method.needs_classifier)
