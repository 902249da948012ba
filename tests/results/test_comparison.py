from __future__ import annotations

import dataclasses
import statistics
from pathlib import Path

import numpy as np
import pytest
from comparing import METHODS, cell, of, one_rung, said
from made_up_runs import Method, counts, write_run, write_sweep
from scipy import stats

from wsssbench.errors import UserError
from wsssbench.evaluation.bootstrap import interval, resampled
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.evaluation.confusion import metrics_of_counts
from wsssbench.results.collection import Collection, load
from wsssbench.results.compare import make_comparison
from wsssbench.results.layout import Options
from wsssbench.results.metrics import METRICS
from wsssbench.results.run_files import image_counts_path
from wsssbench.results.sweep_record import Status

LADDER = ("cam", "refine.crf", "predict")


@pytest.fixture
def one(tmp_path: Path) -> Collection:
    return one_rung(tmp_path)


@pytest.fixture
def several(tmp_path: Path) -> Collection:
    """Three methods, three seeds, three rungs."""
    methods = {row: dataclasses.replace(m, nodes=LADDER) for row, m in METHODS.items()}
    return load([write_sweep(tmp_path, methods)])


def test_several_rungs_are_columns(several):
    found = of(several)
    assert found.layout.kind == "rungs" and found.layout.columns == ("CAM", "+ CRF", "DeepLab val")
    assert [line.name for line in found.lines] == ["GAP", "GPP", "AEFT"]
    assert [line.n for line in found.lines] == [3, 3, 3]
    values = [m.result.evaluations[1].chosen.miou for m in several.of("GPP")]
    stat = cell(found, "GPP", "+ CRF").stat
    assert (stat.mean, stat.std, stat.n) == pytest.approx(
        (statistics.mean(values), statistics.stdev(values), 3)
    )
    assert cell(found, "GPP", "+ CRF").values == dict(enumerate(values))


@pytest.mark.parametrize("metric", [name for name in METRICS if name != "boundary"])
def test_every_metric_at_every_rung(several, metric):
    of_metric = METRICS[metric]
    found = of(several, metric=metric)
    rung = several.of("GPP")[0].result.evaluations[0]
    point = rung.oracle if of_metric.choice == "oracle" else rung.chosen
    assert cell(found, "GPP", "CAM").values[0] == getattr(point, of_metric.measure)
    # what needs no threshold has the same scores at any
    crf = several.of("GPP")[0].result.evaluations[1].chosen
    assert cell(found, "GPP", "+ CRF").values[0] == getattr(crf, of_metric.measure)


def test_boundaries_are_a_column_where_a_run_has_them(tmp_path):
    methods = {row: dataclasses.replace(m, nodes=("predict",)) for row, m in METHODS.items()}
    new = load([write_sweep(tmp_path, methods, boundaries=("GAP", "GPP"))])
    assert of(new).layout.columns == ("mIoU", "precision", "recall", "boundary IoU")
    found = of(new, metric="boundary")
    assert found.layout.columns == ("boundary IoU",)
    for row in ("GAP", "GPP"):
        values = [member.result.evaluations[0].boundary.miou for member in new.of(row)]
        assert list(cell(found, row, "boundary IoU").values.values()) == values
    # with both intervals, of its own counts
    difference = cell(found, "GPP", "boundary IoU").difference
    assert difference.low < difference.stat.mean < difference.high and difference.seeds
    assert difference.stat.mean != pytest.approx(cell(of(new), "GPP", "mIoU").difference.stat.mean)
    # AEFT's results are from before it was measured
    old = cell(found, "AEFT", "boundary IoU")
    assert old.stat is None and old.difference is None
    assert "boundary IoU" in [line.name for line in of(new, rows="metric", columns="row").lines]
    old_only = load([write_sweep(tmp_path / "old", methods)])
    assert of(old_only).layout.columns == ("mIoU", "precision", "recall")
    assert cell(of(old_only, metric="boundary"), "GAP", "boundary IoU").stat is None


def test_one_rung_has_its_figures_as_columns(one, several):
    assert of(one).layout.columns == ("mIoU", "precision", "recall", "oracle mIoU")
    assert of(one, metric="oracle").layout.columns == (
        *("oracle mIoU", "oracle precision", "oracle recall", "mIoU"),
    )
    assert of(several, rung="+ CRF").layout.columns == ("mIoU", "precision", "recall")
    by_node, by_name = of(several, rung="crf", metric="oracle"), of(several, rung="+ CRF")
    assert (by_node.layout, by_node.lines) == (by_name.layout, by_name.lines)
    assert cell(of(one), "GAP", "oracle mIoU").thresholds == pytest.approx((0.3, 0.32, 0.34))


