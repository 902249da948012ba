"""What one step of the classifier's training computes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from wsssbench.errors import UserError
from wsssbench.interfaces import Batch, Classifier, Losses
from wsssbench.interfaces.requirements import need_losses
from wsssbench.parallel import ranks
from wsssbench.training.schedule import equal_share
from wsssbench.training.task import TrainingTask


class ClassificationTask(TrainingTask):
    """Trains by binary cross-entropy on the image-level labels, plus the losses of the objectives.

    Args:
        classifier: the network to train.
        supervised_images: of a batch, over all ranks together, the first that many get the cross-entropy, every image
            if None. AEFT's released code has 8, of batches of 8 and later of 32. Ranks take the stream's images in
            turn, so the first ones of each are the first ones of all.
        seed: of the run, for the draws of objectives.
        views: of each photo, see `wsssbench.interfaces.Augmentation`.

    Raises:
        UserError: the ranks cannot share `supervised_images` equally.
    """

    def __init__(
        self,
        classifier: Classifier,
        supervised_images: int | None = None,
        seed: int = 0,
        views: int = 1,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.supervised = _share(supervised_images)
        self.seed, self.views = seed, views
        self.objectives = classifier.all_objectives()
        self.weight = math.prod(one.classification_weight for _, one in self.objectives)

    def forward(self, batch: Mapping[str, Any], progress: float) -> Losses:
        """Compute the losses of `batch`: images (N, 3, H, W), labels (N, K), perhaps ids, positions and planes."""
        given = Batch(
            batch["images"],
            batch["labels"],
            progress,
            tuple(batch.get("ids", ())),
            batch.get("positions"),
            batch.get("planes", {}),
            self.views,
            self.seed,
        )
        output = self.classifier(given.images, given.labels)
        logits, labels = output.logits[: self.supervised], given.labels[: self.supervised]
        loss = F.binary_cross_entropy_with_logits(logits, labels)
        terms = {"loss_cls": loss if self.weight == 1 else self.weight * loss}
        log: dict[str, Tensor] = {}
        for i, (name, objective) in enumerate(self.objectives):
            added = objective.losses(self.classifier, given, output)
            need_losses(added, component=name)
            tag = f"{i}." if len(self.objectives) > 1 else ""
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
