"""The time left, by a clock of the test's own."""

from __future__ import annotations

import io
from typing import Any

import pytest

from wsssbench.cli import console
from wsssbench.progress import Pace, duration


def test_the_time_left_is_that_of_the_rate() -> None:
    pace = Pace(now=100.0, done=0)
    assert pace.left(100.0, 0, 50) is None and pace.left(102.0, 0, 50) is None
    assert pace.left(104.0, 2, 50) == pytest.approx(48 * 2.0)
    assert pace.left(110.0, 5, 50) == pytest.approx(45 * 2.0)
    assert pace.left(200.0, 50, 50) == 0


def test_what_was_there_already_has_taken_no_time() -> None:
    """A run that goes on at 900 of 1000 has not done 900 in its first seconds."""
    assert Pace(0.0, 900).left(10.0, 910, 1000) == pytest.approx(90.0)


def test_a_second_half_that_is_slower_is_seen() -> None:
    """Erasing begins after 100 of 200 iterations and makes them ten times as slow."""
    pace, now = Pace(0.0, 0), 0.0
    for done in range(1, 151):
        now += 1.0 if done <= 100 else 10.0
        left = pace.left(now, done, 200)
    assert left == pytest.approx(50 * 10.0)


def test_lines_without_a_terminal_tell_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Any = iter([0.0, 4.0, 12.0, 13.0, 30.0, 31.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    with console.ConsoleProgress(console.make_console(stream)).track("train", 100, done=40) as task:
        for steps in (2, 4, 4, 10):
            task.advance(steps, note="loss 0.5")
    assert stream.getvalue().splitlines() == [
        f"  train: 46/100, {duration(54 * 12 / 6)} left, loss 0.5",
        f"  train: 60/100, {duration(40 * 30 / 20)} left, loss 0.5",
        "  train: 60/100 in 31 s",
    ]
