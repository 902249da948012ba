"""The random numbers of an iteration depend on seed, iteration and rank, and on nothing else."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import torch

from wsssbench.training.hooks import Reseed


def test_ranks_and_iterations_draw_different_numbers_and_the_same_ones_again(monkeypatch):
    def draws(seed, iteration, rank):
        monkeypatch.setenv("RANK", str(rank))
        Reseed(seed).before_train_iter(SimpleNamespace(iter=iteration))
        return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002

    state = (random.getstate(), np.random.get_state(), torch.get_rng_state())  # noqa: NPY002
    try:
        cases = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 1)]
        drawn = [draws(*case) for case in cases]
        assert [draws(*case) for case in reversed(cases)] == drawn[::-1]
    finally:
        random.setstate(state[0])
        np.random.set_state(state[1])  # noqa: NPY002
        torch.set_rng_state(state[2])
    for numbers in zip(*drawn, strict=True):
        assert len(set(numbers)) == len(cases)
