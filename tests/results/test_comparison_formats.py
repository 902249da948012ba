from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import pytest
from comparing import of, one_rung
from made_up_runs import Method, write_sweep
from rich.console import Console

from wsssbench.results.collection import load
from wsssbench.results.compare import make_comparison
from wsssbench.results.comparison import Comparison
from wsssbench.results.formats import CSV_COLUMNS, WRITERS, comparison_table
from wsssbench.results.layout import Options
from wsssbench.results.sweep_record import Status
from wsssbench.results.table import terminal

METHODS = {"GAP": Method(0.55), "GPP": Method(0.6), "odd": Method(0.62, card={"scales": "1.0"})}
PAPER = {"GAP": {"CAM": 48.4}, "GPP": {"CAM": 54.2, "CAM precision": 66.5}, "CONTA": {"CAM": 56.2}}


@pytest.fixture
def table(tmp_path: Path):
    """Makes a comparison of METHODS."""

    def make(nodes=("cam",), **options) -> Comparison:
        methods = {row: Method(m.accuracy, nodes, m.card) for row, m in METHODS.items()}
        sweep = write_sweep(
            tmp_path,
            methods,
            paper=PAPER,
            card={"dataset": "VOC2012", "threshold_choice": "oracle"},
            unfinished={("GPP", 1): Status("failed", "nan")},
        )
        return make_comparison(load([sweep]), Options(resamples=50, **options))

    return make


