"""Adversarial erasing via triplet (eq. 6-11): the erased image stays near, other classes away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from wsssbench.errors import UserError
from wsssbench.interfaces import Batch, Erasing, Losses, Output
from wsssbench.ops.cam import normalise
from wsssbench.ops.erase import foreground, hard_masked_image, masked_image
from wsssbench_aeft.maths import (
    at_least_float32,
    embed,
    embed_low,
    hinge_over_negatives,
    negatives,
    squared_distance,
)

if TYPE_CHECKING:
    from wsssbench.models.classifier import Classifier


class AEFT(Erasing):
    """The triplet losses of AEFT (Yoon et al., ECCV 2022, section 3.4).

    The plugin's README says which switches make which row of the paper's tables.

    Args:
        num_classes: K; supplied by the toolkit.
        channels: of the backbone; supplied by the toolkit, not needed here.
        attract: weight lambda_1 of eq. 9. With 0 the classifier is not run on the erased image.
        repel: weight lambda_2 of eq. 10. With 0 no negatives are looked for.
        margin: epsilon of eq. 10.
        t_high: t_H of eq. 7: pixels whose foreground activation reaches it are erased. The paper
            gives no value; 0.6 is its released code's. Above 1, pixels are only dimmed.
        t_low: t_L of eq. 8: pixels whose class activation is below it make e_AL. Not in the paper
            either; 0.2 is its released code's.
        attraction: ``soft``: eq. 9. ``rigid`` (Table 3): the erased image has to be classified with
            the original labels, by binary cross-entropy with weight `attract`.
        embedding: ``indirect``: the spatial mean of the pooling's attention (GPP's P̂16).
            ``direct`` (Table 2): that of the class maps themselves.
        repelled: what is pushed away from the negative. ``low``: e_AL of eq. 8. ``full``: e_A
            (section 4.3).
        mask: ``soft``: eq. 7, image times activation below `t_high` and 0 from there on. ``hard``:
            the unchanged image below `t_high`.
        present_only: take the foreground of eq. 6 over the image's own classes only, as the
            released code does, instead of over all K.
        distance: the squares of eq. 9-10 are summed over the K classes, or averaged. The paper says
            both "mean squared error" and that the margin bounds the distance; between unit vectors
            the mean is at most 4 / K, below the margin of 0.5 for K > 8, so ``sum`` is the default.
        start: share of the schedule in which only the classification loss trains. 0 is the paper's;
            the released code starts after 18 of its 40 epochs.

    Raises:
        ValueError: a negative weight or margin, a threshold that is not positive.
    """

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        attract: float = 0.15,
        repel: float = 0.15,
        margin: float = 0.5,
        t_high: float = 0.6,
        t_low: float = 0.2,
        attraction: Literal["soft", "rigid"] = "soft",
        embedding: Literal["indirect", "direct"] = "indirect",
        repelled: Literal["low", "full"] = "low",
        mask: Literal["soft", "hard"] = "soft",
        present_only: bool = False,
        distance: Literal["sum", "mean"] = "sum",
        start: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value in (("attract", attract), ("repel", repel), ("margin", margin)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name}={value} has to be 0 or a positive number")
        for name, value in (("t_high", t_high), ("t_low", t_low)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name}={value} has to be positive, activations being in [0, 1]")
        if not 0 <= start < 1:
            raise ValueError(f"start={start} has to be a share of the schedule, in [0, 1)")
        self.start = start
        self.attract, self.repel, self.margin = attract, repel, margin
        self.t_high, self.t_low = t_high, t_low
        self.attraction, self.embedding, self.repelled = attraction, embedding, repelled
        self.mask, self.present_only, self.distance = mask, present_only, distance

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The terms ``attract`` and ``repel``, without those of weight 0.

        The log counts ``anchors_without_negative``. Negatives are looked for in `batch`: under
        torchrun, in the rank's own share of it.

        Raises:
            UserError: the indirect embedding with a pooling that has no attention.
        """
        if batch.progress < self.start:
            return Losses({})
        # Absent classes take part in eq. 6 but do not learn from it: their activation may be tiny,
        # and the gradient of eq. 1 grows as 1 / max(f).
        present = batch.labels[:, :, None, None] > 0
        maps = torch.where(present, output.maps, output.maps.detach())
        cam = normalise(at_least_float32(maps))  # eq. 1, (N, K, h, w)
        terms: dict[str, Tensor] = {}
        log: dict[str, Tensor] = {}
        if self.attract:
            terms["attract"] = self.attract * self._attract(classifier, batch, output, cam)
        if self.repel:
            chosen = negatives(batch.labels)
            terms["repel"] = self.repel * self._repel(classifier, output, cam, chosen)
            log["anchors_without_negative"] = (chosen < 0).sum().to(cam.dtype)
        return Losses(terms, log)

    def _attract(self, classifier: Classifier, batch: Batch, output: Output, cam: Tensor) -> Tensor:
        """Eq. 9, or the erased image's classification. A soft mask passes the gradient, too."""
        fg = foreground(cam, batch.labels if self.present_only else None)  # eq. 6
        erase = masked_image if self.mask == "soft" else hard_masked_image  # eq. 7
        erased: Output = classifier(erase(batch.images, fg, self.t_high))
        if self.attraction == "rigid":
            logits = at_least_float32(erased.logits)
            return F.binary_cross_entropy_with_logits(logits, batch.labels.to(logits.dtype))
        anchor, positive = (embed(self._embedded(classifier, o)) for o in (output, erased))
        return squared_distance(anchor, positive, self.distance == "mean").mean()

    def _repel(self, classifier: Classifier, output: Output, cam: Tensor, chosen: Tensor) -> Tensor:
        """Eq. 10; the whole batch is embedded once, a negative's e_N being its own e_A."""
        embedded = self._embedded(classifier, output)
        full = embed(embedded)
        pushed = full if self.repelled == "full" else embed_low(embedded, cam, self.t_low)
        return hinge_over_negatives(pushed, full, chosen, self.margin, self.distance == "mean")

    def _embedded(self, classifier: Classifier, output: Output) -> Tensor:
        """The (N, K, h, w) tensor whose spatial mean embeds an image."""
        if self.embedding == "direct":
            return at_least_float32(output.maps)
        if output.attention is None:
            raise UserError(
                "erasing AEFT: embedding='indirect' embeds the spatial attention of the pooling, "
                f"but {type(classifier.pooling).__name__} has none: use pooling GPP or "
                "embedding='direct'"
            )
        return at_least_float32(output.attention)
