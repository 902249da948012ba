"""An erasing that keeps its contract, and erasings that break it at one point each."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wsssbench.errors import UserError
from wsssbench.interfaces import Batch, Erasing, Losses, Output


class Good(Erasing):
    """A learnt multiple of the mean activation should be small.

    Args:
        num_classes: K.
        channels: of the backbone.
        weight: of the loss.
    """

    def __init__(self, num_classes: int, channels: tuple[int, ...], *, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight
        self.factor = nn.Parameter(torch.ones(num_classes))

    def energy(self, maps: Tensor) -> Tensor:
        return self.weight * (maps.float().mean((2, 3)) * self.factor).square().mean()

    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        return Losses({"energy": self.energy(output.maps)})

    def maps(self, classifier: Any, output: Output) -> Tensor:
        return output.maps * self.factor[None, :, None, None]


class RefusesAll(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        raise UserError(f"pooling {type(classifier.pooling).__name__} does not suit")


class NamelessRefusal(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        if output.attention is None:
            raise UserError("no attention")
        return super().losses(classifier, batch, output)


class NeedsAttention(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        return Losses({"energy": self.energy(output.attention.float())})


class NeverActs(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        return Losses({})


class BareDict(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> dict[str, Tensor]:
        return {"energy": self.energy(output.maps)}


class VectorLoss(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        return Losses({"energy": output.maps.mean((1, 2, 3))})


class VectorLog(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        return Losses({"energy": self.energy(output.maps)}, {"all": torch.zeros(3)})


class LateNotANumber(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        late = batch.progress > 0.9
        return Losses({"energy": self.energy(output.maps) * (float("nan") if late else 1)})


class FixedSize(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        return Losses({"energy": self.energy(output.maps.reshape(len(output.maps), 4, 8, 8))})


class NeedsPairs(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        return Losses({"energy": self.energy(output.maps) + output.logits[1:].float().mean()})


class NeedsClass(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        return Losses({"energy": self.energy(output.maps) / batch.labels.sum()})


class Detached(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        return Losses({"energy": self.energy(output.maps.detach())})


class IdleParameter(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        return Losses({"energy": output.maps.float().square().mean()})


class RandomByNumpy(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        return Losses({"energy": self.energy(output.maps) * np.random.default_rng().random()})


class SmallMaps(Good):
    def maps(self, classifier: Any, output: Output) -> Tensor:
        return output.maps[..., ::2, ::2]


class ChangesLabels(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        batch.labels[0] = 0
        return super().losses(classifier, batch, output)


class SinglePrecision(Good):
    def losses(self, classifier: Any, batch: Batch, output: Output) -> Losses:
        return Losses(
            {"energy": output.maps.square().mean().view(torch.float32) * self.factor.sum()}
        )


class LostState(Good):
    def __init__(self, num_classes: int, channels: tuple[int, ...], *, weight: float = 1.0) -> None:
        super().__init__(num_classes, channels, weight=weight)
        self.drawn = torch.rand(())

    def energy(self, maps: Tensor) -> Tensor:
        return super().energy(maps) + self.drawn


class WithLambda(Good):
    def __init__(self, num_classes: int, channels: tuple[int, ...], *, weight: float = 1.0) -> None:
        super().__init__(num_classes, channels, weight=weight)
        self.activation = lambda x: x


class UnknownNewLayer(Good):
    new_layers = ("factor", "fcator")
