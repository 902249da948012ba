"""The sampler is a pure function of the seed and the position, whatever the ranks and rounds."""

from __future__ import annotations

import pytest

from wsssbench.training.sampler import StreamSampler


def _draws(world: int, round_iterations: int, total: int, size: int = 7, batch: int = 12):
    """Per iteration the draws of all ranks together."""
    iterations: list[list[tuple[int, int]]] = [[] for _ in range(total)]
    for rank in range(world):
        sampler = StreamSampler(
            size,
            batch // world,
            rank=rank,
            world=world,
            seed=5,
            round_iterations=round_iterations,
            iterations=total,
        )
        stream = []
        for epoch in range(-(-total // round_iterations)):
            sampler.set_epoch(epoch)
            drawn = list(sampler)
            assert len(drawn) == len(sampler)
            stream += drawn
        share = batch // world
        assert len(stream) == total * share
        for i in range(total):
            iterations[i] += stream[i * share : (i + 1) * share]
    return [sorted(draws, key=lambda draw: draw[1]) for draws in iterations]


@pytest.mark.parametrize("world", [2, 3, 4])
@pytest.mark.parametrize("round_iterations", [1, 4, 10])
def test_total_batches_do_not_depend_on_ranks_or_rounds(world, round_iterations):
    assert _draws(world, round_iterations, total=10) == _draws(1, 10, total=10)


def test_positions_count_up_and_every_pass_has_each_image_once():
    size, draws = 7, [draw for batch in _draws(1, 4, total=14) for draw in batch]
    assert [position for _, position in draws] == list(range(14 * 12))
    passes = [[index for index, _ in draws[i : i + size]] for i in range(0, 14 * 12, size)]
    assert all(sorted(one) == list(range(size)) for one in passes)
    assert len({tuple(one) for one in passes}) > 1, "every pass has the same order"


def test_a_batch_may_be_larger_than_the_data_set():
    batches = _draws(2, 3, total=5, size=2, batch=8)
    assert all(sorted(i for i, _ in batch) == [0] * 4 + [1] * 4 for batch in batches)


def test_another_seed_is_another_order():
    def order(seed: int) -> list[int]:
        sampler = StreamSampler(
            50, 5, rank=0, world=1, seed=seed, round_iterations=10, iterations=10
        )
        return [index for index, _ in sampler]

    assert order(0) == order(0) != order(1)
