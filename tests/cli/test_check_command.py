"""``wsssbench plugins check``: packages in folders and installed ones, and what it says to mistakes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import call, refused

from wsssbench.contract import selection
from wsssbench.contract.selection import select
from wsssbench.errors import UserError
from wsssbench.plugins import Loaded, Plugin, load

POOLINGS = '''
"""Poolings for a test."""
import torch
from torch import nn
from wsssbench.hookspecs import hookimpl
from wsssbench.interfaces import Pooled, Pooling

@hookimpl
def register(registries):
    registries.pooling.add("TopMean", "{module}:TopMean", summary="mean of the largest values")
    registries.pooling.add("OnlyBatches", "{module}:OnlyBatches", summary="normalises the batch")
    registries.pooling.add("Sized", "{module}:Sized", summary="needs a size")

class TopMean(Pooling):
    """Mean of the largest values.

    Args:
        share: of the values.
    """

    def __init__(self, num_classes, *, share: float = 0.5):
        super().__init__()
        self.share = share

    def forward(self, maps):
        print("maps of", maps.shape)
        values = maps.float().flatten(2).sort(dim=2, descending=True).values
        return Pooled(values[..., : max(1, int(self.share * values.shape[2]))].mean(2))

class OnlyBatches(TopMean):
    def forward(self, maps):
        logits = super().forward(maps).logits
        return Pooled((logits - logits.mean(0)) / logits.std(0))

class Sized(TopMean):
    """Takes a `size` and a `share`."""

    def __init__(self, num_classes, *, size: int, share: float = 0.5):
        super().__init__(num_classes, share=share)
'''
PROJECT = """
[project]
name = "{name}"
version = "0.3"