@pytest.mark.parametrize("metric", ["miou", "precision", "oracle", "oracle-recall"])
def test_the_difference_is_that_of_a_paired_bootstrap(one, metric):
    of_metric = METRICS[metric]
    more = 0.02 if of_metric.choice == "oracle" else 0.0
    sides = [[counts(METHODS[row], seed, more) for seed in range(3)] for row in ("GPP", "GAP")]

    def whole(one):
        total = ClassCounts(*(part.sum(axis=0) for part in vars(one).values()))
        return getattr(metrics_of_counts(total), of_metric.measure)

    ours, baseline = (np.mean([whole(one) for one in side]) for side in sides)
    low, high = interval(
        *([getattr(resampled(one, 200), of_metric.measure) for one in side] for side in sides), 0.9
    )
    found = make_comparison(one, Options(metric=metric, resamples=200, confidence=0.9))
    difference = cell(found, "GPP", of_metric.title).difference
    assert (difference.stat.mean, difference.low, difference.high) == pytest.approx(
        (ours - baseline, low, high)
    )
    assert difference.stat.n == 3 and found.baseline == "GAP"
    assert cell(found, "GAP", of_metric.title).difference is None


@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_the_interval_over_seeds_is_the_paired_t_interval_with_holms_levels(one, confidence):
    found = make_comparison(one, Options(resamples=20, confidence=confidence))
    gap, gpp, aeft = (
        np.array(list(cell(found, row, "mIoU").values.values())) for row in ("GAP", "GPP", "AEFT")
    )
    tests = {"GPP": stats.ttest_rel(gpp, gap), "AEFT": stats.ttest_rel(aeft, gap)}
    first, second = sorted(tests, key=lambda row: tests[row].pvalue)
    alpha = 1 - confidence
    levels = {first: alpha / 2, second: alpha if tests[first].pvalue <= alpha / 2 else alpha / 2}
    for row, test in tests.items():
        difference = cell(found, row, "mIoU").difference
        expected = test.confidence_interval(1 - levels[row])
        assert (difference.seeds.low, difference.seeds.high) == pytest.approx(tuple(expected))
        assert difference.seeds.confidence == pytest.approx(1 - levels[row])
        assert difference.seeds.mean == pytest.approx(difference.stat.mean)
        assert difference.seeds.row == row
    # each metric is corrected by itself
    assert cell(found, "AEFT", "recall").difference.seeds is not None
    assert cell(found, "GAP", "mIoU").difference is None


def test_the_interval_of_one_pair_of_rows_is_not_corrected(tmp_path):
    found = of(load([write_sweep(tmp_path, {row: METHODS[row] for row in ("GAP", "GPP")})]))
    gap, gpp = (list(cell(found, row, "mIoU").values.values()) for row in ("GAP", "GPP"))
    expected = stats.ttest_rel(gpp, gap).confidence_interval(0.95)
    seeds = cell(found, "GPP", "mIoU").difference.seeds
    assert (seeds.low, seeds.high) == pytest.approx(tuple(expected))


def test_only_seeds_that_both_have_are_paired(tmp_path):
    unfinished = {("GAP", 2): Status("waiting"), ("GPP", 0): Status("failed", "out of memory")}
    collection = load([write_sweep(tmp_path, METHODS, unfinished=unfinished)])
    found = of(collection)
    gpp = cell(found, "GPP", "mIoU")
    assert gpp.stat.n == 2 and gpp.difference.stat.n == 1 and gpp.difference.stat.std is None
    theirs, ours = (collection.of(row) for row in ("GAP", "GPP"))
    expected = (
        ours[0].result.evaluations[0].chosen.miou - theirs[1].result.evaluations[0].chosen.miou
    )
    assert gpp.difference.stat.mean == pytest.approx(expected)
    assert said(found, gpp.difference_notes) == ["vs. GAP: over the 1 of 2 seeds that both have"]
    assert [line.n for line in found.lines] == [2, 2, 3]
    assert any(
        "2 of 9 cells have no result yet: GAP seed 2 (waiting), GPP seed 0 (failed: out of memory)"
        in remark
        for remark in found.remarks
    )


def test_without_a_seed_in_common_there_is_no_difference(tmp_path):
    unfinished = {("GAP", 1): Status("waiting"), ("GPP", 0): Status("waiting")}
    found = of(load([write_sweep(tmp_path, METHODS, seeds=(0, 1), unfinished=unfinished)]))
    gpp = cell(found, "GPP", "mIoU")
    assert gpp.difference is None
    assert said(found, gpp.difference_notes) == ["vs. GAP: no seed in common"]


@pytest.mark.parametrize("change", ["images", "classes", "truth"])
def test_rows_scored_on_other_images_have_no_difference(tmp_path, change):
    methods = {"GAP": METHODS["GAP"], "GPP": METHODS["GPP"]}
    if change == "images":
        methods["GPP"] = dataclasses.replace(methods["GPP"], images=30)
    collection = load([write_sweep(tmp_path, methods)])
    for member in collection.of("GPP"):
        if change == "truth":
            path = image_counts_path(member.directory, "cam")
            arrays = dict(np.load(path))
            arrays["chosen_true"][0, 1] += 1
            np.savez_compressed(path, **arrays)
        if change == "classes":
            member.result.class_names[0] = "lynx"
    found = of(collection)
    gpp = cell(found, "GPP", "mIoU")
    assert gpp.stat is not None and gpp.difference is None
    assert said(found, gpp.difference_notes) == ["vs. GAP: scored on other images or classes"]


