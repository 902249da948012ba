"""OC-CSE: what is erased of one class, an ordinary classifier must not see any more, but still all others."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from wsssbench.interfaces import Batch, Classifier, Erasing, Losses, Output, TrainedClassifier
from wsssbench.parallel.whole_batch import maximum_of_all_ranks

FLOOR = 1e-5  # added to the maximum that divides

Weight = Annotated[float, Field(ge=0, le=1000)]


class OCCSE(Erasing):
    """Class-specific erasing with an ordinary classifier as guide (Kweon et al., ICCV 2021).

    Of each image one of its classes r is drawn. The mask is M = ReLU(up(f_r)) over the largest value in the whole
    batch, the erased image x (1 - M), where 0 is the mean colour. A guide that was trained before has to find the
    image's other classes in it, and r no more: binary cross-entropy with the labels without r. Its gradient passes the
    erased image and the mask, also where the mask is divided, and trains the maps; the guide stays as it is.

    This is how the released code (https://github.com/KAIST-vilab/OC-CSE) computes it. There the weight goes up once per
    epoch, here with every iteration; an image without a class, at which it stops, adds nothing here.

    Args:
        num_classes: K; supplied by the toolkit, not needed here.
        channels: of the backbone; supplied by the toolkit, not needed here.
        guide: a stage that trains the ordinary classifier, e.g. of an earlier chain: ``"ordinary.classify"``.
        weight: of the loss, at the beginning; the released code's.
        slope: by which the weight has grown in the end, in proportion to the progress; 0.05 per epoch of 15 in the
            released code.
    """

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        guide: TrainedClassifier,
        weight: Weight = 0.3,
        slope: Weight = 0.75,
    ) -> None:
        super().__init__()
        self.guide = guide.frozen()
        self.weight, self.slope = weight, slope

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The term ``others``: the weighted loss of the guide on the erased images."""
        chosen = torch.tensor(drawn_classes(batch), device=batch.labels.device)
        mask = erasing_mask(output.maps, chosen, (batch.images.shape[2], batch.images.shape[3]))
        logits = self.guide(batch.images * (1 - mask)).logits
        loss = loss_of_others(logits, batch.labels, chosen)
        return Losses({"others": (self.weight + self.slope * batch.progress) * loss})


def drawn_classes(batch: Batch) -> list[int]:
    """Draw one class of each image, each alike; -1 where it has none."""
    present = [np.flatnonzero(row) for row in batch.labels.cpu().numpy()]
    generators = batch.generators("OCCSE")
    return [
        int(one.choice(classes)) if len(classes) else -1
        for one, classes in zip(generators, present, strict=True)
    ]


def erasing_mask(maps: Tensor, chosen: Tensor, size: tuple[int, int]) -> Tensor:
    """M, (N, 1, H, W) in [0, 1): the `maps` (N, K, h, w) of the `chosen` classes (N,) enlarged to `size`.

    ReLU comes behind the enlargement; the maximum is that of the batch, under torchrun that of all ranks together. It
    is 0 for images of which no class is chosen (-1).
    """
    rows = torch.arange(len(maps), device=maps.device)
    own = maps[rows, chosen.clamp(min=0)][:, None]
    own = own.to(torch.promote_types(own.dtype, torch.float32))
    enlarged = F.interpolate(own, size, mode="bilinear", align_corners=False)
    positive = torch.where(chosen[:, None, None, None] < 0, 0, enlarged.relu())
    return positive / (maximum_of_all_ranks(positive) + FLOOR)


def loss_of_others(logits: Tensor, labels: Tensor, chosen: Tensor) -> Tensor:
    """Binary cross-entropy of the guide's `logits` (N, K) with `labels` (N, K) less the `chosen` classes (N,).

    The mean over classes and images; an image of which no class is chosen (-1) counts 0.
    """
    classes = torch.arange(labels.shape[1], device=labels.device)
    rest = torch.where(classes == chosen[:, None], 0, labels)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    loss = F.binary_cross_entropy_with_logits(logits, rest.to(logits.dtype), reduction="none")
    return (loss.mean(dim=1) * (chosen >= 0)).mean()
