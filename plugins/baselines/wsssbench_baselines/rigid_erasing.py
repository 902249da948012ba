"""Classic adversarial erasing: what is left of the erased image has to be classified as before."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch.nn import functional as F

from wsssbench.interfaces import Batch, Classifier, Erasing, Losses, Output
from wsssbench.ops.cam import normalise
from wsssbench.ops.erase import foreground, hard_masked_image, masked_image


class RigidErasing(Erasing):
    """Erase what is most discriminative, classify the rest as before (Wei et al., CVPR 2017).

    Trained jointly with the classifier, as later methods do, instead of in rounds. It cannot know
    when to stop: of an object that is erased completely the label is still demanded, which is what
    over-expands the maps (AEFT, Table 3).

    Args:
        num_classes: K; supplied by the toolkit, not needed here.
        channels: of the backbone; supplied by the toolkit, not needed here.
        weight: of the erased image's binary cross-entropy.
        threshold: pixels whose foreground activation, in [0, 1], reaches it are erased. 0.6 is
            ACoL's (Zhang et al., CVPR 2018).
        mask: ``hard``: the unchanged image below `threshold`, 0 from there on. ``soft``: AEFT's
            eq. 7, where the image below `threshold` is also multiplied with the activation, through
            which the gradient passes.
        present_only: erase by the activations of the image's own classes, as the classic methods
            do; else of all K.
        start: share of the schedule that passes before anything is erased.

    Raises:
        ValueError: `weight` is negative or `threshold` not positive.
    """

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        weight: Annotated[float, Field(ge=0, le=1000)] = 1.0,
        threshold: Annotated[float, Field(gt=0, le=1)] = 0.6,
        mask: Literal["hard", "soft"] = "hard",
        present_only: bool = True,
        start: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= weight < float("inf"):
            raise ValueError(f"weight={weight} has to be 0 or a positive number")
        if not 0 < threshold < float("inf"):
            raise ValueError(
                f"threshold={threshold} has to be positive, activations being in [0, 1]"
            )
        if not 0 <= start < 1:
            raise ValueError(f"start={start} has to be a share of the schedule, in [0, 1)")
        self.start = start
        self.weight, self.threshold = weight, threshold
        self.mask, self.present_only = mask, present_only

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The term ``erased``: the weighted classification loss of the erased images."""
        if not self.weight or batch.progress < self.start:
            return Losses({})
        # Absent classes do not learn from a soft mask: their activation may be tiny, and the
        # gradient of eq. 1 grows as 1 / max(f).
        present = batch.labels[:, :, None, None] > 0
        cam = normalise(torch.where(present, output.maps, output.maps.detach()))  # (N, K, h, w)
        fg = foreground(cam, batch.labels if self.present_only else None)
        erase = hard_masked_image if self.mask == "hard" else masked_image
        erased: Output = classifier(erase(batch.images, fg, self.threshold))
        loss = F.binary_cross_entropy_with_logits(erased.logits.float(), batch.labels.float())
        return Losses({"erased": self.weight * loss})
