"""A new plugin of every kind is clean, keeps the contract, and passes its own tests, as it is written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image
from plugin_environments import environment_with, make_venv
from warm_processes import WarmProcess

from wsssbench.contract import Rig, Subject, checks_of
from wsssbench.contract.selection import select
from wsssbench.errors import UserError
from wsssbench.registry import KINDS
from wsssbench.scaffold.kinds import SCAFFOLDS
from wsssbench.scaffold.names import Names, names_of
from wsssbench.scaffold.write import write_plugin

# what `make test` holds our own code to
RULES = "E,F,W,I,B,UP,SIM,C4,PIE,RET,PTH,NPY,RUF"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A package of each kind, called my-<kind>."""
    parent = tmp_path_factory.mktemp("packages")
    folders = {kind: parent / f"my-{kind}" for kind in KINDS}
    for kind, folder in folders.items():
        write_plugin(names_of(folder.name), kind, folder)
    return folders


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per split and class, for the data set."""
    root = tmp_path_factory.mktemp("photos")
    for name in ("train/cat/1", "train/cat/2", "train/dog/2", "val/dog/1"):
        path = root / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 12)).save(path)
    return root


def run(*words: object, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_is_a_scaffold_for_every_kind() -> None:
    assert set(SCAFFOLDS) == set(KINDS)
    templates = files("wsssbench.scaffold") / "templates"
    for kind in KINDS:
        for name in ("component.py.j2", "test.py.j2"):
            assert (templates / kind / name).is_file()


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff")
@pytest.mark.parametrize("name", ["a", "my-speaking"])
def test_packages_are_clean(tmp_path: Path, name: str) -> None:
    for kind in KINDS:
        write_plugin(names_of(f"{name}-{kind}"), kind, tmp_path / kind)
    for command in (["check"], ["check", "--select", RULES], ["format", "--check"]):
        run(sys.executable, "-m", "ruff", *command, "--no-cache", ".", cwd=tmp_path)


def test_packages_pass_their_tests(
    packages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process; the contract is the matter of the next test."""
    monkeypatch.chdir(tmp_path)
    process = WarmProcess(
        "pytest", "-q", "-p", "no:cacheprovider", "-k", "not the_contract", *packages.values(),
        output=tmp_path / "output.txt", environment=environment_with(packages.values(), tmp_path),
    )  # fmt: skip
    assert process.wait() == 0, process.output
    assert f"{len(KINDS)} deselected" in process.output


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_components_keep_the_contract(kind: str, packages: dict[str, Path], photos: Path) -> None:
    """All of it but the check in a spawned process, which the slow test makes as well."""
    parameters = {"root": str(photos)} if kind == "dataset" else {}
    with select(str(packages[kind])) as selection, Rig(selection.registries) as rig:
        (component,) = selection.components
        subject = Subject(rig, component, parameters)
        checks = checks_of(component, selection.registries)
        findings = [subject.run(c) for c in checks if c.__name__ != "spawned_process"]
    assert len(findings) > 10
    assert [f"{f.check}: {f.sentence}" for f in findings if f.state != "ok"] == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_packages_are_installed_by_pip(packages: dict[str, Path], photos: Path) -> None:
    """As ``plugins new`` says, in a virtual environment."""
    pytest.importorskip("hatchling", reason="hatchling")
    parent = packages["pooling"].parent
    environment = make_venv(parent / "venv")
    for kind, folder in packages.items():
        needs = ["--set", f"root={photos}"] if kind == "dataset" else []
        run("pip", "install", "-e", folder.name, cwd=parent, env=environment)
        run("pytest", "-q", folder.name, cwd=parent, env=environment)
        out = run("wsssbench", "plugins", "check", folder.name, *needs, cwd=parent, env=environment)
        assert "0 failed" in out and "skipped" not in out
        listed = run("wsssbench", "plugins", "list", "--kind", kind, cwd=parent, env=environment)
        assert f"my_{kind} 0.1.0" in listed


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("my-pooling", Names("my-pooling", "my_pooling", "MyPooling")),
        ("GAP2.d_x", Names("GAP2.d_x", "gap2_d_x", "GAP2DX")),
        ("a", Names("a", "a", "A")),
    ],
)
def test_names(name: str, names: Names) -> None:
    assert names_of(name) == names


@pytest.mark.parametrize("name", ["2d", "-x", "a b", "x-", "größe", "../x", "", "class", "none"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(UserError, match="cannot be the name of a plugin"):
        names_of(name)
