"""classify: train the classifier on image-level labels. Writes ``weights.pth`` and ``scalars.jsonl``.

Config: classifier (backbone, pooling, erasing, dropout), transform, schedule, split, val, seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from wsssbench import ranks
from wsssbench.data.images import read_image
from wsssbench.data.jobs import single_thread
from wsssbench.data.torch_datasets import ImageLabels
from wsssbench.data.transforms import TrainTransform, normalise
from wsssbench.interfaces import Batch, Dataset, Erasing, Losses
from wsssbench.models.classifier import Classifier, build_classifier
from wsssbench.ops.ranking import average_precision
from wsssbench.stages.work import StageWork
from wsssbench.training.engine import Schedule, TrainingTask, seed_everything, train


class ClassificationTask(TrainingTask):
    """Binary cross-entropy on the image-level labels, plus what the erasing methods add."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, batch: dict[str, Tensor], progress: float) -> Losses:
        """`batch`: images (N, 3, H, W), labels (N, K)."""
        given = Batch(batch["images"], batch["labels"], progress)
        output = self.classifier(given.images)
        terms = {"loss_cls": F.binary_cross_entropy_with_logits(output.logits, given.labels)}
        log: dict[str, Tensor] = {}
        for i, erasing in enumerate(self.classifier.erasing):
            assert isinstance(erasing, Erasing)
            added = erasing.losses(self.classifier, given, output)
            tag = f"{i}." if len(self.classifier.erasing) > 1 else ""
            terms.update({f"{tag}{name}": value for name, value in added.terms.items()})
            log.update({f"{tag}{name}": value for name, value in added.log.items()})
        return Losses(terms, log)


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
    task = ClassificationTask(classifier)
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
    with single_thread(), torch.inference_mode():
        for i in mine:
            image = torch.from_numpy(normalise(read_image(dataset.image_path(ids[i]))))
            logits[i] = (
                classifier(image[None].to(work.context.device)).logits[0].float().cpu().numpy()
            )
    merged = {i: row for part in ranks.gather(logits) for i, row in part.items()}
    scores = np.stack([merged[i] for i in range(len(ids))])
    per_class = [
        average_precision(scores[:, k], labels[:, k] > 0)
        for k in range(labels.shape[1])
        if labels[:, k].any()
    ]
    return 100 * float(np.mean(per_class))
