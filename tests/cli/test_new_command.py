"""``wsssbench plugins new``: what it prints, and what it refuses in one sentence."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from in_process import call, refused

from wsssbench.plugins import load


def test_what_is_printed_is_what_was_written(tmp_path: Path) -> None:
    outcome = call(
        "plugins", "new", "quite-new-pooling", "--kind", "pooling", "--out", tmp_path / "new"
    )
    assert (outcome.code, outcome.err) == (0, "")
    folder = tmp_path / "new" / "quite-new-pooling"
    head, _, following = outcome.out.partition("next:\n")
    title, *names = head.splitlines()
    assert title == f"pooling QuiteNewPooling, written to {folder}:"
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert {name.strip() for name in names} == {str(p.relative_to(folder)) for p in written}
    commands = [shlex.split(line) for line in following.splitlines()]
    assert commands[0] == ["pip", "install", "-e", str(folder)]
    assert commands[1] == ["wsssbench", "plugins", "check", str(folder)]
    assert commands[2][:2] == ["wsssbench", "run"]
    assert "classifier.pooling=QuiteNewPooling" in commands[2]
    assert len(commands) == 3
    for path in written:
        assert "{{" not in path.read_text() and "{%" not in path.read_text()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("2d-pooling", ["'2d-pooling'", "starting with a letter, as in my-pooling"]),
        ("class", ["'class'", "a word of Python's", "my-class"]),
        ("GPP", ["component name GPP is taken", "pooling of aeft", "another name"]),
        ("aeft", ["plugin name aeft is taken", "by wsssbench"]),
        ("numpy", ["package name numpy is taken", "by numpy 2"]),
        ("json", ["module name json is taken", "json/__init__.py"]),
        ("itertools", ["module name itertools is taken", "built-in"]),
        ("wsssbench-aeft", ["module name wsssbench_aeft is taken"]),
    ],
)
def test_names_that_are_refused(name: str, words: list[str], tmp_path: Path) -> None:
    sentence = refused("plugins", "new", name, "--kind", "cam", "--out", tmp_path)
    assert not any(tmp_path.iterdir())
    for word in words:
        assert word in sentence


def test_the_name_of_any_installed_component_is_taken() -> None:
    for registry in load().registries:
        for name in registry.components:
            assert f"component name {name} is taken" in refused(
                "plugins", "new", name, "--kind", "erasing"
            )


def test_folders_and_kinds_that_are_refused(tmp_path: Path) -> None:
    arguments = ("plugins", "new", "quite-new-pooling", "--out", tmp_path)
    assert "--kind is missing: what is quite-new-pooling to be?" in refused(*arguments)
    assert "did you mean pooling" in refused(*arguments, "--kind", "poolin")
    folder = tmp_path / "quite-new-pooling"
    folder.mkdir()
    assert call(*arguments, "--kind", "pooling").code == 0  # an empty folder is fine
    before = sorted(folder.rglob("*"))
    assert f"the folder {folder} is not empty" in refused(*arguments, "--kind", "pooling")
    assert sorted(folder.rglob("*")) == before
    (tmp_path / "quite-new-cam").write_text("")
    assert "is a file" in refused(
        "plugins", "new", "quite-new-cam", "--kind", "cam", "--out", tmp_path
    )
