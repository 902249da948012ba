from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_up_runs import Method, write_run, write_sweep

from wsssbench.errors import UserError
from wsssbench.results.axes import Axes, texts
from wsssbench.results.collection import Collection, load
from wsssbench.results.compare import make_comparison
from wsssbench.results.comparison import Comparison
from wsssbench.results.formats import WRITERS, comparison_table
from wsssbench.results.layout import Options

POOLINGS = {"GAP": {"type": "GAP"}, "GPP": {"type": "GPP", "bins": (2, 4)}}
ERASINGS = {"none": [], "AEFT": [{"type": "AEFT", "margin": 0.5}]}


def of(collection: Collection, **options) -> Comparison:
    return make_comparison(collection, Options(resamples=20, **options))


def means(comparison: Comparison) -> dict[str, list[float | None]]:
    return {
        line.name: [c.stat and round(c.stat.mean, 6) for c in line.cells]
        for line in comparison.lines
    }


def mean(collection: Collection, row: str, rung: int = 0) -> float:
    points = [member.result.evaluations[rung].chosen for member in collection.of(row)]
    return round(sum(point.miou for point in points) / len(points), 6)


def methods(**more) -> dict[str, Method]:
    return {
        f"{pooling} + {erasing}": Method(
            0.5 + 0.05 * p + 0.02 * e,
            set={"classifier.pooling": POOLINGS[pooling], "classifier.erasing": ERASINGS[erasing]},
            **more,
        )
        for p, pooling in enumerate(POOLINGS)
        for e, erasing in enumerate(ERASINGS)
    }


@pytest.fixture
def grid(tmp_path: Path) -> Collection:
    """A sweep of two poolings times two erasings, two seeds, CAM and CRF."""
    rows = methods(nodes=("cam", "refine.crf"))
    axes = {row: dict(zip(("pooling", "erasing"), row.split(" + "), strict=True)) for row in rows}
    return load([write_sweep(tmp_path, rows, seeds=(0, 1), axes=axes)])


@pytest.fixture
def runs(tmp_path: Path) -> Collection:
    """The same methods as runs without a sweep."""
    for row, method in methods().items():
        write_run(tmp_path / row / "a-seed0", method, name=row)
    return load([tmp_path / row for row in methods()])


def test_two_axes_of_a_sweep(grid):
    found = of(grid, rows="pooling", columns="erasing")
    layout = found.layout
    assert (layout.kind, layout.corner, layout.across) == ("pivot", "pooling", "erasing")
    assert found.layout.columns == ("none", "AEFT") and found.layout.rung == "CAM"
    assert means(found) == {
        pooling: [mean(grid, f"{pooling} + {erasing}") for erasing in ERASINGS]
        for pooling in POOLINGS
    }
    assert [line.n for line in found.lines] == [None, None]
    assert not any(c.rank for line in found.lines for c in line.cells)  # two seeds each
    assert [one.best for one in found.separations.values()] == ["GPP + none", "GPP + AEFT"]


def test_axes_of_runs_are_paths_in_their_configs(runs):
    found = of(runs, rows="classifier.pooling", columns="erasing")
    assert means(found) == {
        pooling: [mean(runs, f"{pooling} + {erasing}") for erasing in ERASINGS]
        for pooling in POOLINGS
    }
    assert of(runs, rows="classifier.erasing.0.margin", columns="pooling").lines[1].name == "0.5"


def test_rungs_metrics_seeds_and_rows_are_axes(grid):
    row = "GPP + none"
    found = of(grid, rows="rung", columns="metric", where=["pooling=GPP", "erasing=none"])
    assert found.layout.columns == (
        *("mIoU", "precision", "recall", "oracle mIoU", "oracle precision", "oracle recall"),
    )
    assert [line.name for line in found.lines] == ["CAM", "+ CRF"]
    assert means(found)["+ CRF"][0] == mean(grid, row, rung=1)
    assert all(c.rank == 0 and c.notes == () for line in found.lines for c in line.cells)

    seeds = of(grid, columns="seed", rung="crf")
    assert seeds.layout.corner == "row" and seeds.layout.columns == ("seed 0", "seed 1")
    assert [c.values for c in seeds.lines[0].cells] == [
        {m.seed: m.result.evaluations[1].chosen.miou} for m in grid.of("GAP + none")
    ]
    across = of(grid, rows="rung")
    assert across.layout.columns == grid.rows
    assert across.layout.corner == "rung" and across.best_per_row
    assert list(across.separations) == ["CAM", "+ CRF"]
    assert across.separations["CAM"].best == "GPP + AEFT"


