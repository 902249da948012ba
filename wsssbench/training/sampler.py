"""Which training images come when: one endless, seeded stream of permutations, cut into batches and rounds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from torch.utils.data import Sampler

from wsssbench.training.schedule import BatchSizes

Draw = tuple[int, int]  # (index into the data set, position in the stream)


class StreamSampler(Sampler[Draw]):
    """Draws `(index, position)` from an infinite stream: permutation 0 of the data set, permutation 1, ...

    A pure function of `seed` and the position, so a resumed training sees exactly the images it would have seen.
    Iteration i consumes the positions from ``sizes.images_before(i)`` to ``sizes.images_before(i + 1) - 1`` whatever
    the number of ranks is; rank r of W takes those with position % W == r.

    Args:
        size: number of images in the data set.
        sizes: length and batch sizes of the training; the batch sizes are multiples of `world`.
        rank: number of this process.
        world: number of processes.
        seed: of the run.
        round_iterations: iterations of one round, mmengine's "epoch"; a checkpoint follows each round.
    """

    def __init__(
        self,
        size: int,
        sizes: BatchSizes,
        *,
        rank: int,
        world: int,
        seed: int,
        round_iterations: int,
    ) -> None:
        self.size = size
        self.sizes = sizes
        self.rank = rank
        self.world = world
        self.seed = seed
        self.round_iterations = round_iterations
        self.rest = range(sizes.iterations)  # the iterations whose draws are wanted

    def set_epoch(self, epoch: int) -> None:
        """Let what begins now begin with round `epoch`; mmengine calls this before each."""
        self.rest = range(epoch * self.round_iterations, self.sizes.iterations)

    def __len__(self) -> int:
        """Draws of this rank from the current round on."""
        return len(self._positions())

    def __iter__(self) -> Iterator[Draw]:
        number, order = -1, np.empty(0, np.int64)
        for position in self._positions():
            if position // self.size != number:
                number = position // self.size
                order = np.random.default_rng((self.seed, number)).permutation(self.size)
            yield int(order[position % self.size]), position

    def _positions(self) -> range:
        start, stop = (self.sizes.images_before(i) for i in (self.rest.start, self.rest.stop))
        return range(start + self.rank, stop, self.world)


class StreamBatches(Sampler[list[Draw]]):
    """The draws of a `StreamSampler` in batches, one per iteration, as large as its phase says."""

    def __init__(self, sampler: StreamSampler) -> None:
        self.sampler = sampler  # mmengine looks for it under this name

    def __len__(self) -> int:
        return len(self.sampler.rest)

    def __iter__(self) -> Iterator[list[Draw]]:
        draws = iter(self.sampler)
        for iteration in self.sampler.rest:
            share = self.sampler.sizes.batch_of(iteration) // self.sampler.world
            yield list(islice(draws, share))
