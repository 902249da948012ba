"""Which iterations of a training have which batch size, and how far the training is before each of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Phases:
    """A training of one batch size, or of another one in its first iterations.

    Attributes:
        iterations: of the whole training.
        batch: images per iteration after the first phase, over all ranks together.
        first: iterations of the first phase; 0: there is none.
        first_batch: images per iteration of the first phase, over all ranks together.
        first_share: which part of the training's epochs the first phase is.
    """

    iterations: int
    batch: int
    first: int = 0
    first_batch: int = 0
    first_share: float = 0.0

    def batch_of(self, iteration: int) -> int:
        """Images of `iteration`, which counts from 0."""
        return self.first_batch if iteration < self.first else self.batch

    def images_before(self, iteration: int) -> int:
        """How many images the iterations before `iteration` have read together."""
        early = min(iteration, self.first)
        return early * self.first_batch + (iteration - early) * self.batch

    def progress_before(self, iteration: int) -> float:
        """The share of the training's images that is done when `iteration` begins.

        Exactly `first_share` where the second phase begins, although each phase has a whole number of iterations.
        """
        if iteration < self.first:
            return iteration / self.first * self.first_share
        late = (iteration - self.first) / (self.iterations - self.first)
        return self.first_share + late * (1 - self.first_share)
