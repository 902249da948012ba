"""The table of all methods is that of what is registered."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from wsssbench.experiment.config import read_config
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


def test_every_kind_has_a_page_that_names_its_methods(tool: ModuleType) -> None:
    registries = load().registries
    for kind in tool.KINDS:
        page = (tool.INDEX.parent / f"{kind}.md").read_text(encoding="utf-8")
        listed = [one.name for one in tool.methods(registries[kind].components.values())]
        assert listed
        assert not [name for name in listed if f"| `{name}`" not in page], (
            f"{kind}.md lacks methods"
        )


def test_the_pages_lead_to_rows_and_files_there_are(tool: ModuleType) -> None:
    """Every row after ``--only`` is one of the matrix it is said of, and every link leads to a file."""
    for kind in tool.KINDS:
        path = tool.INDEX.parent / f"{kind}.md"
        page = path.read_text(encoding="utf-8")
        commands = re.findall(r'wsssbench sweep (configs/\S+\.py) --only "([^"]+)"', page)
        assert commands
        for config, name in commands:
            assert name in read_config(tool.REPOSITORY / config)["rows"], f"{kind}.md: {name}"
        for link in re.findall(r"\]\(([^)#]+)\)", page):
            assert link.startswith("https://") or (path.parent / link).exists(), (
                f"{kind}.md: {link}"
            )
