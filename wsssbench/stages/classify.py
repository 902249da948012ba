"""classify: train the classifier on image-level labels. Writes ``weights.pth`` and ``scalars.jsonl``.

Config: classifier (backbone, pooling, erasing, dropout, hidden), transform, schedule, supervised_images, split, val,
seed.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from wsssbench.errors import IncompatibleError, UserError
from wsssbench.evaluation.ranking import average_precision
from wsssbench.files.images import read_image
from wsssbench.interfaces import (
    Batch,
    Classifier,
    Dataset,
    Erasing,
    Losses,
    Output,
    TrainedClassifier,
)
from wsssbench.interfaces.requirements import BrokenContractError, need_losses
from wsssbench.models.classifier import build_classifier
from wsssbench.models.preprocess import normalise
from wsssbench.parallel import ranks
from wsssbench.parallel.jobs import single_thread
from wsssbench.progress import Progress
from wsssbench.registry import Registries, check_parameters
from wsssbench.stages.handles import ClassifierFile
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
from wsssbench.training.engine import seed_everything, train
from wsssbench.training.loading import ImageLabels
from wsssbench.training.rehearsal import (
    check_crop,
    images_per_step,
    on_tiny_images,
    tiny_photo,
    training_step,
)
from wsssbench.training.schedule import BatchSize, Schedule, equal_share
from wsssbench.training.task import TrainingTask
from wsssbench.training.transforms import TrainTransform

NODE = "classify"
# The keys of the section that define the network.
ARCHITECTURE = ("backbone", "pooling", "erasing", "dropout", "hidden")


@dataclass(frozen=True, kw_only=True)
class ClassifierSection:
    """The network: backbone -> dropout (-> 1x1 to `hidden` channels) -> 1x1 head -> maps -> pooling, beside any number
    of erasings. The first `supervised_images` of a batch get the classification loss; None: all."""

    backbone: dict[str, Any]
    pooling: dict[str, Any]
    erasing: tuple[dict[str, Any], ...] = ()
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    hidden: Annotated[int, Field(ge=0, le=8192)] = 0
    supervised_images: BatchSize | None = None
    transform: dict[str, Any]
    schedule: dict[str, Any]


class Classify(StageKind):
    """Trains the classifier, unless the experiment starts from another repository's CAMs."""

    name = "classify"
    section = "classifier"
    required = True
    slots = {"classifier.backbone": "backbone", "classifier.pooling": "pooling"}
    lists = {"classifier.erasing": "erasing"}
    plain = {
        "classifier": ClassifierSection,
        "classifier.transform": TrainTransform,
        "classifier.schedule": Schedule,
    }
    random = True

    def resolve(self, given: Any, config: Mapping[str, Any], registries: Registries) -> Any:
        if isinstance(given, Mapping) and isinstance(given.get("erasing", ()), Mapping):
            raise UserError(
                "classifier.erasing is a dict, but has to be a list: [dict(type='Name', ...)]"
            )
        checked = check_parameters(ClassifierSection, given, "classifier")
        for slot in ("backbone", "pooling"):
            checked[slot] = registries[slot].resolve(checked[slot], f"classifier.{slot}")
        checked["erasing"] = [
            registries.erasing.resolve(item, f"classifier.erasing.{i}")
            for i, item in enumerate(checked["erasing"])
        ]
        for part, cls in (("transform", TrainTransform), ("schedule", Schedule)):
            checked[part] = check_parameters(cls, checked[part], f"classifier.{part}")
        Schedule.from_config(checked["schedule"], "classifier.schedule")
        return checked

    def smoke(self, section: Any) -> Any:
        return with_short_training(section)

    def names(self, nodes: Nodes) -> Iterable[str]:
        imported = nodes.config["import_cams"] or nodes.config[IMPORTED_LABELS]
        return () if imported else (NODE,)

    def split_uses(self, config: Mapping[str, Any]) -> Mapping[str, SplitUse]:
        if config["import_cams"] or config.get(IMPORTED_LABELS):
            return {}
        return {"train": SplitUse("trains", trains=True), "val": SplitUse("watched")}

    def node(self, name: str, nodes: Nodes) -> Node:
        section = nodes.config[self.section]
        train, val = nodes.split("train"), nodes.split("val")
        return Node(
            name=name,
            kind=self,
            config={
                "classifier": {key: section[key] for key in ARCHITECTURE},
                "transform": section["transform"],
                "schedule": section["schedule"],
                "supervised_images": section["supervised_images"],
                "split": train,
                "val": val,
            },
            splits=distinct((train, val)),
            makes=TrainedClassifier,
        )

    def rehearse(self, work: StageWork, pretrained: bool) -> TrainedClassifier:
        """Do one training step: the methods have to go together. The classifier is a stand-in for the trained one."""
        config, device = work.config, work.context.device
        schedule = Schedule.from_config(config["schedule"], "classifier.schedule")
        images = images_per_step(schedule, device, "classifier.schedule")
        num_classes = len(work.dataset.classes)
        classifier = build_classifier(config["classifier"], num_classes, pretrained=pretrained)
        crop, stride = config["transform"]["crop"], classifier.backbone.strides[-1]
        check_crop(crop, stride, "classifier.transform.crop")
        task = ClassificationTask(classifier, config["supervised_images"])
        labels = torch.eye(images, num_classes)

        def attempt(side: int) -> None:
            photos = np.stack([normalise(tiny_photo(side))] * images)
            batch = {"images": torch.from_numpy(photos), "labels": labels}
            training_step(task, batch, schedule, device)

        try:
            _tell_warnings(classifier, crop, images, work.context.progress)
            on_tiny_images(attempt, crop, stride)
        except BrokenContractError:
            raise
        except UserError as error:
            raise IncompatibleError(error.whole) from error
        return Rehearsed(work.directory, classifier)

    def run(self, work: StageWork) -> dict[str, Any]:
        """Train, then report the mean average precision of the image-level predictions on the val split."""
        config, dataset = work.config, work.dataset
        seed_everything(work.context.seed)
        classifier = build_classifier(config["classifier"], len(dataset.classes))
        ids = dataset.ids(config["split"])
        data = ImageLabels(
            [dataset.image_path(id) for id in ids],
            dataset.labels(config["split"]),
            TrainTransform(**config["transform"]),
            work.context.seed,
        )
        schedule = Schedule.from_config(config["schedule"], "classifier.schedule")
        faster = dict.fromkeys(
            (f"classifier.{path}" for path in classifier.new_layers()),
            schedule.new_layers_lr,
        )
        task = ClassificationTask(classifier, config["supervised_images"])
        weights = train(task, data, schedule, work.context, faster, title="classify")
        load_weights(task, weights)
        return {"val mAP": _mean_average_precision(task.classifier, work)}

    def handle(
        self, config: Mapping[str, Any], directory: Path, dataset: Dataset
    ) -> TrainedClassifier:
        return ClassifierFile(directory, config["classifier"], len(dataset.classes))

    def card(self, node: Node, above: Mapping[str, Any]) -> dict[str, Any]:
        start = {"initial weights": {"backbone": node.config["classifier"]["backbone"]}}
        return with_precision(start, self.section, node.config["schedule"]["amp"])


