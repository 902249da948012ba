"""A sweep of stubs, and signals to it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_up_sweep import Sender, write_sweep

from wsssbench.results.sweep_record import Sweep
from wsssbench.sweep.launch import LaunchOptions
from wsssbench.sweep.stop import STOP_SIGNALS


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return write_sweep(tmp_path)


@pytest.fixture
def options(tmp_path: Path) -> LaunchOptions:
    return LaunchOptions(tmp_path, "cpu", 1)


@pytest.fixture
def sender() -> Iterator[Sender]:
    """Signals to this process, which hears them even if it was started in the background."""
    before = [signal.signal(number, signal.default_int_handler) for number in STOP_SIGNALS]
    made = Sender()
    yield made
    made.join()
    after = [signal.signal(n, handler) for n, handler in zip(STOP_SIGNALS, before, strict=True)]
    assert after == [signal.default_int_handler] * len(STOP_SIGNALS), "a sweep leaves its handlers"