def test_lost_counts_leave_the_difference_without_interval(one):
    for member in one.of("GPP"):
        image_counts_path(member.directory, "cam").unlink()
    found = of(one)
    difference = cell(found, "GPP", "mIoU").difference
    assert difference.stat.n == 3 and difference.low is None and difference.high is None
    assert (
        "counts per image are lost" in said(found, cell(found, "GPP", "mIoU").difference_notes)[0]
    )
    assert cell(found, "AEFT", "mIoU").difference.low is not None


def test_images_in_another_order_are_the_same_images(one):
    before = cell(of(one), "GPP", "mIoU").difference
    for member in one.of("GPP"):
        path = image_counts_path(member.directory, "cam")
        arrays = {name: array[::-1] for name, array in np.load(path).items()}
        np.savez_compressed(path, **arrays)
    assert cell(of(one), "GPP", "mIoU").difference == before


def test_the_baseline_is_the_named_one_the_collections_or_the_first(one):
    assert of(one).baseline == "GAP"
    assert of(one, baseline="GPP").baseline == "GPP"
    assert of(dataclasses.replace(one, baseline="AEFT")).baseline == "AEFT"
    assert of(dataclasses.replace(one, baseline=None)).baseline == "GAP"
    with pytest.raises(UserError, match=r"unknown row 'GPPP': did you mean GPP"):
        of(one, baseline="GPPP")
    with pytest.raises(UserError, match=r"--baseline CONTA: has no results yet"):
        of(one, baseline="CONTA")


def test_a_baseline_that_is_filtered_out_still_counts(one):
    found = of(one, where=["row=GPP"])
    assert [line.name for line in found.lines] == ["GPP"] and found.baseline == "GAP"
    assert cell(found, "GPP", "mIoU").difference is not None


def test_rungs_of_one_name_are_told_apart_and_new_ones_come_in_their_place(tmp_path):
    for number, nodes in enumerate(
        (("cam", "predict"), ("cam", "refine.crf", "refine.crf2", "predict"))
    ):
        write_run(
            tmp_path / str(number), Method(nodes=nodes, set={"seed": number}), name=f"run{number}"
        )
    collection = load([tmp_path])
    for member in collection.members:
        for index, rung in enumerate(member.result.evaluations):
            if rung.node == "refine.crf2":
                member.result.evaluations[index] = dataclasses.replace(rung, name="+ CRF")
    assert of(collection).layout.columns == ("CAM", "+ CRF (crf)", "+ CRF (crf2)", "DeepLab val")
    assert of(collection, rung="crf2").layout.rung == "+ CRF (crf2)"
    with pytest.raises(UserError, match=r"--rung: unknown rung 'crff': did you mean"):
        of(collection, rung="crff")


def test_a_rung_that_only_some_runs_of_a_row_have(tmp_path):
    for seed, nodes in enumerate((("cam", "refine.crf"), ("cam",))):
        write_run(tmp_path / f"x-seed{seed}", Method(nodes=nodes), seed)
    found = of(load([tmp_path]))
    assert found.lines[0].n == 2
    assert said(found, cell(found, "made_up", "+ CRF").notes) == [
        "only 1 of 2 runs have this number"
    ]


def test_what_cannot_run_and_what_is_missing_is_said(tmp_path):
    no = Status("impossible", "bins do not fit")
    unfinished = {("GPP", seed): no for seed in range(3)} | {("AEFT", 1): Status("stopped")}
    found = of(load([write_sweep(tmp_path, METHODS, unfinished=unfinished)]))
    assert cell(found, "GPP", "mIoU").stat is None
    assert "GPP cannot run: bins do not fit" in found.remarks
    (missing,) = (remark for remark in found.remarks if "no result yet" in remark)
    assert missing.startswith("1 of 9 cells has no result yet: AEFT seed 1 (stopped)")
    assert "--retry" not in missing


def test_a_collection_without_scores_is_refused(tmp_path):
    unfinished = {("GAP", seed): Status("waiting") for seed in range(3)}
    nothing = load([write_sweep(tmp_path, {"GAP": Method()}, unfinished=unfinished)])
    with pytest.raises(UserError, match=r"no run has finished yet; GAP seed 0 \(waiting\)"):
        of(nothing)
    write_run(tmp_path / "run", Method(nodes=()))
    with pytest.raises(UserError, match="no run was scored"):
        of(load([tmp_path / "run"]))


def test_an_unknown_metric_is_refused(one):
    with pytest.raises(UserError, match=r"--metric: unknown metric 'mIoU': did you mean miou"):
        of(one, metric="mIoU")
