from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from in_process import call, refused
from made_up_runs import Method, write_run, write_sweep

GPP = {"classifier.pooling": {"type": "GPP", "bins": (2, 4)}}
METHODS = {"GAP": Method(0.55), "GPP": Method(0.6, set=GPP)}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A working directory with a sweep of two rows and two seeds, and a run."""
    write_sweep(tmp_path, METHODS, (0, 1), name="table1", paper={"GAP": {"CAM": 48.4}})
    write_run(tmp_path / "runs" / "mine" / "a-seed0", name="mine", reference={"CAM": 56.0})
    return tmp_path


def test_a_sweep_by_its_path_or_by_its_name(work):
    by_path = call("compare", work / "sweeps" / "table1", "--resamples", 20)
    by_name = call("compare", "table1", "--work-dir", work, "--resamples", 20)
    assert by_path.code == 0 and by_path.out == by_name.out and by_path.err == ""
    assert "Table 1: pooling, CAM (%)" in by_path.out and "vs." in by_path.out
    assert "not separable: n = 2, and at least 3 seeds" in by_path.out
    assert "*" not in by_path.out and "\x1b" not in by_path.out


def test_a_run_alone_has_no_difference(work):
    shown = call("compare", work / "runs" / "mine").out
    assert "56.0" in shown and "vs." not in shown
    assert "paper: as published, by the paper's own protocol" in shown
    assert shown == call("compare", "mine", "--work-dir", work).out


def test_the_formats(work):
    def text(form: str) -> str:
        return call("compare", work / "sweeps" / "table1", "--format", form).out

    assert text("markdown").startswith("**Table 1: pooling, CAM (%)**\n\n| row")
    assert r"\begin{tabular}" in text("latex")
    assert [line["row"] for line in csv.DictReader(io.StringIO(text("csv")))] == (
        ["GAP"] * 4 + ["GPP"] * 4
    )
    assert json.loads(text("json"))["schema"] == "wsssbench.comparison/1"


@pytest.mark.parametrize("form", ["terminal", "latex"])
def test_into_a_file(work, form):
    arguments = ("compare", work / "sweeps" / "table1", "--format", form)
    outcome = call(*arguments, "--out", work / "table.txt")
    assert outcome.code == 0 and outcome.out == ""
    assert (work / "table.txt").read_text(encoding="utf-8") == call(*arguments).out


def test_options_reach_the_table(work):
    document = json.loads(
        call(
            *("compare", work / "sweeps" / "table1", work / "runs" / "mine", "--format", "json"),
            *("--baseline", "GPP", "--metric", "oracle", "--where", "row=GAP", "--rung", "cam"),
            *("--resamples", 30, "--confidence", 0.9),
        ).out
    )
    assert (document["baseline"], document["metric"]) == ("GPP", "oracle")
    assert (document["resamples"], document["confidence"]) == (30, 0.9)
    assert [line["line"] for line in document["table"]] == ["GAP"]


def test_a_pivot(work):
    shown = call(
        *("compare", "table1", "--work-dir", work, "--format", "csv"),
        *("--rows", "classifier.pooling", "--columns", "seed"),
    ).out
    lines = list(csv.DictReader(io.StringIO(shown)))
    assert [(line["line"], line["column"]) for line in lines] == [
        *(("GAP", "seed 0"), ("GAP", "seed 1"), ("GPP", "seed 0"), ("GPP", "seed 1")),
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--rung", "CAMM"], "--rung: unknown rung 'CAMM': did you mean CAM"),
        (["--metric", "iou"], "--metric: unknown metric 'iou': did you mean miou"),
        (["--baseline", "GPPP"], "--baseline: unknown row 'GPPP': did you mean GPP"),
        (["--rows", "poolng"], "unknown axis 'poolng'"),
        (["--where", "row=GAPP"], "unknown value of row 'GAPP': did you mean"),
        (["--format", "html"], "--format: unknown format 'html'"),
        (["--confidence", "95"], "--confidence 95: has to be between 0 and 1"),
        (["--out", "nowhere/table.tex"], "--out nowhere/table.tex: the folder nowhere does not"),
        (["--rows", "rung", "--columns", "metric"], "they differ in row; choose with --where row="),
    ],
)
def test_mistakes_are_told_in_one_sentence(work, options, says):
    assert says in refused("compare", work / "sweeps" / "table1", *options)


def test_what_is_no_run_is_refused(work):
    assert "does not exist" in refused("compare", work / "nothing")
    assert "holds neither metrics.json nor sweep.json" in refused("compare", work)


def test_it_starts_without_torch(work):
    code = (
        "import sys\nfrom wsssbench.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "sys.exit(3 if {'torch', 'mmengine'} & set(sys.modules) else 0)"
    )
    command = [sys.executable, "-c", code, "compare", str(work / "sweeps" / "table1")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "Table 1" in done.stdout, done.stderr
