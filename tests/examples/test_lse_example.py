"""``examples/wsssbench-lse`` passes its own tests, as if it were installed.

Its contract is left out here: where it is installed, ``tests/contract`` checks it with every other component.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from plugin_environments import environment_with
from warm_processes import WarmProcess

EXAMPLE = Path(__file__).parents[2] / "examples" / "wsssbench-lse"


def test_the_tests_of_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    process = WarmProcess(
        "pytest", "-q", "-p", "no:cacheprovider", "-k", "not the_contract", EXAMPLE,
        output=tmp_path / "output.txt",
        environment=environment_with([EXAMPLE], tmp_path / "metadata"),
    )  # fmt: skip
    assert process.wait() == 0, process.output
    assert "passed" in process.output and "skipped" not in process.output