def test_one_axis_alone_is_completed(grid):
    assert of(grid, columns="row").layout.corner == "rung"
    found = of(grid, rows="pooling", where=["erasing=AEFT"])
    assert found.layout.columns == ("CAM", "+ CRF")
    assert means(found)["GAP"] == [mean(grid, "GAP + AEFT"), mean(grid, "GAP + AEFT", 1)]


def test_a_pivot_has_differences_if_a_baseline_is_named(grid):
    assert all(c.difference is None for c in of(grid, rows="pooling", columns="erasing").cells)
    found = of(grid, rows="pooling", columns="erasing", baseline="GAP + none")
    (base, *others) = found.cells
    assert base.difference is None
    for c in others:
        expected = mean(grid, c.row) - mean(grid, "GAP + none")
        assert c.difference.stat.mean == pytest.approx(expected, abs=1e-5)
        assert c.difference.low <= c.difference.stat.mean <= c.difference.high


def test_a_seeds_difference_is_to_the_baseline_of_that_seed(grid):
    found = of(grid, columns="seed", baseline="GAP + none")
    line = next(line for line in found.lines if line.name == "GPP + none")
    theirs, ours = (grid.of(row) for row in ("GAP + none", "GPP + none"))
    for c, mine, other in zip(line.cells, ours, theirs, strict=True):
        expected = mine.result.evaluations[0].chosen.miou - other.result.evaluations[0].chosen.miou
        assert c.difference.stat.mean == pytest.approx(expected) and c.difference.stat.n == 1


def test_several_rows_in_one_cell_are_refused(grid, runs):
    with pytest.raises(UserError) as refusal:
        of(grid, rows="pooling", columns="rung")
    assert str(refusal.value) == (
        "2 rows would share the cell pooling = GAP, rung = CAM (GAP + none; GAP + AEFT): "
        "they differ in erasing; choose with --where erasing=VALUE"
    )
    with pytest.raises(UserError, match=r"they differ in classifier\.erasing; choose with"):
        of(runs, rows="classifier.pooling", columns="rung")


def test_pivots_say_where_seeds_are_missing(tmp_path):
    from wsssbench.results.sweep_record import Status

    rows = methods()
    axes = {row: dict(zip(("pooling", "erasing"), row.split(" + "), strict=True)) for row in rows}
    unfinished = {("GPP + AEFT", 2): Status("failed", "nan"), ("GAP + AEFT", 0): Status("waiting")}
    unfinished[("GAP + AEFT", 1)] = unfinished[("GAP + AEFT", 2)] = Status("waiting")
    found = of(
        load([write_sweep(tmp_path, rows, axes=axes, unfinished=unfinished)]),
        rows="pooling",
        columns="erasing",
    )
    assert found.lines[0].cells[1].stat is None
    assert [found.notes[i] for i in found.lines[1].cells[1].notes] == ["n = 2"]
    assert "mean ± sample standard deviation over n = 3 seeds" in found.remarks


def test_rows_without_a_value_on_an_axis_are_left_out(tmp_path, grid):
    paper = {"CONTA": {"CAM": 56.2}}
    rows = {"a": Method(set={"classifier.pooling": POOLINGS["GPP"]}), "b": Method()}
    collection = load([write_sweep(tmp_path / "x", rows, seeds=(0,), paper=paper)])
    found = of(collection, rows="classifier.pooling", columns="metric")
    assert [line.name for line in found.lines] == ["GPP", "GAP"]


def test_where_keeps_rows(grid):
    def rows(*conditions):
        return Axes(grid).select(conditions)

    assert rows() == list(grid.rows)
    assert rows("pooling=GPP") == ["GPP + none", "GPP + AEFT"]
    assert rows("pooling=GPP", "erasing=AEFT") == ["GPP + AEFT"]
    assert rows("pooling=GPP", "pooling=GAP") == list(grid.rows)
    assert rows("classifier.erasing=AEFT") == ["GAP + AEFT", "GPP + AEFT"]
    assert rows("row=GPP + none") == ["GPP + none"]


@pytest.mark.parametrize(
    ("conditions", "says"),
    [
        (["pooling"], "--where pooling: has to be of the form axis=value"),
        (["poling=GPP"], "unknown axis 'poling': did you mean pooling"),
        (
            ["pooling=GPPP"],
            "--where pooling=GPPP: unknown value of pooling 'GPPP': did you mean GPP",
        ),
        (["pooling=GPP", "row=GAP + none"], "no row is left"),
        (["rung=CAM"], "--where rung=...: chooses among rows; use --rung"),
        (["seed=0"], "chooses among rows; name the runs of that seed"),
    ],
)
def test_where_refuses(grid, conditions, says):
    with pytest.raises(UserError) as refusal:
        of(grid, where=conditions)
    assert says in str(refusal.value)


