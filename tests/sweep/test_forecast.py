"""Cells, their plans and the tree of stages, on the tiny experiment; nothing is computed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from wsssbench.cli.sweep_display import show_forecast
from wsssbench.errors import UserError
from wsssbench.experiment.config import config_text, read_config, resolve
from wsssbench.experiment.plan import Settings
from wsssbench.progress import Silent
from wsssbench.results.sweep_record import read_sweep
from wsssbench.sweep.cells import PlannedSweep, plan_cells, write
from wsssbench.sweep.forecast import forecast
from wsssbench.sweep.matrix import read_matrix


@pytest.fixture
def base(tiny: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "tiny.py"
    path.write_text(config_text(tiny))
    return path


def planned(base: Path, *grids: str, until: str = "rw", **options: Any) -> PlannedSweep:
    settings = Settings(base.parent / "work", "cpu", 1, Silent(), until=until)
    return plan_cells(read_matrix(base, grids), settings, options.pop("seeds", (0, 1)), **options)


def shown(found: PlannedSweep) -> str:
    console = Console(width=110, file=io.StringIO(), color_system=None)
    show_forecast(found, console, "cpu")
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_rows_that_share_stages_share_them_in_the_tree(base: Path) -> None:
    found = planned(base, "refine.rw.steps=2,4", "pooling=GAP,GPP")
    ahead = forecast(found.sweep, found.plans, "cpu")
    by_node: dict[str, list[int]] = {}
    for stage in ahead.stages.values():
        by_node.setdefault(stage.node, []).append(len(stage.cells))
    assert by_node["data"] == [8]  # 2 x 2 rows, 2 seeds
    assert by_node["classify"] == [2] * 4  # poolings x seeds, for two walks each
    assert by_node["refine.rw"] == [1] * 8
    assert ahead.needed == sum(len(plan.steps) for plan in found.plans.values())
    assert len(ahead.to_run()) == len(ahead.stages)
    branches = [(b.node, b.depth, len(b.rows), len(b.stages)) for b in ahead.branches]
    assert branches[0] == ("data", 0, 4, 1)
    assert [b for b in branches if b[0] == "classify"] == [("classify", 1, 2, 2)] * 2
    assert ("cam", 2, 2, 2) in branches


def test_a_round_is_one_stage_whatever_it_is_called(base: Path, tiny: dict[str, Any]) -> None:
    """The last round of a row is the first one of another."""
    tiny["before"] = {"round1": {"classifier": {"pooling": {"type": "GAP"}}}}
    base.write_text(config_text(tiny))
    found = planned(base, "rounds=1,2", until="cam", seeds=(0,))
    ahead = forecast(found.sweep, found.plans, "cpu")
    uses = [(stage.node, len(stage.cells)) for stage in ahead.stages.values()]
    assert sorted(uses) == [
        ("cam", 1), ("cam", 2), ("classify", 1), ("classify", 2), ("data", 2),
        ("evaluate.cam", 1), ("evaluate.cam", 2),
    ]  # fmt: skip


def test_the_plan_as_it_is_shown(base: Path) -> None:
    text = shown(planned(base, "refine.rw.steps=2,4", until="cam"))
    assert "tiny-steps on" in text and "2 rows, 4 cells" in text
    assert "└─ classify" in text and "   └─ cam" in text and "      └─ evaluate.cam" in text
    assert "16 stages in 4 cells are 7 different ones: 0 cached, 7 to run" in text
    assert "time left: unknown" in text and "unknown" in text


def test_a_stage_in_the_cache_takes_what_it_took_and_another_seed_as_long(base: Path) -> None:
    grid = "classifier.schedule.lr=0.01,0.02"
    found = planned(base, grid, until="data", seeds=(0,))
    (step, *_) = next(iter(found.plans.values())).steps
    facts = {"device": "cpu", "images": None, "whole": True}
    step.entry.open()
    step.entry.close({}, {"node": "data", "seconds": 12.0, "peak_mib": 1.0, **facts})
    text = shown(planned(base, grid, until="data", seeds=(0,)))
    assert "1 cached, 0 to run" in text and "12 s" in text
    assert "sharing stages saves about 12 s" in text
    text = shown(planned(base, "data.seed=5,6", until="data", seeds=(0,)))
    assert text.count("about 12 s") == 2
    assert "one after the other, by earlier runs: about 24 s" in text
    text = shown(planned(base, "data.train_images=7,8", until="data", seeds=(0,)))
    assert "time left: unknown" in text and "12 s" not in text


def test_a_cells_config_is_the_config_of_its_run(base: Path) -> None:
    found = planned(base, "pooling=GAP,GPP(bins=(2,))", until="cam")
    write(found)
    assert read_sweep(found.sweep.directory) == found.sweep
    for cell in found.sweep.cells:
        written = resolve(read_config(found.sweep.config(cell)))
        assert written == found.plans[cell.id].config
        assert written["seed"] == cell.seed and written[
            "name"
        ] == f"tiny-pooling-{cell.row[:3].lower()}" + ("" if cell.row == "GAP" else "-bins-2")
        directory = found.plans[cell.id].directory(base.parent / "work")
        assert found.sweep.run_directory(cell) == directory


def test_components_that_do_not_go_together_are_cells_that_cannot_run(base: Path) -> None:
    found = planned(base, "pooling=GAP,GPP(bins=(2,))", "erasing=none,AEFT", until="cam")
    impossible = {cell.row for cell in found.sweep.cells if cell.impossible}
    assert impossible == {"GAP, AEFT"} and len(found.plans) == 6
    cell = next(cell for cell in found.sweep.cells if cell.impossible)
    assert "GAP has none: use pooling GPP" in found.sweep.status(cell).reason
    assert "row 'GAP, AEFT' cannot run: " in shown(found)
    with pytest.raises(UserError, match=r"no row of .* can run"):
        planned(base, "pooling=GAP", "erasing=AEFT", until="cam")


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ("pooling=GAP,GPPP", "row 'GPPP': unknown pooling 'GPPP': did you mean GPP"),
        ("poling=GAP", "row 'GAP': --set poling: unknown key 'poling'"),
        ("pooling=GPP(bin=(2,))", "did you mean bins"),
        ("classifier.schedule.lr=fast,0.1", "lr='fast' has to be float"),
    ],
)
def test_mistakes_show_before_anything_runs_with_their_row(
    base: Path, grid: str, words: str
) -> None:
    with pytest.raises(UserError) as refusal:
        planned(base, grid, until="cam")
    assert words in str(refusal.value)


def test_a_sweeps_name_is_a_folder(base: Path) -> None:
    with pytest.raises(UserError, match="--name 'a/b' has to be the name of a folder"):
        planned(base, "pooling=GAP", until="data", name="a/b")