def texts(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    found = comparison_table(comparison)
    return [c.title for c in found.columns], [[c.plain for c in row] for row in found.rows]


def cell(comparison: Comparison, row: str, index: int = 0):
    return next(line for line in comparison.lines if line.name == row).cells[index]


def test_one_rung_as_a_table(table):
    found = table()
    titles, rows = texts(found)
    assert titles == [
        *("row", "mIoU", "paper", "precision", "paper", "recall", "oracle mIoU", "n"),
        *("mIoU vs. GAP [95 %]", "over seeds [95 %]"),
    ]
    by_name = {row[0]: row for row in rows}
    gpp, difference = cell(found, "GPP"), cell(found, "GPP").difference
    assert by_name["GPP"] == [
        "GPP",
        f"{gpp.stat.mean:.1f} ± {gpp.stat.std:.1f}",
        "54.2 ‡",
        str(cell(found, "GPP", 1).stat),
        "66.5 ‡",
        str(cell(found, "GPP", 2).stat),
        f"{cell(found, 'GPP', 3).stat} (0.30–0.34)",
        "2",
        f"+{difference.stat.mean:.1f} [{difference.low:.1f}, {difference.high:.1f}]",
        "–",
    ]
    assert by_name["GAP"][-3:] == ["3", "–", "–"]
    assert by_name["CONTA"] == ["CONTA", "–", "56.2 ‡", *"–––––––"]
    seeds = cell(found, "odd").difference.seeds
    assert by_name["odd †"][-1].replace("−", "-") == f"[{seeds.low:.1f}, {seeds.high:.1f}]"
    assert "odd †" in by_name  # what all its numbers have in common
    assert comparison_table(found).title == "Table 1: pooling, CAM (%)"
    assert (
        comparison_table(found).notes[0]
        == "† protocol differs from GAP: scales 1.0 instead of 0.5, 1.0"
    )


def test_several_rungs_as_a_table(table):
    titles, _ = texts(table(nodes=("cam", "refine.crf"), metric="oracle"))
    assert titles == [
        *("row", "CAM", "paper", "+ CRF", "n"),
        *("CAM oracle mIoU vs. GAP [95 %]", "over seeds [95 %]"),
    ]


def test_a_pivot_has_all_in_its_cells(table):
    found = table(rows="row", columns="metric", baseline="GAP")
    titles, rows = texts(found)
    assert titles[:3] == ["row", "mIoU", "precision"]
    gpp = cell(found, "GPP")
    low, high = gpp.difference.low, gpp.difference.high
    assert rows[1][1] == (
        f"{gpp.stat} † § +{gpp.difference.stat.mean:.1f} [{low:.1f}, {high:.1f}] (paper 54.2)"
    )
    assert comparison_table(found).title == "Table 1: pooling, CAM by row and metric (%)"


def test_a_negative_difference_has_a_minus_sign(table):
    text = next(row for row in texts(table(baseline="GPP"))[1] if row[0] == "GAP")[-1]
    assert text.startswith("−") and "[−" in text and "-" not in text


def test_what_holds_for_the_table_is_said_below(table):
    notes = "\n".join(comparison_table(table()).notes)
    for part in (
        "mean ± sample standard deviation over n seeds",
        "CAM: at the threshold 0.40, fixed beforehand",
        "CAM, oracle: at the threshold that is best on the masks of the same split",
        "vs. GAP: CAM mIoU minus that of GAP, over the seeds both have; in brackets the 95 % interval of 50 "
        "bootstrap resamples of the images: it covers the choice of images, not that of seeds",
        "paper: Yoon et al., ECCV 2022, Table 1",
        "1 of 9 cells has no result yet: GPP seed 1 (failed: nan); give the same 'wsssbench sweep' command again, "
        "with --retry for what failed",
    ):
        assert part in notes


@pytest.mark.parametrize("nodes", [("cam",), ("cam", "refine.crf", "predict")])
@pytest.mark.parametrize("width", [80, 100])
def test_the_terminals_table_fits_and_loses_nothing(table, nodes, width):
    found = comparison_table(table(nodes=nodes))
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(terminal(found, width, styled=False))
    shown = console.file.getvalue()
    assert max(map(len, shown.splitlines())) <= width and "…" not in shown
    for row in found.rows:
        for word in " ".join(c.plain for c in row[1:]).replace("± ", "±").split():
            assert word in shown.replace("± ", "±")


def test_what_is_separated_is_marked_in_every_format(tmp_path):
    found = of(one_rung(tmp_path))
    assert found.separations["mIoU"].ranks == {"AEFT": 1, "GPP": 2}
    best, second = (str(cell(found, row).stat) for row in ("AEFT", "GPP"))
    shown = Console(width=200, file=io.StringIO(), color_system=None)
    shown.print(terminal(comparison_table(found), 200, styled=False))
    assert f"{best}*" in shown.file.getvalue() and f"{second}°" in shown.file.getvalue()
    assert f"**{best}**" in WRITERS["markdown"](found)
    assert f"<u>{second}</u>" in WRITERS["markdown"](found)
    assert r"\textbf{" + best.replace(" ± ", r"\,$\pm$\,") + "}" in WRITERS["latex"](found)
    lines = list(csv.DictReader(io.StringIO(WRITERS["csv"](found))))
    ranks = {one["row"]: one["rank"] for one in lines if one["metric"] == "miou"}
    assert ranks == {"GAP": "", "GPP": "2", "AEFT": "1", "CONTA": ""}
    document = json.loads(WRITERS["json"](found))
    assert [line["cells"][0]["rank"] for line in document["table"]] == [0, 2, 1, 0]
    assert document["separations"]["mIoU"]["others"][0]["low"] > 0
    assert any("corrected for their number (Holm), excludes 0" in one for one in found.remarks)


@pytest.mark.parametrize("seeds", [(0,), (0, 1), (0, 1, 2)])
def test_what_is_not_separated_is_marked_in_none_and_said_in_all(tmp_path, seeds):
    methods = {"a": Method(0.6), "b": Method(0.6, set={"classifier.pooling": {"type": "Max"}})}
    collection = load([write_sweep(tmp_path, methods, seeds, name="x")])
    found = make_comparison(
        collection, Options(rung="CAM", columns="rung", rows="row", resamples=20)
    )
    assert not any(one.rank for one in found.cells)
    reason = found.separations["CAM"].reason
    if len(seeds) < 3:
        expected = f"n = {len(seeds)}, and at least 3 seeds are needed to tell rows apart"
        assert reason == expected
    else:
        assert "the paired 95 % interval over 3 seeds" in reason
    for name in ("markdown", "latex"):
        text = WRITERS[name](found)
        assert "not separable" in text and "bold" not in text and "textbf" not in text
    assert {one["rank"] for one in csv.DictReader(io.StringIO(WRITERS["csv"](found)))} == {""}
    document = json.loads(WRITERS["json"](found))
    assert f"not separable: {reason}" in document["remarks"]


@pytest.mark.parametrize(
    ("seeds", "warning"),
    [
        ((0,), "one seed: the difference may be chance; the interval covers images only"),
        ((0, 1), "two seeds: too few for an interval over seeds, which needs 3"),
        ((0, 1, 2), None),
    ],
)
def test_too_few_seeds_are_told(tmp_path, seeds, warning):
    collection = load([write_sweep(tmp_path, {"a": Method(0.6), "b": Method(0.7)}, seeds)])
    found = make_comparison(collection, Options(resamples=20))
    assert [one for one in found.remarks if "seed: " in one or "seeds: too" in one] == (
        [warning] if warning else []
    )
    explained = [one for one in found.remarks if one.startswith("over seeds: ")]
    assert len(explained) == (warning is None)


def test_the_rows_with_one_seed_are_named(tmp_path):
    methods = {"a": Method(0.6), "b": Method(0.7), "c": Method(0.65)}
    waiting = {("c", seed): Status("waiting") for seed in (1, 2)}
    found = make_comparison(
        load([write_sweep(tmp_path, methods, unfinished=waiting)]), Options(resamples=20)
    )
    assert any(one.startswith("one seed (c): the difference") for one in found.remarks)


def test_csv_is_tidy_and_plain(table):
    found = table()
    lines = list(csv.DictReader(io.StringIO(WRITERS["csv"](found))))
    assert tuple(lines[0]) == CSV_COLUMNS and len(lines) == 4 * 4
    (line,) = (one for one in lines if (one["row"], one["metric"]) == ("GPP", "miou"))
    gpp = cell(found, "GPP")
    assert float(line["mean"]) == pytest.approx(gpp.stat.mean, abs=1e-4)
    assert float(line["std"]) == pytest.approx(gpp.stat.std, abs=1e-4)
    assert float(line["ci_low"]) == pytest.approx(gpp.difference.low, abs=1e-4)
    assert float(line["diff"]) == pytest.approx(gpp.difference.stat.mean, abs=1e-4)
    assert (line["n"], line["diff_n"], line["baseline"]) == ("2", "2", "GAP")
    assert line["seeds_low"] == line["seeds_high"] == ""  # of two seeds
    (odd,) = (one for one in lines if (one["row"], one["metric"]) == ("odd", "miou"))
    seeds = cell(found, "odd").difference.seeds
    assert float(odd["seeds_low"]) == pytest.approx(seeds.low, abs=1e-4)
    assert float(odd["seeds_confidence"]) == pytest.approx(seeds.confidence, abs=1e-4)
    assert float(line["paper"]) == 54.2 and line["rung"] == "CAM"
    assert float(line["threshold_min"]) == 0.4
    assert "the paper's protocol differs: dataset VOC2012" in line["notes"]
    (empty,) = (one for one in lines if (one["row"], one["metric"]) == ("CONTA", "miou"))
    assert empty["mean"] == empty["diff"] == empty["ci_high"] == empty["n"] == ""


def test_json_has_everything_at_full_precision(table):
    found = table()
    document = json.loads(WRITERS["json"](found))
    assert document["schema"] == "wsssbench.comparison/1"
    assert (document["baseline"], document["metric"], document["resamples"]) == ("GAP", "miou", 50)
    assert document["lines"] == "row" and document["columns"] is None
    line = next(line for line in document["table"] if line["line"] == "GPP")
    stored, gpp = line["cells"][0], cell(found, "GPP")
    assert stored["mean"] == gpp.stat.mean and stored["difference"]["low"] == gpp.difference.low
    assert stored["values"] == {"0": gpp.values[0], "2": gpp.values[2]} and line["n"] == 2
    assert math.isclose(stored["mean"], sum(stored["values"].values()) / 2)
    assert stored["card"]["scales"] == "0.5, 1.0" and stored["column"] == "mIoU"
    (note,) = (document["notes"][i] for i in stored["paper_notes"])
    assert note.startswith("the paper's protocol differs")
    assert document["remarks"] == list(found.remarks)
    (odd,) = (line["cells"][0] for line in document["table"] if line["line"] == "odd")
    assert odd["difference"]["seeds"]["low"] == cell(found, "odd").difference.seeds.low
    assert stored["difference"]["seeds"] is None
    conta = next(line for line in document["table"] if line["line"] == "CONTA")["cells"][0]
    assert conta["mean"] is None and conta["difference"] is None and conta["paper"] == 56.2


def test_equal_inputs_give_equal_texts(table):
    assert WRITERS["json"](table()) == WRITERS["json"](table())