[project.entry-points.wsssbench]
{point} = "{module}"
"""


def package(
    folder: Path, text: str = POOLINGS, point: str = "tops", module: str = "tops", sources: str = ""
) -> Path:
    """A package of one module, which is not installed."""
    (folder / sources).mkdir(parents=True, exist_ok=True)
    project = PROJECT.format(name=f"some-{point}", point=point, module=module)
    (folder / "pyproject.toml").write_text(project)
    (folder / sources / f"{module}.py").write_text(text.replace("{module}", module))
    return folder


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """The modules of test packages do not stay."""
    yield
    for name in [n for n in sys.modules if n.split(".")[0] in ("tops", "other_gap")]:
        del sys.modules[name]


def in_one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.usefixtures("warm_workers")
def test_a_package_that_is_not_installed(tmp_path: Path) -> None:
    path = list(sys.path)
    outcome = call("plugins", "check", package(tmp_path / "tops"))
    assert outcome.code == 1
    assert outcome.err == ""
    assert max(map(len, outcome.out.splitlines())) <= 80
    out = in_one_line(outcome.out)
    first = out.partition("pooling OnlyBatches ok")[0]
    assert first.startswith("pooling TopMean ok imports, description, arguments,")
    assert "spawned process" in first and "FAILED" not in first
    assert (
        "pooling OnlyBatches: there is NaN in the logits of maps (1, 4, 8, 8), but every value"
        in out
    )
    assert "skipped builds: pooling Sized: it cannot be built without size (int)" in out
    assert "give --set Sized.size=VALUE" in out
    assert "3 components, 47 checks, " in out and " failed, 1 skipped (" in out
    assert sys.path == path
    assert not load().registries.find("TopMean")


def test_parameters_are_given_to_whoever_has_them(tmp_path: Path) -> None:
    folder = package(tmp_path / "tops")
    with select(str(folder)) as chosen:
        assert [c.name for c in chosen.components] == ["TopMean", "OnlyBatches", "Sized"]
        assert {(c.plugin, c.distribution, c.version) for c in chosen.components} == {
            ("tops", "some-tops", "0.3")
        }
        given = chosen.parameters(["size=3", "Sized.share=0.25"])
        assert given == {"TopMean": {}, "OnlyBatches": {}, "Sized": {"size": 3, "share": 0.25}}
        assert chosen.parameters(["share=0.1"])["TopMean"] == {"share": 0.1}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "sise=3"], "--set sise=3: unknown parameter 'sise': did you mean size"),
        (["--set", "Sized.sise=3"], "unknown key 'sise': did you mean size"),
        (["--set", "size=wide"], "size='wide' has to be int"),
        (["--set", "size"], "--set size: has to be of the form"),
        (["--split", "train"], "--split train: there is no data set"),
    ],
)
def test_wrong_settings(tmp_path: Path, options: list[str], words: str) -> None:
    assert words in refused("plugins", "check", package(tmp_path / "tops"), *options)


def test_src_layout_and_a_folder_given_by_its_pyproject(tmp_path: Path) -> None:
    folder = package(tmp_path / "tops", sources="src")
    for what in (folder, folder / "pyproject.toml"):
        with select(str(what)) as chosen:
            assert len(chosen.components) == 3
            assert sys.modules["tops"].__file__ == str(folder / "src" / "tops.py")


def test_the_package_in_the_folder_comes_before_an_installed_one(tmp_path: Path) -> None:
    text = POOLINGS.replace('"TopMean", ', '"GAP", ')
    folder = package(tmp_path / "gap", text, point="baselines", module="other_gap")
    with select(str(folder)) as chosen:
        assert [c.name for c in chosen.components] == ["GAP", "OnlyBatches", "Sized"]
        assert chosen.components[0].target == "other_gap:TopMean"
        assert not chosen.registries.find("RigidErasing")
        assert load().registries.find("GAP") == [chosen.components[0]]
    assert load().registries.find("RigidErasing")


def test_a_second_package_whose_module_has_the_same_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder = package(tmp_path / name)
        with select(str(folder)) as chosen:
            cls = chosen.registries.pooling.get("TopMean")
            assert sys.modules[cls.__module__].__file__ == str(folder / "tops.py")


def test_names_of_plugins_distributions_and_components() -> None:
    for what, expected in {
        "lse": {"LSE", "GMP"},
        "GPP": {"GPP"},
        "baselines": {"GAP", "OCCSE", "RigidErasing", "SEAM"},
        "wsssbench": {"GAP", "GPP", "DeepLab", "VOC2012"},
    }.items():
        with select(what) as chosen:
            names = {component.name for component in chosen.components}
        assert expected <= names
        assert len(expected) > 2 or names == expected


def test_a_plugin_that_registers_nothing(tmp_path: Path) -> None:
    outcome = call("plugins", "check", package(tmp_path / "tops", "VALUE = 1"))
    assert outcome.code == 0
    assert "it registers no component" in outcome.out
    assert "0 components, 0 checks, 0 failed" in outcome.out


def test_a_misspelt_name() -> None:
    sentence = refused("plugins", "check", "baseline")
    assert (
        "unknown plugin, distribution or component 'baseline': did you mean baselines" in sentence
    )


def test_folders_that_are_no_package(tmp_path: Path) -> None:
    def said(what: object) -> str:
        return refused("plugins", "check", what)

    assert f"{tmp_path / 'absent'} does not exist: give the folder" in said(tmp_path / "absent")
    assert f"{tmp_path} has no pyproject.toml" in said(tmp_path)
    (tmp_path / "tops.py").write_text("")
    assert "tops.py has no component: define a class" in said(tmp_path / "tops.py")
    (tmp_path / "tops.txt").write_text("")
    assert "tops.txt is a file, not the folder of a package" in said(tmp_path / "tops.txt")
    project = tmp_path / "pyproject.toml"
    project.write_text("[project\n")
    assert f"{project} is no TOML" in said(tmp_path)
    for text in ("", "[project]\nname = 'x'\n", "project = 3", PROJECT.partition("[project.e")[0]):
        project.write_text(text)
        sentence = said(tmp_path)
        assert f"{project} has no entry point in the group 'wsssbench'" in sentence
        assert (
            '[project.entry-points.wsssbench] with a line like my_method = "my_package"' in sentence
        )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise RuntimeError('out of order')", "RuntimeError: out of order"),
        ("def register(:", "SyntaxError"),
        ("import absent_library", "ModuleNotFoundError: No module named 'absent_library'"),
        (POOLINGS.replace("def register", "def registr"), "unknown hook 'registr'"),
        (POOLINGS.replace('"TopMean", ', '"GPP", '), "registered already, by plugin 'aeft'"),
    ],
)
def test_a_plugin_that_cannot_be_loaded(tmp_path: Path, text: str, words: str) -> None:
    sentence = refused("plugins", "check", package(tmp_path, text))
    assert f"plugin 'tops' of {tmp_path} cannot be loaded: " in sentence
    assert words in sentence


def test_an_entry_point_that_names_a_missing_module(tmp_path: Path) -> None:
    package(tmp_path)
    (tmp_path / "tops.py").rename(tmp_path / "bottoms.py")
    sentence = refused("plugins", "check", tmp_path)
    assert "cannot be loaded: ModuleNotFoundError: No module named 'tops'" in sentence


def test_an_installed_plugin_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = load()
    broken = Plugin("tops", "some-tops", "0.3", "ImportError: no such thing")
    changed = Loaded((*installed.plugins, broken), installed.registries, installed.hooks)
    monkeypatch.setattr(selection, "load", lambda: changed)
    for name in ("tops", "some-tops"):
        with pytest.raises(UserError, match="'tops' of some-tops cannot be loaded: ImportError"):
            select(name).__enter__()
