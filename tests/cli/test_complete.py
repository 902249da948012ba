"""What TAB offers, by the protocol that typer's scripts for bash, zsh and fish speak; and in bash itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wsssbench import plugins
from wsssbench.cli import complete
from wsssbench.errors import UserError
from wsssbench.plugins import load
from wsssbench.registry import KINDS

SHOW_SCRIPT = {"_WSSSBENCH_COMPLETE": "source_bash"}
ERASING = ["AEFT", "AEFTReleased", "RigidErasing", "none"]


def names(offer: complete.Offer) -> list[str]:
    return [name for name, _ in offer]


def wsssbench(**environment: str) -> str:
    """What ``wsssbench`` prints when a shell's script calls it; it must not import torch."""
    code = (
        "import sys; sys.argv = ['wsssbench']\n"
        "from wsssbench.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    assert not {'torch', 'mmseg'} & set(sys.modules), 'slow'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def in_bash(line: str) -> list[str]:
    """What is offered for `line`, whose words bash parts at blanks and at equals signs."""
    words = line.replace("=", " = ").split(" ")
    words = [word for word in words[:-1] if word] + words[-1:]
    if words[-1] == "" and words[-2:-1] == ["="]:
        words.pop()  # bash takes the sign itself for the word
    return wsssbench(
        _WSSSBENCH_COMPLETE="complete_bash",
        COMP_WORDS="\n".join(words),
        COMP_CWORD=str(len(words) - 1),
    ).split()


def test_components_in_bash() -> None:
    assert set(in_bash("wsssbench plugins describe G")) >= {"GAP", "GPP"}


def test_kinds_in_bash() -> None:
    assert in_bash("wsssbench plugins new my-thing --kind p") == ["pooling"]
    assert in_bash("wsssbench plugins list --kind=er") == ["erasing"]


@pytest.mark.parametrize("option", ["--set classifier.erasing=", "--set=classifier.erasing="])
def test_assignments_in_bash(option: str) -> None:
    offered = in_bash(f"wsssbench run a.py --set seed=1 {option}")
    assert set(offered) >= set(ERASING) and not set(offered) & {"GPP", "GAP"}


def test_assignments_in_zsh_and_fish() -> None:
    line = "wsssbench run a.py --set classifier.erasing=R"
    zsh = wsssbench(_WSSSBENCH_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=line)
    assert '"classifier.erasing=RigidErasing"' in zsh
    fish = wsssbench(
        _WSSSBENCH_COMPLETE="complete_fish",
        _TYPER_COMPLETE_ARGS=line,
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )
    assert fish.startswith("classifier.erasing=RigidErasing\t")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash")
def test_the_installed_script_completes_in_bash(tmp_path: Path) -> None:
    """bash runs the script that ``--install-completion`` installs, with words as it has parted them."""
    command = tmp_path / "wsssbench"
    command.write_text(f"#!{sys.executable}\nfrom wsssbench.cli import main\nmain()\n")
    command.chmod(0o755)
    script = wsssbench(**SHOW_SCRIPT)
    lines = [
        script,
        "COMP_WORDS=(wsssbench run a.py --set classifier.erasing = Ri); COMP_CWORD=6",
        '_wsssbench_completion wsssbench; printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert (done.stdout.split(), done.stderr) == (["RigidErasing"], "")


@pytest.mark.parametrize(
    ("words", "current", "joined", "now", "key"),
    [
        ("w run --set a = b --set c = d", 9, "w run --set a=b --set d", 5, "c"),
        ("w run --set c =", 4, "w run --set", 3, "c"),
        ("w run --set=c = d", 4, "w run --set d", 3, "c"),
        ("w run --set = c = d", 6, "w run --set d", 3, "c"),
        ("w list --kind = p", 4, "w list --kind p", 3, None),
        ("w describe G", 2, "w describe G", 2, None),
        ("w describe", 2, "w describe", 2, None),
    ],
)
def test_words_that_bash_has_parted(
    words: str, current: int, joined: str, now: int, key: str | None
) -> None:
    environ = {
        "_WSSSBENCH_COMPLETE": "complete_bash",
        "COMP_WORDS": words.replace(" ", "\n"),
        "COMP_CWORD": str(current),
    }
    complete.rejoin_words(environ)
    assert (environ["COMP_WORDS"], environ["COMP_CWORD"]) == (joined, str(now))
    assert environ.get("_WSSSBENCH_COMPLETE_KEY") == key


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"_WSSSBENCH_COMPLETE": "complete_zsh", "COMP_WORDS": "w = a", "COMP_CWORD": "2"},
        {"_WSSSBENCH_COMPLETE": "complete_bash", "COMP_WORDS": "w 'a", "COMP_CWORD": "1"},
    ],
)
def test_other_shells_and_open_quotes_are_left_alone(environ: dict[str, str]) -> None:
    before = dict(environ)
    complete.rejoin_words(environ)
    assert environ == before


def test_every_component_is_offered() -> None:
    everything = {c.name for registry in load().registries for c in registry.components.values()}
    assert set(names(complete.components(""))) == everything
    assert dict(complete.components("GAP"))["GAP"].startswith("global average pooling")
    assert "wsssbench" in names(complete.plugins_and_components("wsss"))
    assert names(complete.kinds("")) == sorted(KINDS)


def test_assignments() -> None:
    assert set(names(complete.assignments("classifier.pooling=G"))) >= {
        "classifier.pooling=GAP",
        "classifier.pooling=GPP",
    }
    keys = {name.partition("=")[0] for name in names(complete.assignments(""))}
    assert {"data", "cam", "classifier.erasing", "segmenter.backbone"} <= keys
    assert complete.assignments("seed=") == complete.assignments("nonsense") == []


def test_grids_take_short_names_and_several_values() -> None:
    first = names(complete.grids("pooling=G"))
    assert {"pooling=GAP", "pooling=GPP"} <= set(first)
    offered = names(complete.grids("pooling=GAP,G"))
    assert "pooling=GAP,GPP" in offered and "pooling=GAP,GAP" not in offered
    assert "erasing=none" in names(complete.grids("era"))


def test_a_broken_environment_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise UserError("WSSSBENCH_PLUGINS names nothing")

    monkeypatch.setattr(plugins, "load", broken)
    assert complete.components("") == complete.assignments("") == []
    assert complete.plugins_and_components("") == []
