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


ENDING = {
    "exits": "import sys\nsys.exit('no licence')",
    "interrupts": "raise KeyboardInterrupt",
    "raises": "class Odd(BaseException):\n    pass\nraise Odd('hm')",
    "no_words": "class Odd(Exception):\n    def __str__(self):\n        raise ValueError\nraise Odd",
    "exits_in_register": RAISING.replace("RuntimeError", "SystemExit"),
}


@pytest.mark.parametrize("kind", ENDING)
def test_a_plugin_that_would_end_the_command_is_a_broken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / f"{kind}_plugin.py").write_text(ENDING[kind])
    monkeypatch.syspath_prepend(str(tmp_path))
    (plugin,) = load_entry_points((EntryPoint("x", f"{kind}_plugin", GROUP),)).plugins
    words = {
        "exits": "SystemExit: no licence (it may not end the command)",
        "interrupts": "KeyboardInterrupt (it may not end the command)",
        "raises": "Odd: hm (it may not end the command)",
        "no_words": "Odd",
        "exits_in_register": "SystemExit: out of order (it may not end the command)",
    }
    assert plugin.problem == plugin.complaint == words[kind]


def test_a_component_whose_module_exits_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = GOOD.replace("good_plugin:Good", "exiting_module:Good")
    (tmp_path / "component_plugin.py").write_text(text)
    (tmp_path / "exiting_module.py").write_text("print('hello')\nraise SystemExit(3)")
    monkeypatch.syspath_prepend(str(tmp_path))
    loaded = load_entry_points((EntryPoint("x", "component_plugin", GROUP),))
    with pytest.raises(UserError, match=r"'Good' of plugin 'x' cannot be imported: SystemExit: 3"):
        loaded.registries.pooling.get("Good")
    assert capsys.readouterr().out == ""


def test_what_a_plugin_prints_is_kept_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loud_plugin.py").write_text(
        f"print('hel\\x1b[2Jlo')\nprint('x' * 999)\n{GOOD.replace('good_plugin', 'loud_plugin')}"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    loaded = load_entry_points((EntryPoint("loud", "loud_plugin", GROUP),))
    (plugin,) = loaded.plugins
    assert capsys.readouterr().out == ""
    assert loaded.registries.find("Good") and plugin.problem == ""
    assert plugin.complaint.startswith("it prints while it is imported: ")
    assert plugin.complaint.isprintable() and len(plugin.complaint) < 200


def test_two_names_for_one_module_leave_the_first_alone(points: tuple[EntryPoint, ...]) -> None:
    good = points[0]
    loaded = load_entry_points((good, EntryPoint("same", good.value, GROUP)))
    first, second = loaded.plugins
    assert (first.problem, bool(second.problem)) == ("", True)
    assert len(loaded.hooks.register.get_hookimpls()) == 1


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
        if path.name == "cam_formats.py":  # formats of files go by the repositories that write them
            continue
        for name in own:
            assert f"'{name}'" not in text.replace('"', "'"), (path, name)


def test_every_component_of_ours_resolves() -> None:
    for registry in load().registries:
        for name in registry.components:
            registry.parameters(name)
