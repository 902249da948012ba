from __future__ import annotations

import dataclasses
import io
import statistics

import pytest
from rich.console import Console

from wsssbench.results.formatting import threshold_text
from wsssbench.results.ladder import aggregate, ladder_table
from wsssbench.results.metrics import Stat
from wsssbench.results.protocol import card_differences
from wsssbench.results.run import Evaluation, Point
from wsssbench.results.table import terminal


def show(ladder, width=100):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(terminal(ladder_table(ladder)))
    return console.file.getvalue()


def titles(ladder):
    return [column.title for column in ladder_table(ladder).columns]


def rows(ladder):
    return [[cell.plain for cell in row] for row in ladder_table(ladder).rows]


def with_card(result, **changes):
    """`result` with other entries in its first rung's protocol card."""
    first = dataclasses.replace(result.evaluations[0], card=result.evaluations[0].card | changes)
    return dataclasses.replace(result, evaluations=[first, *result.evaluations[1:]])


def test_the_ladder_of_one_run(make_result):
    ladder = aggregate([make_result()])
    assert titles(ladder) == [
        *("rung", "split", "mIoU", "precision", "recall", "threshold"),
        *("oracle mIoU (threshold)", "paper"),
    ]
    assert rows(ladder) == [
        ["CAM", "train", "39.0", "50.3", "69.7", "0.30", "40.0 (0.20)", "56.0"],
        ["DeepLab val", "val", "55.2", "61.0", "62.0", "–", "–", "–"],
    ]
    assert [note for note in ladder_table(ladder).notes if note.startswith("†")] == []


def test_the_paper_column_is_only_there_with_a_paper(make_result):
    assert "paper" not in titles(aggregate([make_result(reference={})]))


def test_seeds_give_mean_and_sample_deviation(make_result):
    shifts = [0.0, 1.5, -0.75]
    ladder = aggregate([make_result(shift) for shift in shifts])
    values = [39.0 + shift for shift in shifts]
    cells = rows(ladder)[0]
    assert cells[2] == f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"
    assert cells[3] == "50.3 ± 0.0"
    assert "mean ± sample standard deviation over n = 3 runs" in ladder_table(ladder).notes
    assert [row.n for row in ladder.rows] == [3, 3] and ladder.notes == ()


def test_the_oracle_thresholds_of_seeds_are_a_range(make_result):
    def at(threshold):
        result = make_result()
        rung = dataclasses.replace(result.evaluations[0], oracle=Point(40.0, 1.0, 1.0, threshold))
        return dataclasses.replace(result, evaluations=[rung])

    cells = rows(aggregate([at(0.28), at(0.24), at(0.26)]))[0]
    assert "40.0 ± 0.0 (0.24–0.28)" in cells


def test_a_seed_is_not_a_protocol(make_result):
    same = [make_result(), with_card(make_result(), seed=1)]
    assert aggregate(same).notes == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"split": "val"}, "split val instead of train"),
        ({"threshold": 0.2}, "threshold 0.2 instead of 0.3"),
        ({"flip": False}, "flip no instead of yes"),
        ({"checkpoint": "best"}, "checkpoint best instead of none"),
    ],
)
def test_runs_of_another_protocol_are_marked(make_result, change, says):
    other = with_card(make_result(), **change)
    averaged = aggregate([make_result(), other])
    assert rows(averaged)[0][0] == "CAM †" and rows(averaged)[1][0] == "DeepLab val"
    assert averaged.notes == (f"averaged over runs of different protocols: {says}",)
    assert card_differences(make_result().evaluations[0], other.evaluations[0]) == [says]


def test_an_oracle_threshold_is_a_result_not_a_protocol(make_result):
    mine = with_card(make_result(), threshold_choice="oracle", threshold=0.2)
    other = with_card(make_result(), threshold_choice="oracle", threshold=0.4)
    ladder = aggregate([mine, other])
    assert len(ladder.notes) == 1 and "oracle" in ladder.notes[0]
    assert rows(ladder)[0][0] == "CAM †"


def test_a_choice_on_masks_is_marked_against_a_fixed_one(make_result):
    ladder = aggregate([make_result(), with_card(make_result(), threshold_choice="oracle")])
    assert rows(ladder)[0][0] == "CAM † ‡"
    assert "threshold choice oracle instead of fixed" in ladder.notes[1]


def test_a_rung_that_only_some_runs_have_says_so(make_result):
    short = make_result()
    short = dataclasses.replace(short, evaluations=short.evaluations[:1])
    ladder = aggregate([make_result(), short])
    assert rows(ladder)[1][0] == "DeepLab val †"
    assert titles(ladder)[-1] == "n" and [line[-1] for line in rows(ladder)] == ["2", "1"]
    assert ladder.notes == ("only 1 of 2 runs have this rung",)


def test_rungs_of_the_same_name_stay_apart(make_result):
    crf = [
        Evaluation("+ CRF", node, "train", Point(m, m, m)) for node, m in (("a", 50.0), ("b", 60.0))
    ]
    ladder = aggregate([make_result(evaluations=crf), make_result(evaluations=crf)])
    assert [(row.node, row.miou.mean) for row in ladder.rows] == [("a", 50.0), ("b", 60.0)]


def test_no_runs_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        aggregate([])


def test_numbers_that_are_not_there():
    assert Stat.of([None, float("nan")]) is None
    assert str(Stat.of([None, 3.0])) == "3.0"


@pytest.mark.parametrize(
    ("value", "text"), [(0.3, "0.30"), (0.25, "0.25"), (0.125, "0.125"), (None, "–"), (0.0, "0.00")]
)
def test_thresholds_have_two_decimals_unless_they_need_more(value, text):
    assert threshold_text(value) == text


def test_the_terminal_table_fits_80_columns_and_reads_nothing_as_markup(make_result):
    rung = Evaluation("[red]CAM[/red]", "cam", "train", Point(39.0, 50.0, 60.0, 0.3))
    shown = show(aggregate([make_result(evaluations=[rung, *make_result().evaluations])]), width=80)
    assert "[red]CAM[/red]" in shown and "40.0 (0.20)" in shown and "…" not in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_no_number_is_cut_short_in_80_columns(make_result):
    runs = [make_result(name="aeft_voc"), make_result(1.0, name="gap_voc")]
    shown = show(aggregate(runs), width=80)
    assert "…" not in shown and max(len(line.rstrip()) for line in shown.splitlines()) <= 80
    for ladder_row in rows(aggregate(runs)):
        for word in " ".join(ladder_row[2:]).replace("± ", "±").split():
            assert word in shown


def test_terminal_numbers_are_right_aligned(make_result):
    shown = show(aggregate([make_result()]))
    ends = [line.index(v) + 4 for line in shown.splitlines() for v in ("39.0", "55.2") if v in line]
    assert len(ends) == 2 and ends[0] == ends[1]
