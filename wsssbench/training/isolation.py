"""Undoing what a training or a test run leaves in the process, so that several can follow one another."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

# mmengine keeps every instance of these by name, for ever, and "the current one" is the last.
_KEPT_BY_NAME = (DefaultScope, MessageHub, MMLogger, Visualizer)


@contextmanager
def isolated() -> Iterator[None]:
    """Restore mmengine's global instances and the random generators afterwards."""
    instances = [(cls, dict(cls._instance_dict)) for cls in _KEPT_BY_NAME]
    state = (random.getstate(), np.random.get_state(), torch.get_rng_state())  # noqa: NPY002
    try:
        yield
    finally:
        for cls, before in instances:
            cls._instance_dict.clear()
            cls._instance_dict.update(before)
        random.setstate(state[0])
        np.random.set_state(state[1])  # noqa: NPY002
        torch.set_rng_state(state[2])
