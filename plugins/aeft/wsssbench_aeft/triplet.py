"""Adversarial erasing via triplet (eq. 6-11): the erased image stays near, other classes away."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from wsssbench.errors import UserError
from wsssbench.interfaces import Batch, Classifier, Erasing, Losses, Output
from wsssbench.ops.cam import normalise
from wsssbench.ops.erase import foreground, hard_masked_image, masked_image
from wsssbench.parallel.whole_batch import as_mean_over_ranks, of_all_ranks
from wsssbench_aeft.maths import (
    at_least_float32,
    embed,
    embed_low,
    mean_where,
    negatives,
    squared_distance,
)

# What the released code does otherwise: `AEFTReleased` says how.
Difference = Literal[
    "activation", "mask_size", "attract_distance", "attract_norm", "attract_relu",
    "attract_classes", "repel_norm", "repel_classes", "repel_rows", "negative", "negative_region",
]  # fmt: skip

Weight = Annotated[float, Field(ge=0, le=1000)]
Share = Annotated[float, Field(ge=0, lt=1)]
Threshold = Annotated[float, Field(gt=0, le=1)]  # of activations, which are in [0, 1]


class AEFT(Erasing):
    """The triplet losses of AEFT (Yoon et al., ECCV 2022, section 3.4).

    The plugin's README says which parameters make which row of the paper's tables. `AEFTReleased`
    has the losses of the released code.

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
        ValueError: a negative weight or margin, a threshold that is not positive, a `start` outside
            of [0, 1).
    """

    former_parameters: ClassVar[dict[str, str]] = {
        name: "type='AEFTReleased' does it as the released code, "
        f"and with paper=('{name}',) as the paper"
        for name in get_args(Difference)
    }

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        attract: Weight = 0.15,
        repel: Weight = 0.15,
        margin: Weight = 0.5,
        t_high: Threshold = 0.6,
        t_low: Threshold = 0.2,
        attraction: Literal["soft", "rigid"] = "soft",
        embedding: Literal["indirect", "direct"] = "indirect",
        repelled: Literal["low", "full"] = "low",
        mask: Literal["soft", "hard"] = "soft",
        present_only: bool = False,
        distance: Literal["sum", "mean"] = "sum",
        start: Share = 0.0,
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
        self.attract, self.repel, self.margin = attract, repel, margin
        self.t_high, self.t_low, self.start = t_high, t_low, start
        self.attraction, self.embedding, self.repelled = attraction, embedding, repelled
        self.mask, self.present_only, self.distance = mask, present_only, distance

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The terms ``attract`` and ``repel`` of eq. 11, without those of weight 0.

        Negatives are looked for in the batch, under torchrun in that of all ranks together; the log
        counts ``anchors_without_negative`` there.

        Raises:
            UserError: the indirect embedding with a pooling that has no attention.
        """
        if batch.progress < self.start:
            return Losses({})
        # Absent classes take part in eq. 6 but do not learn from it: their activation may be tiny,
        # and the gradient of eq. 1 grows as 1 / max(f).
        present = batch.labels[:, :, None, None] > 0
        maps = at_least_float32(torch.where(present, output.maps, output.maps.detach()))  # f
        terms: dict[str, Tensor] = {}
        log: dict[str, Tensor] = {}
        if self.attract:
            erased: Output = classifier(self.erase(batch.images, self.foreground(maps, batch)))
            if self.attraction == "rigid":
                loss = self.rigid_loss(erased.logits, batch.labels)
            else:
                loss = self.attract_loss(
                    self.space(classifier, output), self.space(classifier, erased), batch.labels
                )
            terms["attract"] = self.attract * loss
        if self.repel:
            chosen = self.choose(of_all_ranks(batch.labels), batch)
            e_al, e_n = self.repel_embeddings(
                self.space(classifier, output), self.activation(maps), batch.labels
            )
            # Every image of the batch, also of another rank, may be the negative of one.
            loss = self.repel_loss(of_all_ranks(e_al), of_all_ranks(e_n), chosen)
            terms["repel"] = self.repel * as_mean_over_ranks(loss)
            log["anchors_without_negative"] = (chosen < 0).sum().to(maps.dtype)
        return Losses(terms, log)

    def activation(self, maps: Tensor) -> Tensor:
        """Eq. 1, A = ReLU(f) / max ReLU(f): in [0, 1], as `maps` (N, K, h, w)."""
        return normalise(maps)

    def foreground(self, maps: Tensor, batch: Batch) -> Tensor:
        """Eq. 6, A^fg = max_k A^k, (N, 1, h, w); of `maps` (N, K, h, w)."""
        return foreground(self.activation(maps), batch.labels if self.present_only else None)

    def erase(self, images: Tensor, fg: Tensor) -> Tensor:
        """Eq. 7, I_P = A^fg I_A where A^fg < t_H, else 0; the gradient passes the soft mask, too."""
        erase = masked_image if self.mask == "soft" else hard_masked_image
        return erase(images, fg, self.t_high)

    def space(self, classifier: Classifier, output: Output) -> Tensor:
        """P̂16 or f: the tensor (N, K, h, w) whose spatial mean embeds an image."""
        if self.embedding == "direct":
            return at_least_float32(output.maps)
        if output.attention is None:
            raise UserError(
                f"erasing {type(self).__name__}: embedding='indirect' embeds the spatial attention "
                f"of the pooling, but {type(classifier.pooling).__name__} has none: use pooling GPP "
                "or embedding='direct'"
            )
        return at_least_float32(output.attention)

    def attract_loss(self, anchor: Tensor, erased: Tensor, labels: Tensor) -> Tensor:
        """Eq. 9, L_attract = ||e_A - e_P||^2, the mean over the batch; of two `space` tensors."""
        e_a = self.attract_embedding(anchor, labels)
        e_p = self.attract_embedding(erased, labels)
        return self.attract_distance(e_a, e_p).mean()

    def rigid_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Table 3, in place of eq. 9: classify the erased image by the original labels."""
        logits = at_least_float32(logits)
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))

    def attract_embedding(self, space: Tensor, labels: Tensor) -> Tensor:
        """e_A or e_P of eq. 9, (N, K), for anchors with `labels` (N, K)."""
        return embed(space)

    def attract_distance(self, e_a: Tensor, e_p: Tensor) -> Tensor:
        """||e_A - e_P||^2 of each image, (N,)."""
        return squared_distance(e_a, e_p, self.distance == "mean")

    def repel_embeddings(
        self, space: Tensor, activation: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """e_AL of eq. 8 and e_N, (N, K) both, of every image: each is another one's negative."""
        e_n = embed(space)
        e_al = embed_low(space, activation, self.t_low) if self.repelled == "low" else e_n
        return e_al, e_n

    def choose(self, labels: Tensor, batch: Batch) -> Tensor:
        """Each image's negative: its index in the batch, or -1; (N,) int64.

        Args:
            labels: of the whole batch, (N, K).
            batch: this rank's part of it.
        """
        return negatives(labels)

    def repel_loss(self, e_al: Tensor, e_n: Tensor, chosen: Tensor) -> Tensor:
        """Eq. 10, L_repel = [epsilon - ||e_AL - e_N||^2]_+, the mean over anchors with a negative."""
        distance = squared_distance(e_al, e_n[chosen.clamp(min=0)], self.distance == "mean")
        return mean_where(F.relu(self.margin - distance), chosen >= 0)