def test_unknown_axes_are_refused_with_what_there_is(grid, runs):
    with pytest.raises(UserError, match=r"did you mean erasing\? known: .*metric, pooling, row"):
        of(grid, rows="erasin", columns="pooling")
    with pytest.raises(UserError, match=r"known: .*classifier\.pooling"):
        of(runs, rows="nothing")
    with pytest.raises(UserError, match="have to be two axes"):
        of(grid, rows="rung", columns="rung")


def test_components_are_told_apart_by_what_differs():
    gpp = {"type": "GPP", "aggregation": "coarse_to_fine"}
    assert texts([{"type": "GAP"}, {**gpp, "bins": (2,)}, {**gpp, "bins": (4,)}]) == [
        *("GAP", "GPP(bins=(2,))", "GPP(bins=(4,))"),
    ]
    assert texts([{**gpp, "bins": (2,)}]) == ["GPP"]
    aeft = {"type": "AEFT", "margin": 0.5}
    assert texts([[], (), None, [aeft], [{"type": "Rigid"}, {**aeft, "margin": 1.0}]]) == [
        *("none", "none", "none", "AEFT(margin=0.5)", "Rigid + AEFT(margin=1.0)"),
    ]
    assert texts([True, 0.5, "train", (0.5, 1.0)]) == ["yes", "0.5", "train", "(0.5, 1.0)"]
    assert texts([{"crf": {"type": "DenseCRF"}, "rw": {"type": "AffinityWalk"}}]) == [
        "DenseCRF + AffinityWalk"
    ]


def with_iou(collection: Collection) -> Collection:
    """`collection` whose rungs have an IoU per class: the mIoU plus a number of the class; one does not occur."""
    more = {"background": 20.0, "cat": 1.0, "dog": None, "sofa": -3.5}

    def changed(member):
        rungs = [
            replace(r, iou={k: None if v is None else r.chosen.miou + v for k, v in more.items()})
            for r in member.result.evaluations
        ]
        return replace(member, result=replace(member.result, evaluations=rungs))

    return replace(collection, members=tuple(map(changed, collection.members)))


def test_classes_are_an_axis_in_every_format(grid):
    found = of(with_iou(grid), columns="class", rung="crf", baseline="GAP + none")
    assert found.layout.columns == ("background", "cat", "dog", "sofa")
    assert comparison_table(found).title == "Table 1: pooling, + CRF IoU by row and class (%)"
    expected = [mean(grid, "GPP + AEFT", 1) + more for more in (20.0, 1.0, -3.5)]
    background, cat, dog, sofa = found.lines[3].cells
    assert [c.stat.mean for c in (background, cat, sofa)] == pytest.approx(expected)
    assert dog.stat is None and dog.values == {}
    assert cat.difference.stat.mean == pytest.approx(
        mean(grid, "GPP + AEFT", 1) - mean(grid, "GAP + none", 1)
    )
    assert list(found.separations) == ["background", "cat", "sofa"]
    for name, write in WRITERS.items():
        text = write(found)
        assert "sofa" in text and f"{expected[2]:.1f}" in text, name
    across = of(with_iou(grid), rows="class", rung="crf")
    assert [line.name for line in across.lines] == ["background", "cat", "dog", "sofa"]
    assert across.layout.columns == grid.rows


@pytest.mark.parametrize("metric", ["precision", "recall"])
def test_classes_have_precision_and_recall(grid, metric):
    def changed(member):
        rungs = [
            replace(
                r, **{metric: {"cat": r.chosen.miou / 2, "dog": None}}, iou={"cat": 1, "dog": 2}
            )
            for r in member.result.evaluations
        ]
        return replace(member, result=replace(member.result, evaluations=rungs))

    new = replace(grid, members=tuple(map(changed, grid.members)))
    found = of(new, columns="class", rung="crf", metric=metric, baseline="GAP + none")
    cat, dog = found.lines[3].cells
    assert cat.stat.mean == pytest.approx(mean(grid, "GPP + AEFT", 1) / 2) and dog.stat is None
    assert comparison_table(found).title == f"Table 1: pooling, + CRF {metric} by row and class (%)"
    # results from before it was kept
    old = of(with_iou(grid), columns="class", rung="crf", metric=metric)
    assert not any(cell.stat for cell in old.cells)


@pytest.mark.parametrize("options", [{"metric": "oracle"}, {"rows": "metric"}])
def test_classes_have_no_other_metric(grid, options):
    with pytest.raises(
        UserError, match="classes have their IoU, precision and recall at the fixed"
    ):
        of(with_iou(grid), columns="class", **options)
