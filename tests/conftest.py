"""Shared fixtures: a tiny generated data set, and a small experiment config on it."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_experiment import TINY

pytest_plugins = ("made_up_result", "tiny_voc", "warm_processes")

# Both are read when torch is imported. One thread: two pytest workers do not fight over two cores, and sums are in
# one order in whichever process a test runs. The second is what the command line sets.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# These take longest, the longest first. Several workers start with them, so that none ends long after the others.
LONG_FILES = (
    "test_smoke.py",
    "contract/test_every_component.py",
    "cli/test_sweep_command.py",
    "pages/test_report_browser.py",
    "parallel/test_jobs.py",
    "experiment/test_custom_stage.py",
    "experiment/test_kill.py",
    "contract/test_failing_components.py",
    "models/test_backbone_contract.py",
    "segmenters/test_deeplab.py",
    "plugins/test_released.py",
    "models/test_torchvision_backbone.py",
    "docs/test_write_a_plugin.py",
    "scaffold/test_packages.py",
    "sweep/test_launch.py",
    "datasets/synthetic/test_scenes.py",
    "cli/test_weights_command.py",
)

REPOSITORY = Path(__file__).parent.parent
MINIVOC = REPOSITORY.parent / "shared" / "data" / "minivoc" / "VOC2012"


def pytest_configure() -> None:
    missing = [name for name in LONG_FILES if not (REPOSITORY / "tests" / name).is_file()]
    if missing:
        raise pytest.UsageError(f"LONG_FILES in tests/conftest.py: no such test files: {missing}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the files that take longest to the front; each file's tests stay together, in their order."""
    order = {REPOSITORY / "tests" / name: number for number, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.hookimpl(trylast=True)  # the last line but one
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what the skipped tests lack."""
    # several workers report the same skipped file
    skipped = {r.nodeid: r.longrepr[2] for r in terminalreporter.stats.get("skipped", [])}
    reasons = Counter(reason.removeprefix("Skipped: ") for reason in skipped.values())
    if reasons:
        listed = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
        terminalreporter.write_line(f"skipped for lack of: {listed}")


@pytest.fixture
def tiny() -> dict[str, Any]:
    """A config that runs every stage up to the pseudo-labels in seconds."""
    return copy.deepcopy(TINY)


@pytest.fixture
def minivoc() -> Path:
    """Real VOC photos beside the checkout; the test is skipped where they are absent."""
    if not MINIVOC.is_dir():
        pytest.skip("real photos in shared/data/minivoc beside the checkout")
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
