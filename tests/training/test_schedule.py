from __future__ import annotations

import pytest

from wsssbench.errors import UserError
from wsssbench.training.engine import Schedule
from wsssbench.training.schedule import LONGEST_ROUND


def test_length_from_epochs_or_iterations():
    assert Schedule(batch_size=8, lr=0.1, epochs=15).length(10582) == 19841  # 15 * 10582 / 8
    assert Schedule(batch_size=8, lr=0.1, epochs=0.5).length(64) == 4
    assert Schedule(batch_size=10, lr=0.1, iterations=20_000).length(10582) == 20_000
    assert Schedule(batch_size=64, lr=0.1, epochs=1).length(3) == 1


@pytest.mark.parametrize(
    ("iterations", "given", "expected"),
    [(600, None, 60), (7, None, 1), (50_000, None, LONGEST_ROUND), (600, 150, 150), (10, 99, 10)],
)
def test_rounds(iterations, given, expected):
    schedule = Schedule(batch_size=2, lr=0.1, iterations=iterations, checkpoint_every=given)
    assert schedule.round_length(100) == expected


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({}, "exactly one of the two"),
        ({"epochs": 1, "iterations": 2}, "exactly one of the two"),
        ({"epochs": 1, "lr": 0}, "lr=0.0 has to be greater than 0"),
        ({"iterations": 0}, "iterations=0 has to be greater than 0"),
        ({"epochs": 1, "momentum": 1.0}, "momentum=1.0"),
        ({"epochs": 1, "weight_decay": -1.0}, "weight_decay=-1.0 must not be negative"),
        ({"epochs": 1, "optimizer": "Adam"}, "optimizer='Adam'"),
        ({"epochs": 1, "weight_decy": 0.1}, "did you mean weight_decay?"),
        ({"epochs": 1, "amp": "maybe"}, "amp='maybe'"),
    ],
)
def test_wrong_schedules_get_one_sentence(wrong, sentence):
    with pytest.raises(UserError) as error:
        Schedule.from_config({"batch_size": 4, "lr": 0.1, **wrong}, "classifier.schedule")
    assert str(error.value).startswith("classifier.schedule")
    assert sentence in str(error.value)


def test_the_batch_is_shared_by_the_ranks():
    schedule = Schedule(batch_size=6, lr=0.1, epochs=1)
    assert [schedule.per_rank(world) for world in (1, 2, 3)] == [6, 3, 2]
    with pytest.raises(UserError, match="multiple of 4"):
        schedule.per_rank(4)
