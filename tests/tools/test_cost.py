"""The page about what methods cost is that of the measurements kept, and they can be made again."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from method_rows import methods

BENCHES = Path(__file__).parents[2] / "tools" / "bench"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHES))
    yield importlib.import_module("methods")


def test_the_page_is_that_of_the_record(tool: ModuleType) -> None:
    found = json.loads(tool.RECORD.read_text(encoding="utf-8"))
    assert tool.RECORD.with_suffix(".md").read_text(encoding="utf-8") == tool.page(found)
    assert {*found["rows"], *found["left_out"]} == {row.name for row in methods().rows}


def test_a_row_is_measured_beside_the_plain_one(tool: ModuleType) -> None:
    found = tool.record(["rigid erasing"], repeats=1, images=4)
    (row,) = found["rows"].values()
    assert all(value > 0 for value in row.values())
    assert "OC-CSE" in found["left_out"] and "rigid erasing" in tool.page(found)
