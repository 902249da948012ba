"""IRNet's semantic part: a network learns where classes meet, and a random walk stops there."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from wsssbench.ops.affinity import pair_offsets
from wsssbench.refinements.affinity_training import AffinityTask
from wsssbench_baselines.refinements.edge_network import EdgeNet, edge_affinities
from wsssbench_baselines.refinements.edge_refinement import Beta, EdgeRefinement, Radius

# The released code's; momentum is what its optimiser really has (see Schedule).
IRN_SCHEDULE: dict[str, Any] = {
    "batch_size": 32,
    "epochs": 3,
    "lr": 0.1,
    "momentum": 1e-4,
    "weight_decay": 1e-4,
    "new_layers_lr": 1.0,
}


class IRNet(EdgeRefinement):
    """Class boundaries learned from confident seeds, then a random walk between them; trained on CAMs alone.

    J. Ahn, S. Cho and S. Kwak, *Weakly Supervised Learning of Instance Segmentation with Inter-pixel Relations*,
    CVPR 2019. Edge probabilities B are read from every stage of a frozen ImageNet network. Two pixels' affinity is
    a = 1 - max of B on the line between them, and the loss is that of AffinityNet on it: pairs of sure background / 4,
    of one class / 4, of two / 2. The CAM times 1 - B walks `steps` steps with a^beta, is divided by its maximum over
    all classes and pixels, and has to exceed `background`.

    Formulas and defaults are those of the released code (jiwoon-ahn/irn a2ece00); which of the numbers the paper names
    was not verified. As there, B comes from the mean of an image's and its mirror image's logits. Otherwise there:
    pairs nearest to the border of a crop are left out; images larger than the crop are cut at inference (here: never);
    classes from 21 on are dropped silently (here: none); several GPUs learn something else (irn#13; here ranks have the
    loss of the whole batch); the last incomplete batch of an epoch is dropped; the last stage of ResNet-50 is not
    dilated, as it is in ``TorchvisionBackbone(output_stride=16)``. The displacement branch, which serves instances and
    shares no trained layer, is left out.

    Its own `confidence` is (0.30, 0.05). At inference, images smaller than the crop are padded to it, since the group
    normalisations have learned with what lies outside. Further parameters are those of `EdgeRefinement`.

    Args:
        radius: in training and in the walk: only cells closer than this are paired.
        beta: exponent of the affinities in the walk.
        schedule: parameters of `wsssbench.training.schedule.Schedule`.

    Raises:
        ValueError: a parameter out of range. UserError: unknown backbone, wrong schedule.
    """

    title = "IRNet"
    network_name = "IRNet"
    own_confidence = (0.30, 0.05)  # the released code's

    def __init__(
        self,
        *,
        radius: tuple[Radius, Radius] = (10, 5),
        beta: Beta = 10.0,
        schedule: dict[str, Any] = IRN_SCHEDULE,
        **rest: Any,
    ) -> None:
        super().__init__(radius[1], beta, schedule, **rest)
        if self.crop < radius[0] * self.stride:
            raise ValueError(
                f"crop={self.crop} has to be at least {radius[0] * self.stride} for pairs of radius={radius[0]} at "
                f"stride={self.stride}"
            )
        self.learned = pair_offsets(radius[0])

    def training_of(self, network: EdgeNet) -> AffinityTask:
        return AffinityTask(network, self.learned, edge_affinities)

    def padded(self, views: Tensor) -> Tensor:
        height, width = views.shape[-2:]
        return F.pad(views, (0, max(self.crop - width, 0), 0, max(self.crop - height, 0)))
