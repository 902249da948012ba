"""Plugins come in by entry points; a broken one is reported and stops nobody."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from wsssbench.errors import UserError
from wsssbench.plugins import GROUP, load, load_entry_points

GOOD = """
from wsssbench.hookspecs import hookimpl
@hookimpl
def register(registries):
    registries.pooling.add("Good", "good_plugin:Good", summary="fine")
"""
MISSPELT = """
from wsssbench.hookspecs import hookimpl
@hookimpl
def registr(registries):
    pass
"""
RAISING = """
from wsssbench.hookspecs import hookimpl
@hookimpl
def register(registries):
    raise RuntimeError("out of order")
"""
TAKEN = GOOD.replace("good_plugin", "taken_plugin")
MODULES = {
    "good_plugin": GOOD,
    "misspelt_plugin": MISSPELT,
    "raising_plugin": RAISING,
    "taken_plugin": TAKEN,
    "syntax_plugin": "def register(:",
}


@pytest.fixture
def points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[EntryPoint, ...]:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tuple(EntryPoint(name, name, GROUP) for name in [*MODULES, "absent_plugin"])


def test_a_broken_plugin_never_stops_the_others(points: tuple[EntryPoint, ...]) -> None:
    loaded = load_entry_points(points)
    problems = {plugin.name: plugin.problem for plugin in loaded.plugins}
    assert problems.pop("good_plugin") == ""
    assert [c.plugin for c in loaded.registries.find("Good")] == ["good_plugin"]
    assert "registr" in problems["misspelt_plugin"]
    assert problems["raising_plugin"] == "RuntimeError: out of order"
    assert "registered already" in problems["taken_plugin"]
    assert "SyntaxError" in problems["syntax_plugin"]
    assert "ModuleNotFoundError" in problems["absent_plugin"]


def test_selection_by_environment(
    points: tuple[EntryPoint, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSSBENCH_PLUGINS", "good_plugin")
    assert [plugin.name for plugin in load_entry_points(points).plugins] == ["good_plugin"]
    monkeypatch.setenv("WSSSBENCH_PLUGINS", "god_plugin")
    with pytest.raises(UserError, match="did you mean good_plugin"):
        load_entry_points(points)


def test_the_core_names_no_plugin() -> None:
    """Built-in plugins have no privilege: nothing of theirs is imported or named in the core."""
    import wsssbench

    root = Path(wsssbench.__file__).parent
    own = [c.name for registry in load().registries for c in registry.components.values()
           if c.plugin != "core"]  # fmt: skip
    assert own
    for path in root.rglob("*.py"):
        text = path.read_text()
        assert "import wsssbench_" not in text and "from wsssbench_" not in text, path
        for name in own:
            assert f"'{name}'" not in text.replace('"', "'"), (path, name)


def test_every_component_of_ours_resolves() -> None:
    for registry in load().registries:
        for name in registry.components:
            registry.parameters(name)