@dataclass(frozen=True)
class Rehearsed(TrainedClassifier):
    """A classifier of one training step, which stands for the trained one in rehearsals."""

    classifier: Classifier

    def build(self) -> Classifier:
        return self.classifier

    def frozen(self) -> Callable[[Tensor], Output]:
        classifier = copy.deepcopy(self.classifier).requires_grad_(False).eval()
        return lambda images: cast(Output, classifier(images))


def _tell_warnings(classifier: Classifier, crop: int, images: int, progress: Progress) -> None:
    """Show what the pooling has to say about the maps of a crop, e.g. that they are smaller than a bin."""
    backbone = classifier.backbone
    features = [
        torch.zeros(images, channels, -(-crop // stride), -(-crop // stride))
        for channels, stride in zip(backbone.channels, backbone.strides, strict=True)
    ]
    with warnings.catch_warnings(record=True) as said, torch.no_grad():
        warnings.simplefilter("always", UserWarning)
        classifier.train().classify(tuple(features))
    for text in dict.fromkeys(str(warning.message) for warning in said):
        progress.warn(f"{NODE}: {text}")


class ClassificationTask(TrainingTask):
    """Trains by binary cross-entropy on the image-level labels, plus the losses of the erasing methods.

    Args:
        classifier: the network to train.
        supervised_images: of a batch, over all ranks together, the first that many get the cross-entropy, every image
            if None. AEFT's released code has 8, of batches of 8 and later of 32. Ranks take the stream's images in
            turn, so the first ones of each are the first ones of all.

    Raises:
        UserError: the ranks cannot share `supervised_images` equally.
    """

    def __init__(self, classifier: Classifier, supervised_images: int | None = None) -> None:
        super().__init__()
        self.classifier = classifier
        self.supervised = _share(supervised_images)

    def forward(self, batch: dict[str, Tensor], progress: float) -> Losses:
        """Compute the losses of `batch`: images (N, 3, H, W), labels (N, K)."""
        given = Batch(batch["images"], batch["labels"], progress)
        output = self.classifier(given.images)
        logits, labels = output.logits[: self.supervised], given.labels[: self.supervised]
        terms = {"loss_cls": F.binary_cross_entropy_with_logits(logits, labels)}
        log: dict[str, Tensor] = {}
        for i, erasing in enumerate(self.classifier.erasing):
            assert isinstance(erasing, Erasing)
            added = erasing.losses(self.classifier, given, output)
            need_losses(added, component=f"erasing {type(erasing).__name__}")
            tag = f"{i}." if len(self.classifier.erasing) > 1 else ""
            terms.update({f"{tag}{name}": value for name, value in added.terms.items()})
            log.update({f"{tag}{name}": value for name, value in added.log.items()})
        return Losses(terms, log)


def _share(supervised_images: int | None) -> int | None:
    if supervised_images is None:
        return None
    if supervised_images < 1:
        raise UserError(
            f"classifier.supervised_images={supervised_images} has to be at least 1, or None for all"
        )
    return equal_share("classifier.supervised_images", supervised_images, ranks.world_size())


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
