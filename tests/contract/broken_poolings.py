"""A pooling that keeps its contract, and poolings that break it at one point each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.interfaces import Pooled, Pooling

if TYPE_CHECKING:
    from fractions import Fraction


class Good(Pooling):
    """The spatial mean times a learnt factor.

    Args:
        num_classes: K.
        scale: of the logits.
    """

    def __init__(self, num_classes: int, *, scale: float = 1.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((num_classes,), scale))

    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(maps.float().mean((2, 3)) * self.factor, maps.float().sigmoid())


class TracebackInRange(Good):
    def __init__(self, num_classes: int, *, scale: Annotated[float, Field(ge=0, le=4)] = 1) -> None:
        super().__init__(num_classes, scale=1 / (1 / scale))


class NarrowerThanItsRange(Good):
    def __init__(self, num_classes: int, *, scale: Annotated[float, Field(ge=0, le=4)] = 1) -> None:
        if not 0.5 < scale < 2:
            raise ValueError(f"scale={scale} is extreme")
        super().__init__(num_classes, scale=scale)


class OneLogit(Good):
    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(super().forward(maps).logits.mean(1, keepdim=True))


class BareTensor(Good):
    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps).logits


class SmallAttention(Good):
    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(super().forward(maps).logits, maps[..., ::2, ::2])


class DoubleLogits(Good):
    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(super().forward(maps).logits.double())


class FixedWindow(Good):
    def forward(self, maps: Tensor) -> Pooled:
        return super().forward(F.avg_pool2d(maps, 7))


class BatchNormed(Good):
    def __init__(self, num_classes: int, *, scale: float = 1.0) -> None:
        super().__init__(num_classes, scale=scale)
        self.norm = nn.BatchNorm1d(num_classes)

    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(self.norm(super().forward(maps).logits))


class OverClasses(Good):
    def forward(self, maps: Tensor) -> Pooled:
        logits = super().forward(maps).logits
        return Pooled(logits / logits.std(dim=1, keepdim=True))


class Detached(Good):
    def forward(self, maps: Tensor) -> Pooled:
        return super().forward(maps.detach())


class IdleParameter(Good):
    def __init__(self, num_classes: int, *, scale: float = 1.0) -> None:
        super().__init__(num_classes, scale=scale)
        self.idle = nn.Parameter(torch.zeros(num_classes))


class NotANumber(Good):
    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(((maps - maps.mean()) / maps.std()).amax((2, 3)) * self.factor)


class RandomInEval(Good):
    def forward(self, maps: Tensor) -> Pooled:
        return super().forward(F.dropout(maps, 0.5))


class OverBatch(Good):
    def forward(self, maps: Tensor) -> Pooled:
        return super().forward(maps - maps.mean(0, keepdim=True))


class InPlace(Good):
    def forward(self, maps: Tensor) -> Pooled:
        return super().forward(maps.data.clamp_(min=0))


class SinglePrecision(Good):
    def forward(self, maps: Tensor) -> Pooled:
        if maps.dtype != torch.float32:
            raise TypeError("float32 only")
        return super().forward(maps)


class CoarseHalf(Good):
    def forward(self, maps: Tensor) -> Pooled:
        return super().forward(maps.float().round() if maps.dtype == torch.bfloat16 else maps)


class LostState(Good):
    def __init__(self, num_classes: int, *, scale: float = 1.0) -> None:
        super().__init__(num_classes, scale=scale)
        self.drawn = torch.rand(num_classes)

    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(super().forward(maps).logits * self.drawn)


class WithLambda(Good):
    def __init__(self, num_classes: int, *, scale: float = 1.0) -> None:
        super().__init__(num_classes, scale=scale)
        self.activation = lambda x: x


_built: list[int] = []


class GlobalState(Good):
    def __init__(self, num_classes: int, *, scale: float = 1.0) -> None:
        super().__init__(num_classes, scale=scale)
        _built.append(num_classes)

    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(super().forward(maps).logits + len(_built))


class Unfinished(Pooling):
    """Has no forward."""


class Undocumented(Good):
    def __init__(self, num_classes: int, *, scale: float = 1.0, speed: float = 1.0) -> None:
        super().__init__(num_classes, scale=scale)


class NoDocstring(Pooling):
    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(maps.mean((2, 3)))


class PositionalParameter(Good):
    def __init__(self, num_classes: int, scale: float = 1.0) -> None:
        super().__init__(num_classes, scale=scale)


class Packed(Pooling):
    """Its parameters have no names.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int, **kwargs: float) -> None:
        super().__init__()

    def forward(self, maps: Tensor) -> Pooled:
        return Pooled(maps.mean((2, 3)))


class Derived(Good):
    """The good one with another default; `scale` is handed on.

    Args:
        shift: of the logits.
    """

    def __init__(self, num_classes: int, *, shift: float = 0.0, **rest: float) -> None:
        super().__init__(num_classes, **rest)
        self.shift = shift

    def forward(self, maps: Tensor) -> Pooled:
        pooled = super().forward(maps)
        return Pooled(pooled.logits + self.shift, pooled.attention)


class NoArgument(Good):
    def __init__(self, *, scale: float = 1.0) -> None:
        super().__init__(4, scale=scale)


class Untyped(Good):
    def __init__(self, num_classes: int, *, scale=1.0) -> None:
        super().__init__(num_classes, scale=scale)


class WrongDefault(Good):
    def __init__(self, num_classes: int, *, scale: float = "large") -> None:  # type: ignore[assignment]
        super().__init__(num_classes)


class TypeOnlyImport(Good):
    def __init__(self, num_classes: int, *, scale: Fraction | None = None) -> None:
        super().__init__(num_classes)


class Unbuildable(Good):
    def __init__(self, num_classes: int, *, scale: float = -1.0) -> None:
        raise ValueError(f"scale={scale} has to be positive")


class NeedsParameter(Good):
    def __init__(self, num_classes: int, *, scale: float) -> None:
        super().__init__(num_classes, scale=scale)
