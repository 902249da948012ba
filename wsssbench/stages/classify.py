"""classify: train the classifier on image-level labels. Writes ``weights.pth`` and ``scalars.jsonl``.

Config: classifier (backbone, pooling, erasing, dropout, hidden), transform, schedule, supervised_images, split, val,
seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from wsssbench.errors import UserError
from wsssbench.evaluation.ranking import average_precision
from wsssbench.files.images import read_image
from wsssbench.interfaces import Batch, Classifier, Dataset, Erasing, Losses
from wsssbench.models.classifier import build_classifier
from wsssbench.models.preprocess import normalise
from wsssbench.parallel import ranks
from wsssbench.parallel.jobs import single_thread
from wsssbench.stages.work import StageWork
from wsssbench.training.engine import Schedule, TrainingTask, seed_everything, train
from wsssbench.training.image_labels import ImageLabels
from wsssbench.training.schedule import equal_share
from wsssbench.training.transforms import TrainTransform


class ClassificationTask(TrainingTask):
    """Binary cross-entropy on the image-level labels, plus what the erasing methods add.

    Args:
        classifier: what is trained.
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
        """`batch`: images (N, 3, H, W), labels (N, K)."""
        given = Batch(batch["images"], batch["labels"], progress)
        output = self.classifier(given.images)
        logits, labels = output.logits[: self.supervised], given.labels[: self.supervised]
        terms = {"loss_cls": F.binary_cross_entropy_with_logits(logits, labels)}
        log: dict[str, Tensor] = {}
        for i, erasing in enumerate(self.classifier.erasing):
            assert isinstance(erasing, Erasing)
            added = erasing.losses(self.classifier, given, output)
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


def run(work: StageWork) -> dict[str, Any]:
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
        (f"classifier.{prefix}" for prefix in classifier.new_parameters()), schedule.new_layers_lr
    )
    task = ClassificationTask(classifier, config["supervised_images"])
    weights = train(task, data, schedule, work.context, faster, title="classify")
    task.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return {"val mAP": _mean_average_precision(task.classifier, dataset, config, work)}


def _mean_average_precision(
    classifier: Classifier, dataset: Dataset, config: Mapping[str, Any], work: StageWork
) -> float | None:
    """Per cent, over the classes that occur; whole images, one at a time (sizes differ)."""
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
    per_class = [
        average_precision(scores[:, k], labels[:, k] > 0)
        for k in range(labels.shape[1])
        if labels[:, k].any()
    ]
    return 100 * float(np.mean(per_class)) if per_class else None
