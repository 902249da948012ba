"""The sampler is a pure function of the seed and the position, whatever the ranks and rounds."""

from __future__ import annotations

import numpy as np
import pytest

from wsssbench.training.sampler import StreamBatches, StreamSampler
from wsssbench.training.schedule import BatchSizes


def _sampler(size: int, sizes: BatchSizes, *, rank=0, world=1, seed=5, round_iterations=4):
    return StreamSampler(
        size, sizes, rank=rank, world=world, seed=seed, round_iterations=round_iterations
    )


def _draws(world: int, round_iterations: int, sizes: BatchSizes, size: int = 7):
    """Per iteration the draws of all ranks together."""
    total = sizes.iterations
    iterations: list[list[tuple[int, int]]] = [[] for _ in range(total)]
    for rank in range(world):
        sampler = _sampler(size, sizes, rank=rank, world=world, round_iterations=round_iterations)
        batches = StreamBatches(sampler)
        stream = []
        for epoch in range(-(-total // round_iterations)):
            sampler.set_epoch(epoch)
            # A training that begins here draws all that is left; of that, one round counts.
            drawn = list(batches)
            assert len(drawn) == len(batches) == total - epoch * round_iterations
            assert sum(map(len, drawn)) == len(sampler)
            assert [draw for batch in drawn for draw in batch] == list(sampler)
            stream += drawn[:round_iterations]
        assert len(stream) == total
        for i in range(total):
            iterations[i] += stream[i]
    return [sorted(draws, key=lambda draw: draw[1]) for draws in iterations]


PLAIN = BatchSizes(iterations=10, batch=12)
TWO = BatchSizes(iterations=10, batch=24, first=5, first_batch=12, first_share=0.4)


@pytest.mark.parametrize("sizes", [PLAIN, TWO], ids=["plain", "two"])
@pytest.mark.parametrize("world", [2, 3, 4])
@pytest.mark.parametrize("round_iterations", [1, 4, 10])
def test_total_batches_do_not_depend_on_ranks_or_rounds(world, round_iterations, sizes):
    assert _draws(world, round_iterations, sizes) == _draws(1, 10, sizes)


def test_draws_are_the_seeded_permutations_in_order():
    """Written out: another version must not draw other images for the same seed."""
    permutations = [np.random.default_rng((5, n)).permutation(7) for n in range(18)]
    stream = [(int(index), i) for i, index in enumerate(np.concatenate(permutations))]
    assert _draws(1, 4, PLAIN) == [stream[i * 12 : i * 12 + 12] for i in range(10)]


def test_a_first_phase_only_cuts_the_same_stream_otherwise():
    plain = [draw for batch in _draws(2, 4, BatchSizes(iterations=15, batch=12)) for draw in batch]
    two = _draws(2, 4, TWO)
    assert [len(batch) for batch in two] == [12] * 5 + [24] * 5
    assert [draw for batch in two for draw in batch] == plain


def test_the_first_images_of_every_rank_are_the_first_of_the_batch():
    share = [next(iter(StreamBatches(_sampler(7, PLAIN, rank=r, world=4))))[:2] for r in range(4)]
    assert sorted(position for part in share for _, position in part) == list(range(8))


def test_positions_count_up_and_every_pass_has_each_image_once():
    batches = _draws(1, 4, BatchSizes(iterations=14, batch=12))
    size, draws = 7, [draw for batch in batches for draw in batch]
    assert [position for _, position in draws] == list(range(14 * 12))
    passes = [[index for index, _ in draws[i : i + size]] for i in range(0, 14 * 12, size)]
    assert all(sorted(one) == list(range(size)) for one in passes)
    assert len({tuple(one) for one in passes}) > 1, "every pass has the same order"


def test_a_batch_may_be_larger_than_the_data_set():
    batches = _draws(2, 3, BatchSizes(iterations=5, batch=8), size=2)
    assert all(sorted(i for i, _ in batch) == [0] * 4 + [1] * 4 for batch in batches)


def test_another_seed_is_another_order():
    def order(seed: int) -> list[int]:
        sampler = _sampler(50, BatchSizes(iterations=10, batch=5), seed=seed, round_iterations=10)
        return [index for index, _ in sampler]

    assert order(0) == order(0) != order(1)
