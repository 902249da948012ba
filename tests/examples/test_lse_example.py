"""``examples/wsssbench-lse`` passes its own tests, as if it were installed.

Its contract is left out here: where it is installed, ``tests/contract`` checks it with every other component.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from plugin_environments import environment_with

EXAMPLE = Path(__file__).parents[2] / "examples" / "wsssbench-lse"


def test_the_tests_of_the_example(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not the_contract",
         str(EXAMPLE)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment_with([EXAMPLE], tmp_path / "metadata"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout and "skipped" not in done.stdout
