"""The code version follows the code that a component uses, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wsssbench.experiment import provenance
from wsssbench.experiment.graph import STAGES
from wsssbench.experiment.provenance import code_version
from wsssbench.plugins import load
from wsssbench.stages.stage import StageKind


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "somepkg"
    root.mkdir()
    (root / "__init__.py").write_text("")
    (root / "used.py").write_text("VALUE = 1\n")
    (root / "other.py").write_text("VALUE = 2\n")
    (root / "component.py").write_text("from .used import VALUE\nimport json\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "somepkg", raising=False)  # of an earlier test
    return root


def version() -> dict[str, str]:
    for function in (provenance._closure, provenance._imports, provenance._source):
        function.cache_clear()
    return provenance.code_version(["somepkg.component"])


def test_a_change_in_what_is_imported_counts(package: Path) -> None:
    before = version()
    assert set(before) == {"somepkg"}
    (package / "other.py").write_text("VALUE = 3\n")
    assert version() == before
    (package / "used.py").write_text("VALUE = 4\n")
    assert version() != before


def test_nothing_is_imported_to_see_what_is_imported(package: Path) -> None:
    """A plan is made without the seconds that mmengine takes."""
    (package / "used.py").write_text("raise RuntimeError\nclass VALUE: pass\n")
    before = version()
    assert "somepkg.used" in provenance._closure(("somepkg.component",))
    (package / "used.py").write_text("raise RuntimeError\nclass VALUE: other = 1\n")
    assert version() != before


def test_a_stage_depends_on_the_maths_it_uses() -> None:
    closure = provenance._closure(("wsssbench.stages.evaluate",))
    assert "wsssbench.evaluation.confusion" in closure
    assert not any(name.startswith("wsssbench.cli") for name in closure)
    assert "wsssbench.errors" not in closure  # its sentences change no result


@pytest.mark.parametrize("kind", STAGES, ids=lambda kind: kind.name)
def test_wording_tables_and_pages_are_no_part_of_a_stage(kind: StageKind) -> None:
    """Another colour of a table is no reason to train again."""
    closure = provenance._closure((type(kind).__module__,))
    rooms = {name.split(".")[1] for name in closure if "." in name}
    assert rooms.isdisjoint({"api", "cli", "pages", "results", "sweep", "experiment", "contract"})


def test_the_code_of_components_does_not_cover_what_shows_results() -> None:
    for registry in load().registries:
        for component in registry.components.values():
            module = component.target.partition(":")[0]
            rooms = {name.split(".")[1] for name in provenance._closure((module,)) if "." in name}
            assert rooms.isdisjoint({"api", "cli", "pages", "results", "sweep"}), component


def test_environment_names_the_packages_that_matter() -> None:
    found = provenance.environment()
    assert found["torch"][0].isdigit() and found["python"][0] == "3"


def test_the_version_of_every_components_package_is_known() -> None:
    for registry in load().registries:
        for component in registry.components.values():
            module = component.target.partition(":")[0]
            release = code_version([module])[module.partition(".")[0]]
            assert release.startswith(component.version), (component, release)


def git(*arguments: str) -> None:
    given = ("-c", "user.name=a", "-c", "user.email=b", *arguments)
    subprocess.run(("git", *given), check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout, the current folder, with one file."""
    if shutil.which("git") is None:
        pytest.skip("git")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    folder = tmp_path / "checkout"
    folder.mkdir()
    monkeypatch.chdir(folder)
    git("init", "-q")
    (folder / "a.txt").write_text("a")
    git("add", ".")
    git("commit", "-qm", "a")
    return folder


def test_the_commit_and_whether_there_are_changes(checkout: Path) -> None:
    commit = provenance._git_commit()
    assert re.fullmatch("[0-9a-f]{40}", commit)
    (checkout / "a.txt").write_text("b")
    assert provenance._git_commit() == f"{commit} (with changes)"


def test_no_program_of_a_checkouts_own_configuration_is_started(checkout: Path) -> None:
    mark = checkout.parent / "mark"
    program = checkout.parent / "program"
    program.write_text(f"#!/bin/sh\necho $0 $@ >> '{mark}'\ncat\n")
    program.chmod(0o755)
    (checkout / ".gitattributes").write_text("*.txt filter=evil.x diff=evil.x\n")
    git("add", ".")
    git("commit", "-qm", "b")
    before = mark.read_text() if mark.exists() else ""
    assert before == ""
    hooks = checkout.parent / "hooks"
    hooks.mkdir()
    for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        shutil.copy(program, hooks / hook)
    for key, value in {
        "core.fsmonitor": str(program), "core.hooksPath": str(hooks), "core.pager": str(program),
        "filter.evil.x.clean": str(program), "filter.evil.x.process": str(program),
        "filter.evil.x.required": "true", "diff.evil.x.textconv": str(program),
        "diff.external": str(program), "core.sshCommand": str(program),
    }.items():  # fmt: skip
        git("config", "--local", key, value)
    os.utime(checkout / "a.txt", (1, 1))  # git has to look into the file
    provenance._git_commit()
    assert not mark.exists()
    git("config", "--local", "filter.a=b.clean", str(program))
    assert provenance._git_commit().endswith(" (changes unknown)") and not mark.exists()
    # It is the configuration that would do so.
    subprocess.run(("git", "status"), check=False, capture_output=True)
    assert str(program) in mark.read_text()
