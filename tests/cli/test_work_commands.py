"""``runs list``, ``cache size``, ``cache clean`` and ``config diff``: what is in a work directory, and what may go."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from in_process import call, refused

from wsssbench.experiment.cache import Entry, Key
from wsssbench.experiment.config import config_text, resolve
from wsssbench.experiment.plan import Settings, make_plan
from wsssbench.progress import Silent
from wsssbench.results.run import Evaluation, Point, RunResult, to_json
from wsssbench.results.started import announced


def entry(work: Path, config: int, size: int, complete: bool = True) -> Entry:
    """A result of `size` bytes in the cache."""
    made = Entry(work / "cache", Key("refine", {"a": config}, {}, {}, ""), "refine.crf")
    made.open()
    (made.directory / "x.npz").write_bytes(b"x" * size)
    if complete:
        made.close({}, {"node": "refine.crf", "seconds": 1.0})
    return made


def finished(work: Path, name: str, *needs: Entry, trial: str = "", rung: str = "CAM") -> Path:
    """The folder of a finished run."""
    directory = work / "runs" / name / "12345678-seed0"
    directory.mkdir(parents=True)
    score = Evaluation(rung, "cam", "train", chosen=Point(51.25, 60.0, 70.0, 0.2))
    result = RunResult(name, directory.name, "name = 'x'\n", [score], [], trial=trial)
    (directory / "metrics.json").write_text(to_json(result))
    stages = {
        f"s{i}": {"hash": one.key.hash, "directory": str(one.directory)}
        for i, one in enumerate(needs)
    }
    run = {
        "name": name,
        "created": "2026-01-02T03:04:05",
        "smoke": trial == "smoke",
        "stages": stages,
    }
    (directory / "run.json").write_text(json.dumps(run))
    return directory


def test_only_what_no_run_needs_is_removed(tmp_path: Path) -> None:
    kept, shared, free, half = (entry(tmp_path, i, 1000, i < 3) for i in range(4))
    finished(tmp_path, "a", kept, shared)
    finished(tmp_path, "b/c", shared)
    foreign = [tmp_path / "cache" / "refine" / "notes", tmp_path / "cache" / "mine.txt"]
    foreign[0].mkdir()
    foreign[1].write_text("keep me")
    linked = tmp_path / "cache" / "refine" / ("f" * 16)
    outside = tmp_path / "outside"
    shutil.copytree(free.directory, outside)
    linked.symlink_to(outside)
    sizes = json.loads(call("cache", "size", "--work-dir", tmp_path, "--json").out)
    assert sizes["total"]["results"] == 4 and sizes["total"]["unneeded results"] == 2
    assert sizes["kinds"]["refine"] == sizes["total"]
    assert 2000 <= sizes["total"]["unneeded bytes"] < 4000 <= sizes["total"]["bytes"]
    done = call("cache", "clean", "--yes", "--work-dir", tmp_path)
    assert done.code == 0 and "removed 2 results, " in done.out
    assert [one.directory.exists() for one in (kept, shared, free, half)] == [
        True,
        True,
        False,
        False,
    ]
    assert all(path.exists() for path in (*foreign, linked, outside / "manifest.json"))
    assert "nothing to remove" in call("cache", "clean", "--work-dir", tmp_path).out


def test_cleaning_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = entry(tmp_path, 0, 10)
    assert "give --yes" in refused("cache", "clean", "--work-dir", tmp_path)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for answer, there in (("n", True), ("", True), ("y", False)):
        monkeypatch.setattr("typer.confirm", lambda question, answer=answer: answer == "y")
        assert call("cache", "clean", "--work-dir", tmp_path).code == 0
        assert free.directory.exists() == there


def test_what_a_process_makes_now_stays(tmp_path: Path) -> None:
    free = entry(tmp_path, 0, 10, complete=False)
    with FileLock(free.lock):
        done = call("cache", "clean", "--yes", "--work-dir", tmp_path)
    assert "removed 0 results" in done.out and "1 result stayed" in done.out
    assert (free.directory / "x.npz").exists()


def test_nothing_is_removed_while_a_run_does_not_say_what_it_needs(tmp_path: Path) -> None:
    free = entry(tmp_path, 0, 10)
    run = finished(tmp_path, "a") / "run.json"
    for content in ("{", "[]", '{"stages": [1]}', "null"):
        run.write_text(content)
        assert str(run.parent) in refused("cache", "clean", "--yes", "--work-dir", tmp_path)
        assert "damaged" in call("runs", "list", "--work-dir", tmp_path).out
    assert free.directory.exists()


def test_runs_in_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no runs in" in call("runs", "list", "--work-dir", tmp_path).out
    one = entry(tmp_path, 0, 5000)
    finished(tmp_path, "first", one)
    finished(tmp_path, "second-smoke", one, trial="smoke")
    monkeypatch.setenv("COLUMNS", "80")
    shown = call("runs", "list", "--work-dir", tmp_path).out
    for words in ("first", "second-smoke", "12345678", "51.2 CAM", "smoke", "2026-01-02"):
        assert words in shown
    finished(tmp_path, "aeft_synthetic-smoke", rung="+ random walk + CRF")
    shown = call("runs", "list", "--work-dir", tmp_path).out
    for whole in ("aeft_synthetic-smoke ", "51.2 + random walk + CRF ", "finished "):
        assert whole in shown
    assert max(map(len, shown.splitlines())) <= 80
    listed = {
        run["name"]: run
        for run in json.loads(call("runs", "list", "--work-dir", tmp_path, "--json").out)
    }
    assert [listed[name]["smoke"] for name in ("first", "second-smoke")] == [False, True]
    assert listed["first"]["mIoU"] == 51.25 and listed["first"]["bytes"] > 5000
    assert listed["first"]["stages"] == ["s0"] and listed["first"]["state"] == "finished"


def test_a_run_is_listed_and_its_results_are_needed_from_its_beginning(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    plan = make_plan(resolve(tiny), Settings(tmp_path, "cpu", 1, Silent(), until="classify"))

    def state() -> str:
        (run,) = json.loads(call("runs", "list", "--work-dir", tmp_path, "--json").out)
        assert run["stages"] == ["data", "classify"]
        return str(run["state"])

    done = plan.steps[0].entry
    with pytest.raises(KeyboardInterrupt), announced(plan, tmp_path):
        done.open()
        done.close({}, {})
        assert state() == "running"
        call("cache", "clean", "--yes", "--work-dir", tmp_path)
        raise KeyboardInterrupt
    assert state() == "interrupted"
    call("cache", "clean", "--yes", "--work-dir", tmp_path)
    assert done.manifest() is not None
    folder = plan.directory(tmp_path)
    assert call("config", "diff", folder, folder).code == 0
    counts = plan.directory(tmp_path) / "image_counts"
    counts.mkdir()
    (counts / ".cam.npz.1-2.partial").write_bytes(b"of a run that was killed")
    with announced(plan, tmp_path):
        assert not any(counts.iterdir())
        (folder / "run.json").write_text("{}")
    assert not (folder / "started.json").exists()


def test_two_configs_side_by_side(tiny: dict[str, Any], tmp_path: Path) -> None:
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text(config_text(tiny))
    two.write_text(
        config_text({**tiny, "cam": {**tiny["cam"], "flip": False}, "refine": {}, "label": None})
    )
    outcome = call("config", "diff", one, two, "--json")
    found = json.loads(outcome.out)
    assert outcome.code == 1 and found["cam.flip"] == {"a": True, "b": False}
    assert found["refine.crf.preset"] == {"a": "psa"} and "cam.scales" not in found
    assert call("config", "diff", one, one).code == 0
    assert "cam.flip" in call("config", "diff", one, two).out
    assert "unknown config" in refused("config", "diff", one, tmp_path / "tow.py")
    assert "not the folder of a run" in refused("config", "diff", one, tmp_path)


def test_the_config_of_a_run_is_not_executed(tiny: dict[str, Any], tmp_path: Path) -> None:
    run = finished(tmp_path, "a")
    ran = tmp_path / "ran"
    (run / "config.py").write_text(f"import os\nos.mkdir({os.fspath(ran)!r})\n")
    for given in (run, run / "config.py"):
        assert call("config", "diff", given, run).code == 0
    assert not ran.exists()
