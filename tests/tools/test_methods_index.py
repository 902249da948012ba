"""The table of all methods is that of what is registered."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from wsssbench.plugins import load

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(TOOLS))
    yield importlib.import_module("methods_index")


def test_the_page_is_up_to_date(tool: ModuleType) -> None:
    assert tool.INDEX.read_text(encoding="utf-8") == tool.page(), (
        "docs/methods/index.md is not what is registered: run python tools/methods_index.py"
    )


def test_facts_are_about_methods_there_are(tool: ModuleType) -> None:
    registries = load().registries
    known = json.loads(tool.FACTS.read_text(encoding="utf-8"))
    left_out = known.pop(tool.LEFT_OUT)
    registered = {name for kind in tool.KINDS for name in registries[kind].components}
    assert not left_out.keys() & registered
    assert all(one.keys() == {"paper", "why"} for one in left_out.values())
    for kind, facts in known.items():
        listed = {one.name for one in tool.methods(registries[kind].components.values())}
        assert not facts.keys() - listed
        for one in facts.values():
            assert one.keys() <= {"fidelity", "supervision", "passes", "numbers", "config"}
            assert one["fidelity"].startswith(("paper", "released code", "partial: ", "ours: "))
