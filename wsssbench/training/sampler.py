"""Which training images come when: one endless, seeded stream of permutations, cut into rounds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

Draw = tuple[int, int]  # (index into the data set, position in the stream)


class StreamSampler(Sampler[Draw]):
    """Draws `(index, position)` from an infinite stream: permutation 0 of the data set, permutation 1, ...

    A pure function of `seed` and the position, so a resumed training sees exactly the images it would have seen. With
    B images per iteration over all ranks, iteration i consumes positions i*B ... (i+1)*B - 1 whatever the number of
    ranks is; rank r of W takes those with position % W == r.

    Args:
        size: number of images in the data set.
        batch: images per iteration on this rank.
        rank: number of this process.
        world: number of processes.
        seed: of the run.
        round_iterations: iterations of one round, mmengine's "epoch"; a checkpoint follows each round.
        iterations: iterations of the whole training; the last round may be shorter.
    """

    def __init__(
        self,
        size: int,
        batch: int,
        *,
        rank: int,
        world: int,
        seed: int,
        round_iterations: int,
        iterations: int,
    ) -> None:
        self.size = size
        self.batch = batch
        self.rank = rank
        self.world = world
        self.seed = seed
        self.round_iterations = round_iterations
        self.iterations = iterations
        self._first = 0  # iteration the current round begins with

    def set_epoch(self, epoch: int) -> None:
        """Go to round `epoch`; mmengine calls this before each."""
        self._first = epoch * self.round_iterations

    def __len__(self) -> int:
        """Draws of this rank in the current round."""
        left = max(0, self.iterations - self._first)
        return min(self.round_iterations, left) * self.batch

    def __iter__(self) -> Iterator[Draw]:
        start = self._first * self.batch * self.world + self.rank
        number, order = -1, np.empty(0, np.int64)
        for position in range(start, start + len(self) * self.world, self.world):
            if position // self.size != number:
                number = position // self.size
                order = np.random.default_rng((self.seed, number)).permutation(self.size)
            yield int(order[position % self.size]), position
