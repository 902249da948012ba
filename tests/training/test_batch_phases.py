"""A first phase with another batch size: the same images, exact resume, ranks, the learning rate."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import torch
from toy_processes import trained_by_two_ranks, trained_elsewhere
from toy_training import (
    PHASES,
    SIZE,
    Points,
    Toy,
    context,
    iteration_at,
    run,
    same,
    scalars,
)
from warm_processes import RankError

from wsssbench.training.engine import seed_everything, train


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """(weights, directory) of an undisturbed training."""
    directory = tmp_path_factory.mktemp("unbroken")
    torch.set_num_threads(1)
    return run(directory, schedule=PHASES)[0], directory


class Recording(Toy):
    """Keeps the draws of every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[tuple[int, int]]] = []

    def forward(self, batch, progress):
        self.batches.append(
            list(zip(batch["index"].tolist(), batch["position"].tolist(), strict=True))
        )
        return super().forward(batch, progress)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_grow_at_the_switch_and_no_image_is_lost(tmp_path, unbroken, workers):
    seed_everything(7)
    task = Recording()
    weights, diary = run(tmp_path, workers, task, PHASES)
    assert diary.tracks == [("toy", 14, 0)]
    assert [len(batch) for batch in task.batches] == [4] * 8 + [8] * 6
    draws = [draw for batch in task.batches for draw in batch]
    assert [position for _, position in draws] == list(range(8 * 4 + 6 * 8))
    for start in range(0, len(draws), SIZE):
        assert len({index for index, _ in draws[start : start + SIZE]}) == len(
            draws[start : start + SIZE]
        )
    assert same(weights, unbroken[0])


def test_rate_and_progress(unbroken):
    lines, i = scalars(unbroken[1]), np.arange(14)
    expected = 0.05 * (1 - i / 20) ** 0.9  # 20 = 4 epochs of 20 images by fours
    np.testing.assert_allclose([line["lr"] for line in lines], expected, rtol=1e-6)
    share = np.where(i < 8, i / 8 * 1.5 / 4, 1.5 / 4 + (i - 8) / 6 * 2.5 / 4)
    np.testing.assert_allclose([line["progress"] for line in lines], share, rtol=1e-6)


class Break(Exception):
    """Stands for a kill inside this process."""


@pytest.mark.parametrize(
    ("iteration", "resumed"),
    [(5, 3), (8, 6), (9, 6), (10, 9), (12, 9)],
    ids=["first phase", "before the switch", "at the switch", "after the switch", "second phase"],
)
def test_broken_off_anywhere_it_ends_with_the_same_weights(tmp_path, unbroken, iteration, resumed):
    class Breaking(Toy):
        def forward(self, batch, progress):
            if iteration_at(PHASES, progress) == iteration:
                raise Break
            return super().forward(batch, progress)

    seed_everything(7)
    with pytest.raises(Break):
        run(tmp_path, task=Breaking(), schedule=PHASES)
    weights, diary = run(tmp_path, schedule=PHASES)
    assert diary.lines == [f"toy: resumed at iteration {resumed} of 14"]
    assert diary.tracks == [("toy", 14, resumed)]
    assert same(weights, unbroken[0])
    assert scalars(tmp_path) == scalars(unbroken[1])


@pytest.mark.parametrize("kills", ["9", pytest.param("5 9 12", marks=pytest.mark.slow)])
def test_killed_at_the_switch_and_in_both_phases(tmp_path, unbroken, kills):
    for kill_at in kills.split():
        assert trained_elsewhere(tmp_path, "2", kill_at, "phases") == -signal.SIGKILL
    assert same(run(tmp_path, schedule=PHASES)[0], unbroken[0])
    assert scalars(tmp_path) == scalars(unbroken[1])


def test_two_ranks_train_on_the_same_batches(tmp_path):
    trained_by_two_ranks(tmp_path / "two", "0", "-1", "phases")
    saved = torch.load(tmp_path / "two" / "weights.pth", weights_only=True)
    # Without dropout and batch norm, two halves of a batch are the batch.
    seed_everything(7)
    path = train(
        Toy(dropout=0.0, norm=False), Points(), PHASES, context(tmp_path / "one"), {"head": 10.0}
    )
    for name, value in torch.load(path, weights_only=True).items():
        torch.testing.assert_close(saved[name], value, rtol=1e-4, atol=1e-6, msg=name)
    losses = [[line["loss"] for line in scalars(tmp_path / d)] for d in ("one", "two")]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kill_at", ["5", "9", "12"])
def test_two_ranks_resume_exactly(tmp_path, kill_at):
    trained_by_two_ranks(tmp_path / "whole", "0", "-1", "phases")
    with pytest.raises(RankError, match=f"ended with {-signal.SIGKILL}"):
        trained_by_two_ranks(tmp_path / "broken", "2", kill_at, "phases")
    trained_by_two_ranks(tmp_path / "broken", "0", "-1", "phases")
    whole, broken = (
        torch.load(tmp_path / d / "weights.pth", weights_only=True) for d in ("whole", "broken")
    )
    assert same(whole, broken)
