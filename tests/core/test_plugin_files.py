"""Plugins that are one file: found by the environment, imported as modules of one package, refused in one sentence."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from in_process import call, refused

from wsssbench import plugin_files
from wsssbench.plugins import load

POOLING = '''
from wsssbench.interfaces import Pooled, Pooling

class {name}(Pooling):
    """The mean.

    More about it."""

    def __init__(self, num_classes: int, *, power: float = 1.0) -> None:
        super().__init__()

    def forward(self, maps):
        return Pooled(maps.mean((2, 3)))

class _Base({name}):
    pass
'''


@pytest.fixture(autouse=True)
def _no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(plugin_files.VARIABLE, "")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_every_public_component_class_is_registered(tmp_path: Path) -> None:
    file = write(tmp_path / "my-pooling.py", POOLING.format(name="MyMean"))
    plugin_files.use([file, tmp_path / ".." / tmp_path.name / "my-pooling.py"])
    assert os.environ[plugin_files.VARIABLE] == str(file)
    registry = load().registries.pooling
    component = registry.components["MyMean"]
    assert (component.summary, component.plugin) == ("The mean", "my-pooling.py")
    assert component.distribution == str(file) and len(component.version) == 12
    assert "_Base" not in registry.components and "Pooling" not in registry.components
    assert list(registry.parameters("MyMean")) == ["power"]
    built = registry.build({"type": "MyMean"}, 3)
    assert type(pickle.loads(pickle.dumps(built))) is type(built)


def test_two_files_of_one_name(tmp_path: Path) -> None:
    files = [
        write(tmp_path / name / "same.py", POOLING.format(name=name)) for name in ("One", "Two")
    ]
    plugin_files.use(files)
    components = load().registries.pooling.components
    assert components["One"].distribution != components["Two"].distribution
    classes = {load().registries.pooling.get(name).__module__ for name in ("One", "Two")}
    assert len(classes) == 2


def test_a_register_hook_decides_what_is_registered(tmp_path: Path) -> None:
    hook = """
from wsssbench.hookspecs import hookimpl

@hookimpl
def register(registries):
    registries.pooling.add("Other", f"{__name__}:Hidden", summary="by hook", reference="A paper, 2020")
"""
    plugin_files.use([write(tmp_path / "hooked.py", POOLING.format(name="Hidden") + hook)])
    components = load().registries.pooling.components
    assert components["Other"].reference == "A paper, 2020" and "Hidden" not in components


WRONG = [
    ("no_component.py", "x = 1\n", "has no component: define a class that derives from one of"),
    ("syntax.py", "import os\ndef f(:\n", "cannot be loaded: SyntaxError: invalid syntax (line 2)"),
    ("raises.py", "def f():\n    return g()\nf()\n", "NameError: name 'g' is not defined (line 2)"),
    ("exits.py", "raise SystemExit('no licence')\n", "SystemExit: no licence (line 1)"),
    ("null.py", "x = '\0'\n", "SyntaxError: source code string cannot contain null bytes"),
    ("taken.py", POOLING.format(name="GAP"), "pooling 'GAP' is registered already, by plugin"),
    ("notes.txt", "x = 1\n", "is no Python file, whose name ends in .py"),
]


@pytest.mark.parametrize(("name", "text", "sentence"), WRONG)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    file = write(tmp_path / name, text)
    said = refused("plugins", "list", "--plugin", file)
    assert said.startswith(f"plugin file {file}") and sentence in said


def test_what_is_no_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "does not exist" in refused("plugins", "list", "--plugin", tmp_path / "missing.py")
    assert f"pip install -e {tmp_path}" in refused("plugins", "list", "--plugin", tmp_path)
    monkeypatch.setenv("WSSSBENCH_PLUGINS", "my_pooling.py")
    assert plugin_files.VARIABLE in refused("plugins", "list")


@pytest.mark.slow
def test_the_contract_test_takes_a_file(tmp_path: Path) -> None:
    """Nothing is wrong with it but that its docstring says nothing of its parameter."""
    file = write(tmp_path / "my_pooling.py", POOLING.format(name="MyMean"))
    outcome = call("plugins", "check", file)
    assert outcome.code == 1 and "1 component, 19 checks, 1 failed" in outcome.out, outcome
    assert (
        "parameter documentation: pooling MyMean: parameter 'power' is not documented"
        in " ".join(outcome.out.split())
    )
