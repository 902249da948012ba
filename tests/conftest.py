"""Shared fixtures: a tiny generated data set, and a small experiment config on it."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault(
    "GOMP_SPINCOUNT", "10000"
)  # as the command line does; before torch is imported

REPOSITORY = Path(__file__).parent.parent
MINIVOC = REPOSITORY.parent / "shared" / "data" / "minivoc" / "VOC2012"

TINY = {
    "name": "tiny",
    "seed": 0,
    "data": {"type": "SyntheticScenes", "train_images": 6, "val_images": 3, "image_size": 64},
    "classifier": {
        "backbone": {"type": "EfficientNetLite0", "weights": "imagenet", "output_stride": 16},
        "pooling": {"type": "GPP", "bins": (2,)},
        "erasing": [],
        "transform": {"crop": 64, "jitter": (0.0, 0.0, 0.0, 0.0)},
        "schedule": {"batch_size": 3, "epochs": 1, "lr": 0.01},
    },
    "cam": {"type": "MultiScaleCAM", "scales": (1.0,), "flip": True},
    "refine": {
        "crf": {"type": "DenseCRF", "input": "cam", "preset": "psa"},
        "rw": {
            "type": "AffinityWalk",
            "input": "cam",
            "backbone": {"type": "EfficientNetLite0", "weights": "imagenet"},
            "stride": 4,
            "steps": 4,
            "crop": 64,
            "schedule": {"batch_size": 3, "epochs": 1, "lr": 0.01},
        },
    },
    "label": {"input": "rw", "confidence": 0.2},
}


@pytest.fixture
def tiny() -> dict[str, Any]:
    """A config that runs every stage up to the pseudo-labels in seconds."""
    return copy.deepcopy(TINY)


@pytest.fixture
def minivoc() -> Path:
    """Real VOC photos beside the checkout; the test is skipped where they are absent."""
    if not MINIVOC.is_dir():
        pytest.skip(f"no real photos at {MINIVOC}")
    return MINIVOC


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``wsssbench`` in a process of its own, as a user does."""

    def run(
        *arguments: str, check: bool = True, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "wsssbench", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=options.pop("cwd", REPOSITORY),
            env={**os.environ, "COLUMNS": "200", **options.pop("env", {})},
            **options,
        )
        if check and done.returncode:
            raise AssertionError(f"exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    return run
