from __future__ import annotations

from pathlib import Path

import pytest
from made_up_runs import Method, write_run, write_sweep

from wsssbench.errors import UserError
from wsssbench.results.collection import load
from wsssbench.results.compare import make_comparison
from wsssbench.results.layout import Options
from wsssbench.results.sweep_record import Status

OTHER = Method(set={"classifier.pooling": {"type": "GPP"}})


def test_runs_that_differ_in_their_seed_are_one_row(tmp_path):
    for seed in (1, 0):
        write_run(tmp_path / f"0a{seed}-seed{seed}", seed=seed)
    for paths in ([tmp_path], [tmp_path / "0a1-seed1", tmp_path / "0a0-seed0"]):
        found = load(paths)
        assert found.rows == ("made_up",) and found.title == "made_up"
        assert [member.seed for member in found.of("made_up")] == [0, 1]


def test_a_run_that_is_named_twice_counts_once(tmp_path):
    write_run(tmp_path / "a-seed0")
    assert len(load([tmp_path, tmp_path / "a-seed0", tmp_path / "." / "a-seed0"]).members) == 1


def test_methods_of_one_name_are_told_apart(tmp_path):
    write_run(tmp_path / "aa-seed0")
    write_run(tmp_path / "bb-seed0", OTHER)
    assert load([tmp_path]).rows == ("classifier.pooling=GAP", "classifier.pooling=GPP")
    write_run(tmp_path / "cc" / "cc-seed0", name="another")
    assert set(load([tmp_path, tmp_path / "cc"]).rows) == {
        *("made_up, classifier.pooling=GAP", "made_up, classifier.pooling=GPP"),
        "another",
    }


def test_variants_that_differ_in_much_are_told_apart_by_their_run(tmp_path):
    more = {f"classifier.{name}": 1 for name in ("dropout", "hidden", "supervised_images")}
    write_run(tmp_path / "aa-seed0")
    write_run(tmp_path / "bb-seed0", Method(set=OTHER.set | more))
    assert load([tmp_path]).rows == ("made_up (aa)", "made_up (bb)")


def test_of_two_runs_of_a_method_and_seed_the_earlier_has_a_row_of_its_own(tmp_path):
    write_run(tmp_path / "aa-seed0", created="2026-03-01T10:00:00+00:00")
    write_run(tmp_path / "bb-seed0", created="2026-03-02T10:00:00+00:00")
    write_run(tmp_path / "cc-seed1", seed=1, created="2026-03-02T11:00:00+00:00")
    found = load([tmp_path])
    assert found.rows == ("made_up (cc)", "made_up (aa)")
    assert [m.directory.name for m in found.of("made_up (cc)")] == ["bb-seed0", "cc-seed1"]


def test_a_runs_references_are_the_papers_numbers(tmp_path):
    write_run(tmp_path / "a-seed0", reference={"CAM": 56.0})
    assert load([tmp_path]).paper == {"made_up": {"CAM": 56.0}}


def test_a_sweep_knows_its_rows_axes_and_what_is_missing(tmp_path):
    paper = {"GPP": {"CAM": 54.2}, "CONTA": {"CAM": 56.2}}
    directory = write_sweep(
        tmp_path,
        {"GAP": Method(), "GPP": OTHER},
        paper=paper,
        card={"dataset": "VOC2012"},
        baseline="GAP",
        unfinished={("GPP", 1): Status("failed", "nan")},
    )
    found = load([directory])
    assert found.rows == ("GAP", "GPP", "CONTA") and found.baseline == "GAP"
    assert found.paper == paper and found.paper_card == {"dataset": "VOC2012"}
    assert [m.seed for m in found.of("GPP")] == [0, 2]
    assert [(m.row, m.seed, m.state, m.reason) for m in found.missing] == [
        ("GPP", 1, "failed", "nan")
    ]


def test_sweeps_and_runs_together_keep_equal_names_apart(tmp_path):
    one = write_sweep(tmp_path, {"GAP": Method()}, (0,), name="a", title="Table 1", baseline="GAP")
    two = write_sweep(tmp_path, {"GAP": OTHER}, (0,), name="b", title="Table 2")
    write_run(tmp_path / "runs" / "x" / "c-seed0", name="x")
    found = load([one, two, tmp_path / "runs" / "x"])
    assert found.rows == ("Table 1: GAP", "Table 2: GAP", "x")
    assert found.baseline == "Table 1: GAP" and found.title == "Table 1 and Table 2 and x"
    assert all(len(found.of(row)) == 1 for row in found.rows)


def test_sweeps_of_one_title_are_told_apart_by_their_folders(tmp_path):
    paths = [write_sweep(tmp_path, {"GAP": Method()}, (0,), name=name) for name in ("a", "b")]
    assert load(paths).rows == ("a: GAP", "b: GAP")


def test_a_row_that_two_sweeps_share_is_one_row(tmp_path):
    paper = {"CONTA": {"CAM": 56.2}}
    one = write_sweep(tmp_path, {"GAP": Method()}, (0,), paper=paper, name="a", title="Table 1")
    two = write_sweep(tmp_path, {"GAP": OTHER}, (0,), paper=paper, name="b", title="Table 2")
    record = (two / "sweep.json").read_text().replace("../../runs/b/", "../../runs/a/")
    (two / "sweep.json").write_text(record)
    assert load([one, two]).rows == ("GAP", "CONTA")


def test_what_holds_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        load([tmp_path / "nothing"])
    with pytest.raises(UserError, match=r"holds neither metrics\.json nor sweep\.json"):
        load([tmp_path])
    with pytest.raises(UserError, match="nothing to compare"):
        load([])
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(UserError, match="schema None"):
        load([Path(tmp_path)])


def test_smoke_runs_do_not_mix_with_others(tmp_path):
    write_run(tmp_path / "real-seed0")
    for name in ("smoke-seed0", "other-seed0"):
        write_run(tmp_path / name, OTHER, trial="smoke")
    with pytest.raises(UserError) as error:
        load([tmp_path / "real-seed0", tmp_path / "smoke-seed0"])
    for words in ("smoke-seed0 is a smoke run", "real-seed0 is none"):
        assert words in str(error.value)
    assert len(load([tmp_path / "smoke-seed0", tmp_path / "other-seed0"]).members) == 2
    write_run(tmp_path / "few-seed0", OTHER, trial="limit50")
    found = load([tmp_path / "real-seed0", tmp_path / "few-seed0"])
    said = make_comparison(found, Options()).remarks
    assert "trial run: 50 images of each split at most" in said
