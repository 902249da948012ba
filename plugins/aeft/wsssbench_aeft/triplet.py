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
    hinge_over_negatives,
    mean_below,
    negatives,
    squared_distance,
    unit,
)
from wsssbench_aeft.released import (
    absolute_distance,
    hinge_over_hard,
    min_max,
    over_peak,
    random_negatives,
)
from wsssbench_aeft.whole_batch import counted_once, of_all_ranks

if TYPE_CHECKING:
    from wsssbench.interfaces import Classifier


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
        activation: ``max``: A of eq. 1. Released code: ``min_max``, see `released.min_max`.
        mask_size: where A^fg of eq. 6 is taken. ``map``: at the class maps' size, then upsampled.
            Released code: ``image``, ReLU(f) is upsampled, so peaks between pixels are cut off.
        attract_distance: ``squared``: eq. 9. Released code: ``absolute``, |e_A - e_P| averaged over
            the K classes.
        attract_norm: ``vector``: e_A and e_P of eq. 9 have unit length. Released code: ``none``.
        attract_relu: only the positive part of the attention makes e_A and e_P of eq. 9, as in the
            released code.
        attract_classes: ``all``: of e_A and e_P in eq. 9. Released code: ``own``, the entries of
            classes that the anchor does not have are 0.
        repel_norm: ``vector``: embeddings of eq. 10 have unit length. Released code: ``peak``, the
            attention is divided by its largest absolute value, per class and image, instead.
        repel_classes: ``all``: of the embeddings in eq. 10. Released code: ``own``, anchor and
            negative keep the entries of their own classes, of which they share none.
        repel_rows: ``all`` anchors with a negative make eq. 10's mean. Released code: ``hard``,
            only those nearer to it than the margin, and none at all unless they are at least five.
        negative: ``next``: in batch order. Released code: ``random``.
        negative_region: ``all``: e_N is the mean over the whole image. Released code:
            ``below_peak``, over the pixels where A^k < 1, for class k.

    Raises:
        ValueError: a negative weight or margin, a threshold that is not positive, switches that
            exclude each other.
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
        activation: Literal["max", "min_max"] = "max",
        mask_size: Literal["map", "image"] = "map",
        attract_distance: Literal["squared", "absolute"] = "squared",
        attract_norm: Literal["vector", "none"] = "vector",
        attract_relu: bool = False,
        attract_classes: Literal["all", "own"] = "all",
        repel_norm: Literal["vector", "peak"] = "vector",
        repel_classes: Literal["all", "own"] = "all",
        repel_rows: Literal["all", "hard"] = "all",
        negative: Literal["next", "random"] = "next",
        negative_region: Literal["all", "below_peak"] = "all",
    ) -> None:
        super().__init__()
        self.attract, self.repel, self.margin = attract, repel, margin
        self.t_high, self.t_low, self.start = t_high, t_low, start
        self.attraction, self.embedding, self.repelled = attraction, embedding, repelled
        self.mask, self.present_only, self.distance = mask, present_only, distance
        self.activation, self.mask_size = activation, mask_size
        self.attract_distance, self.attract_norm = attract_distance, attract_norm
        self.attract_relu, self.attract_classes = attract_relu, attract_classes
        self.repel_norm, self.repel_classes = repel_norm, repel_classes
        self.repel_rows, self.negative, self.negative_region = repel_rows, negative, negative_region
        self._check()

    def _check(self) -> None:
        for name in ("attract", "repel", "margin"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name}={value} has to be 0 or a positive number")
        for name in ("t_high", "t_low"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{name}={value} has to be positive, activations being in [0, 1]")
        if not 0 <= self.start < 1:
            raise ValueError(f"start={self.start} has to be a share of the schedule, in [0, 1)")
        if self.attraction == "rigid":
            papers = {"distance": "squared", "norm": "vector", "relu": False, "classes": "all"}
            for key, default in papers.items():
                value = getattr(self, f"attract_{key}")
                if value != default:
                    raise ValueError(
                        f"attract_{key}={value!r} is about the embeddings of eq. 9, which "
                        "attraction='rigid' does not compare: leave it out, or use attraction='soft'"
                    )
        if self.repel_rows == "hard" and self.margin == 0:
            raise ValueError(
                "repel_rows='hard' keeps the anchors nearer to their negative than the margin, and "
                "margin=0 leaves none: give a positive margin or repel_rows='all'"
            )

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The terms ``attract`` and ``repel``, without those of weight 0.

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
        cam = self._activate(maps)
        terms: dict[str, Tensor] = {}
        log: dict[str, Tensor] = {}
        if self.attract:
            fg = self._foreground(maps, cam, batch)
            terms["attract"] = self.attract * self._attract(classifier, batch, output, fg)
        if self.repel:
            chosen = self._choose(of_all_ranks(batch.labels), len(batch.labels))
            cost = self._repel(self._embedded(classifier, output), cam, batch.labels, chosen)
            terms["repel"] = self.repel * cost
            log["anchors_without_negative"] = (chosen < 0).sum().to(maps.dtype)
        return Losses(terms, log)

    def _activate(self, maps: Tensor) -> Tensor:
        """A of eq. 1 or the released code's, in [0, 1]; same shape as `maps` (N, K, h, w)."""
        return normalise(maps) if self.activation == "max" else min_max(maps)

    def _foreground(self, maps: Tensor, cam: Tensor, batch: Batch) -> Tensor:
        """Eq. 6 at the size of the maps (N, 1, h, w), or of the images (N, 1, H, W)."""
        if self.mask_size == "image":
            size = batch.images.shape[-2:]
            large = F.interpolate(maps.relu(), size=size, mode="bilinear", align_corners=False)
            cam = self._activate(large)
        return foreground(cam, batch.labels if self.present_only else None)

    def _attract(self, classifier: Classifier, batch: Batch, output: Output, fg: Tensor) -> Tensor:
        """Eq. 9, or the erased image's classification. A soft mask passes the gradient, too."""
        erase = masked_image if self.mask == "soft" else hard_masked_image  # eq. 7
        erased: Output = classifier(erase(batch.images, fg, self.t_high))
        if self.attraction == "rigid":
            logits = at_least_float32(erased.logits)
            return F.binary_cross_entropy_with_logits(logits, batch.labels.to(logits.dtype))
        anchor, positive = (
            self._to_attract(self._embedded(classifier, o), batch.labels) for o in (output, erased)
        )
        if self.attract_distance == "absolute":
            return absolute_distance(anchor, positive).mean()
        return squared_distance(anchor, positive, self.distance == "mean").mean()

    def _to_attract(self, embedded: Tensor, labels: Tensor) -> Tensor:
        """e_A or e_P of eq. 9, (N, K)."""
        means = (embedded.relu() if self.attract_relu else embedded).mean(dim=(2, 3))
        scaled = unit(means) if self.attract_norm == "vector" else means
        return scaled * labels if self.attract_classes == "own" else scaled

    def _repel(self, embedded: Tensor, cam: Tensor, labels: Tensor, chosen: Tensor) -> Tensor:
        """Eq. 10; the whole batch is embedded once, each image being others' negative, too."""
        space = over_peak(embedded) if self.repel_norm == "peak" else embedded
        full = self._to_repel(space.mean(dim=(2, 3)), labels)
        anchors = others = full
        if self.repelled == "low":  # eq. 8
            anchors = self._to_repel(mean_below(space, cam, self.t_low), labels)
        if self.negative_region == "below_peak":
            others = self._to_repel(mean_below(space, cam, 1.0), labels)
        anchors, others = of_all_ranks(anchors), of_all_ranks(others)
        hinge = hinge_over_negatives if self.repel_rows == "all" else hinge_over_hard
        return counted_once(hinge(anchors, others, chosen, self.margin, self.distance == "mean"))

    def _choose(self, labels: Tensor, own: int) -> Tensor:
        """Each image's negative in the whole batch with `labels` (N, K), of which a rank has `own` images; (N,)."""
        if self.negative == "next":
            return negatives(labels)
        lots = torch.rand(own, len(labels), device=labels.device)
        return random_negatives(labels, of_all_ranks(lots))

    def _to_repel(self, means: Tensor, labels: Tensor) -> Tensor:
        """e_AL, e_A or e_N of eq. 10, (N, K)."""
        scaled = unit(means) if self.repel_norm == "vector" else means
        return scaled * labels if self.repel_classes == "own" else scaled

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
