"""The folder of a stranger's run: it is read as data, it names no file outside, and damage is one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from in_process import call, refused
from made_up_cache import write_cached_run

import wsssbench
from wsssbench.errors import UserError
from wsssbench.results.run_files import read_stages


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cached_run(tmp_path_factory.mktemp("made") / "work")


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "work" / "runs" / made.parent.name / made.name))


def commands(run: Path, out: Path) -> dict[str, tuple[object, ...]]:
    """Every command that takes the folder of a run."""
    return {
        "cams": ("export", "cams", run, "--format", "psa", "--out", out / "o", "--split", "train"),
        "voc": ("export", "voc-submission", run, "--device", "cpu", "--workers", 1),
        "report": ("report", run, "--out", out / "report.html"),
        "compare": ("compare", run, run, "--columns", "classifier.pooling"),
    }


@pytest.mark.parametrize("name", ["cams", "voc", "report", "compare"])
def test_no_command_runs_a_config(run: Path, tmp_path: Path, name: str) -> None:
    mark = tmp_path / "mark"
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    whole = (run / "config.py").read_text()
    metrics = json.loads((run / "metrics.json").read_text())
    for line in (code, f"name = {code}", f"import os\n{code}"):
        text = f"{line}\n{whole}"
        (run / "config.py").write_text(text)
        (run / "metrics.json").write_text(json.dumps({**metrics, "config": text}))
        outcome = call(*commands(run, tmp_path)[name])
        assert not mark.exists()
        assert "line 1" in outcome.out + outcome.err or "malformed" in outcome.out + outcome.err
        assert outcome.code == (0 if name == "report" else 2)  # a page without pictures


def test_the_python_door_runs_no_config(run: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (run / "config.py").write_text(f"open({str(mark)!r}, 'w')\n")
    with pytest.raises(UserError, match=r"config\.py: .*line 1 is not of the form name = value"):
        _ = wsssbench.open_run(run).config
    assert not mark.exists()


def stages(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """What changes the stage `cam` in a ``run.json``."""

    def damage(run: Path) -> None:
        content = json.loads((run / "run.json").read_text())
        change(content["stages"]["cam"])
        (run / "run.json").write_text(json.dumps(content))

    return damage


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no UTF-8": (lambda run: (run / "run.json").write_bytes(b'{"a": "\xff"}'), "not valid JSON"),
    "deep": (lambda run: (run / "run.json").write_text("[" * 100_000), "not valid JSON"),
    "a list": (lambda run: (run / "run.json").write_text("[]"), "not []"),
    "no stages": (lambda run: (run / "run.json").write_text("{}"), "stages: Field required"),
    "a number": (stages(lambda cam: cam.update(hash=3)), "stages.cam.hash: Input should be"),
    "a missing entry": (stages(lambda cam: cam.pop("directory")), "stages.cam.directory: Field"),
    "a path": (stages(lambda cam: cam.update(hash="../../x")), "stages.cam: "),
    "another place": (stages(lambda cam: cam.update(directory="/etc", hash="etc")), "stages.cam: "),
    "no place": (stages(lambda cam: cam.update(directory="", hash="")), "stages.cam: "),
    "up": (stages(lambda cam: cam.update(directory="cache/../..", hash="..")), "stages.cam: "),
    "NUL": (stages(lambda cam: cam.update(directory="work/cache/a/b\0", hash="b\0")), "stages.cam"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_record_is_one_sentence_with_file_and_entry(run: Path, kind: str) -> None:
    damage, words = DAMAGE[kind]
    damage(run)
    with pytest.raises(UserError, match=r"run\.json") as error:
        read_stages(run)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (b"\xff\xfe", "it is not in UTF-8"),
        (b"name = (", "config.py"),
        (b"name = " + b"[" * 5000, "config.py"),
        (b"name = 'x'\ndata = 3\n", "data=dict(...) is missing"),
        (b"name = 'x'\ndata = {'type': 'SyntheticScenes', 'sed': 1}\nsplits = {}\n", "sed"),
        (b"name = 'x'\ndata = {'type': []}\nsplits = {}\n", "has to be dict(type="),
    ],
)
def test_a_damaged_config_is_one_sentence(
    run: Path, tmp_path: Path, config: bytes, words: str
) -> None:
    (run / "config.py").write_bytes(config)
    assert words in refused(*commands(run, tmp_path)["cams"])


@pytest.mark.parametrize("node", ["../../x", "/etc/x", "a\0b", ""])
def test_an_evaluation_names_no_file_outside(run: Path, tmp_path: Path, node: str) -> None:
    content = json.loads((run / "metrics.json").read_text())
    content["rungs"][0]["node"] = node
    (run / "metrics.json").write_text(json.dumps(content))
    assert "rungs.0.node: " in refused(*commands(run, tmp_path)["compare"])
