"""One spawned process and one directory for all contract checks of a test file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wsssbench.contract import Rig
from wsssbench.plugins import load


@pytest.fixture(scope="module", autouse=True)
def _forked(warm_workers: None) -> None:
    """The spawned processes of all rigs."""


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig(load().registries) as made:
        yield made
