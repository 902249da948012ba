"""The leaderboard's page is that of its JSON, and the JSON that of a sweep."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from comparing import METHODS
from made_up_runs import Method, write_sweep
from scipy import stats

from wsssbench.errors import UserError
from wsssbench.results.collection import load
from wsssbench.results.sweep_record import Status

TOOLS = Path(__file__).parents[2] / "tools"
WAITING = {("AEFT", 2): Status("waiting"), ("none", 0): Status("failed", "/home/me/x.py: nan")}
WAITING |= {("none", seed): Status("waiting") for seed in (1, 2)}


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(TOOLS))
    yield importlib.import_module("leaderboard")


@pytest.fixture
def recorder(board: ModuleType) -> ModuleType:
    return importlib.import_module("leaderboard_record")


def sweep(work: Path, **changes: Any) -> Path:
    """GAP and GPP with three seeds, AEFT with two, and a row without any."""
    methods = {row: dataclasses.replace(m, classifier=98.0) for row, m in METHODS.items()}
    methods |= {"GPP": dataclasses.replace(methods["GPP"], classifier=60.0), "none": Method()}
    methods = {row: dataclasses.replace(m, **changes) for row, m in methods.items()}
    return write_sweep(work, methods, baseline="GAP", unfinished=WAITING)


def test_the_page_is_that_of_the_json(board: ModuleType) -> None:
    assert board.PAGE.read_text(encoding="utf-8") == board.page(), (
        "docs/leaderboard.md is not what docs/leaderboard/*.json say: run python tools/leaderboard.py"
    )


def test_a_record_is_what_the_runs_found(recorder: ModuleType, tmp_path: Path) -> None:
    found = recorder.record(sweep(tmp_path))
    collection = load([tmp_path / "sweeps" / "table"])
    (rung,) = found["rungs"]
    values = {
        row: {str(m.seed): m.result.evaluations[0].chosen.miou for m in collection.of(row)}
        for row in ("GAP", "GPP", "AEFT")
    }
    assert {row: of["miou"]["values"] for row, of in rung["cells"].items()} == values
    gap, gpp = (list(values[row].values()) for row in ("GAP", "GPP"))
    difference = rung["cells"]["GPP"]["miou"]["difference"]
    level = difference["seeds"]["confidence"]
    expected = stats.ttest_rel(gpp, gap).confidence_interval(level)
    assert (difference["seeds"]["low"], difference["seeds"]["high"]) == pytest.approx(
        tuple(expected)
    )
    assert difference["low"] < difference["mean"] < difference["high"]
    assert rung["cells"]["AEFT"]["miou"]["difference"]["seeds"] is None
    assert any("not converged" in note for note in rung["cells"]["GPP"]["miou"]["notes"])
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["AEFT"]["seeds"] == {
        "done": [0, 1],
        "expected": [0, 1, 2],
        "states": {"2": "waiting"},
    }
    assert rows["none"]["seeds"]["done"] == [] and rows["none"]["mAP"] is None
    assert rows["GPP"]["mAP"] == {"mean": 60.0, "std": 0.0, "n": 3} and rows["GPP"]["passes"] == 1
    assert rung["protocol"]["dataset"] == "SyntheticScenes" and "seed" not in rung["protocol"]
    assert "/home/me" not in json.dumps(found)


def test_every_number_of_the_page_is_in_the_json(
    board: ModuleType, recorder: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(board, "PAGE", tmp_path / "page.md")
    board.main([str(sweep(tmp_path)), "small"])
    record = json.loads((tmp_path / "records" / "small.json").read_text(encoding="utf-8"))
    text = board.page(tmp_path / "records")
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == text
    lines = {
        line.split("|")[1].split()[0]: [cell.strip() for cell in line.split("|")[2:-1]]
        for line in text.splitlines()
        if line.startswith("| ") and "---" not in line
    }
    for row in ("GAP", "GPP", "AEFT"):
        cell = record["rungs"][0]["cells"][row]["miou"]
        assert f"{cell['mean']:.1f} ± {cell['std']:.1f}" in lines[row][0]
    assert "2 of 3 (waiting)" in lines["AEFT"] and "0 of 3 (failed, waiting)" in lines["none"]
    assert lines["none"][:2] == ["–", "–"]
    assert "**8 of 12 runs are there**" in text and "classifier not converged" in text
    # another number in the file is another page
    record["rungs"][0]["cells"]["GAP"]["miou"]["mean"] = 12.3
    (tmp_path / "records" / "small.json").write_text(json.dumps(record), encoding="utf-8")
    assert "12.3" not in text and "12.3" in board.page(tmp_path / "records")


def test_a_sweep_without_a_result_is_refused(recorder: ModuleType, tmp_path: Path) -> None:
    waiting = {("GAP", seed): Status("waiting") for seed in range(3)}
    directory = write_sweep(tmp_path, {"GAP": Method()}, unfinished=waiting)
    with pytest.raises(UserError, match="no run has finished yet"):
        recorder.record(directory)


@pytest.mark.parametrize("path", ["/home/me/weights.pth", "file at ~/weights.pth", "C:\\x\\w.pth"])
def test_a_path_of_the_machine_is_refused(recorder: ModuleType, tmp_path: Path, path: str) -> None:
    with pytest.raises(UserError, match="has a path of this machine"):
        recorder.record(sweep(tmp_path, card={"initial weights": path}))


def test_a_file_of_another_schema_is_refused(board: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"schema": "wsssbench.leaderboard/0"}', encoding="utf-8")
    with pytest.raises(UserError, match="write it again from its sweep"):
        board.page(tmp_path)


def test_passes_are_those_of_the_components(recorder: ModuleType, tmp_path: Path) -> None:
    methods = {
        "GAP": Method(),
        "rigid": Method(set={"classifier.erasing": [{"type": "RigidErasing"}]}),
        "rounds": Method(set={"rounds": 2}),
    }
    found = recorder.record(write_sweep(tmp_path, methods, seeds=(0,)))
    passes = {row["name"]: row["passes"] for row in found["rows"]}
    assert passes == {"GAP": 1, "rigid": 2, "rounds": None}
