from __future__ import annotations

from itertools import pairwise

import pytest

from wsssbench.errors import UserError
from wsssbench.training.schedule import LONGEST_ROUND, Schedule


def test_length_from_epochs_or_iterations():
    assert Schedule(batch_size=8, lr=0.1, epochs=15).length(10582) == 19841  # 15 * 10582 / 8
    assert Schedule(batch_size=8, lr=0.1, epochs=0.5).length(64) == 4
    assert Schedule(batch_size=10, lr=0.1, iterations=20_000).length(10582) == 20_000
    assert Schedule(batch_size=64, lr=0.1, epochs=1).length(3) == 1


@pytest.mark.parametrize(
    ("iterations", "given", "expected"),
    [
        (600, None, 60),
        (7, None, 7),
        (90, None, 20),
        (50_000, None, LONGEST_ROUND),
        (600, 150, 150),
        (10, 99, 10),
    ],
)
def test_rounds(iterations, given, expected):
    schedule = Schedule(batch_size=2, lr=0.1, iterations=iterations, checkpoint_every=given)
    assert schedule.round_length(100) == expected


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({}, "exactly one of the two"),
        ({"epochs": 1, "iterations": 2}, "exactly one of the two"),
        ({"epochs": 1, "lr": 0}, "lr=0 has to be float > 0 and <= 100"),
        ({"iterations": 0}, "iterations=0 has to be int >= 1 and <= 10000000"),
        ({"epochs": 1, "momentum": 1.0}, "momentum=1.0"),
        ({"epochs": 1, "weight_decay": -1.0}, "weight_decay=-1.0 has to be float >= 0 and <= 10"),
        ({"epochs": 1, "optimizer": "Adam"}, "optimizer='Adam'"),
        ({"epochs": 1, "weight_decy": 0.1}, "did you mean weight_decay or"),
        ({"epochs": 1, "amp": "maybe"}, "amp='maybe'"),
        ({"epochs": 4, "first_epochs": 2}, "first_batch_size=None: give both or none"),
        ({"epochs": 4, "first_batch_size": 2}, "first_epochs=0 and first_batch_size=2: give both"),
        (
            {"epochs": 4, "first_epochs": 4, "first_batch_size": 2},
            "first_epochs=4 has to be less than epochs=4.0",
        ),
        ({"iterations": 4, "first_epochs": 2, "first_batch_size": 2}, "less than epochs=None"),
        (
            {"epochs": 4, "first_epochs": -1.0, "first_batch_size": 2},
            "first_epochs=-1.0 has to be float >= 0",
        ),
        ({"epochs": 4, "first_epochs": 1, "first_batch_size": 0}, "first_batch_size=0 has to be"),
        ({"epochs": 1, "decay_batch_size": 0}, "decay_batch_size=0 has to be int >= 1"),
        ({"epochs": 1, "decay_batch_size": 5}, "decay_batch_size=5 is larger than the batches"),
        ({"iterations": 9, "decay_batch_size": 2}, "decay_batch_size=2 counts epochs"),
        ({"epochs": 1, "bias_lr": -2.0}, "bias_lr=-2.0 has to be float >= 0"),
        ({"epochs": 1, "bias_weight_decay": -2.0}, "bias_weight_decay=-2.0 has to be float >= 0"),
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
    with pytest.raises(UserError, match=r"^batch_size=6 is .* multiple of 4$"):
        schedule.per_rank(4)
    released = Schedule(**{**RELEASED, "batch_size": 36})
    assert [released.per_rank(world) for world in (1, 2, 4)] == [36, 18, 9]
    with pytest.raises(UserError, match=r"^first_batch_size=8 is .* multiple of 3$"):
        released.per_rank(3)


RELEASED = {
    "batch_size": 32,
    "lr": 0.01,
    "epochs": 40,
    "first_epochs": 18,
    "first_batch_size": 8,
    "decay_batch_size": 8,
}


def test_the_released_aeft_schedule_on_voc():
    schedule = Schedule(**RELEASED)
    phases = schedule.batch_sizes(10582)
    assert (phases.first, phases.iterations - phases.first) == (23810, 7275)  # 18*N/8, 22*N/32
    assert schedule.length(10582) == 31085
    assert schedule.decay_length(10582) == 52_880  # N // 8 * 40, as in the code
    assert 0.44 < (1 - 31085 / 52880) ** 0.9 < 0.46  # the last learning rate is far from 0
    assert (phases.batch_of(23809), phases.batch_of(23810)) == (8, 32)
    assert phases.images_before(31085) == 23810 * 8 + 7275 * 32


@pytest.mark.parametrize("size", [1, 5, 40, 61, 137, 1464, 10582])
def test_what_starts_after_the_first_epochs_starts_with_the_second_batch_size(size):
    phases = Schedule(**RELEASED).batch_sizes(size)
    progress = [phases.progress_before(i) for i in range(phases.iterations)]
    assert progress[0] == 0.0
    assert all(a < b for a, b in pairwise(progress))
    assert progress[-1] < 1
    assert progress[phases.first] == 0.45 == 18 / 40
    assert sum(p < 0.45 for p in progress) == phases.first > 0
    # the share of images, but for the rounding of both phases to whole iterations
    total = phases.images_before(phases.iterations)
    share = [phases.images_before(i) / total for i in range(phases.iterations)]
    assert progress == pytest.approx(share, abs=32 / total)


def test_with_one_batch_size_progress_is_the_share_of_iterations():
    phases = Schedule(batch_size=7, lr=0.1, epochs=3).batch_sizes(100)
    assert [phases.progress_before(i) for i in range(43)] == [i / 43 for i in range(43)]


def test_the_decay_never_ends_before_the_training():
    assert Schedule(batch_size=8, lr=0.1, epochs=5).decay_length(19) == 12
    # 5 * (19 // 8) = 10 is less than the training, which uses every image
    assert Schedule(batch_size=8, lr=0.1, epochs=5, decay_batch_size=8).decay_length(19) == 12
    assert Schedule(batch_size=8, lr=0.1, epochs=5, decay_batch_size=2).decay_length(19) == 45
    assert Schedule(batch_size=8, lr=0.1, iterations=9).decay_length(19) == 9
