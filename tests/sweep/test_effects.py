"""Nothing that a sweep is given has no effect: it works, or is refused with the way out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from wsssbench.errors import UserError
from wsssbench.experiment.config import config_text
from wsssbench.experiment.plan import Settings
from wsssbench.progress import Progress, Silent
from wsssbench.sweep.cells import PlannedSweep, plan_cells
from wsssbench.sweep.matrix import read_matrix


@pytest.fixture
def tiny_file(tiny: dict[str, Any], tmp_path: Path) -> Path:
    tiny["classifier"]["backbone"]["weights"] = None
    path = tmp_path / "tiny.py"
    path.write_text(config_text({**tiny, "seed": 5}))
    return path


def planned(
    path: Path,
    grids: list[str],
    seeds: list[int] | None = None,
    overrides: Sequence[str] = (),
    until: str | None = "cam",
    progress: Progress | None = None,
) -> PlannedSweep:
    settings = Settings(path.parent / "work", "cpu", 1, progress or Silent(), until=until)
    return plan_cells(read_matrix(path, grids), settings, seeds, overrides)


@pytest.mark.parametrize(
    ("grids", "overrides", "sentence"),
    [
        (["seed=0,1"], [], "row 'seed=0': seed is set by the sweep itself: give --seeds 0,1,2"),
        (["pooling=GAP,GPP"], ["seed=1"], "seed is set by the sweep itself: give --seeds"),
        (["name=a,b"], [], "name is set by the sweep itself: rows are named by what they set"),
        (
            ["pooling=GAP,GPP"],
            ["classifier.pooling=GAP"],
            "every row sets classifier.pooling itself",
        ),
        (["pooling=GAP,GPP"], ["name=mine"], "--name names the sweep"),
        (["pooling=GAP,GPP"], ["reference={'CAM': 50}"], "has its published numbers in paper="),
        (["pooling=GAP,GPP"], ["cam.flip=true", "cam.flip=no"], "--set cam.flip is given 2 times"),
    ],
)
def test_what_a_sweep_would_ignore_is_refused(
    tiny_file: Path, grids: list[str], overrides: list[str], sentence: str
) -> None:
    with pytest.raises(UserError) as refusal:
        planned(tiny_file, grids, overrides=overrides)
    assert sentence in str(refusal.value)


def test_the_seed_of_the_base_is_the_default(tiny_file: Path) -> None:
    found = planned(tiny_file, ["classifier.dropout=0,0.5"])
    assert [cell.seed for cell in found.sweep.cells] == [5, 5]
    assert {plan.config["seed"] for plan in found.plans.values()} == {5}
    found = planned(tiny_file, ["classifier.dropout=0,0.5"], seeds=[0, 1])
    assert [plan.config["seed"] for plan in found.plans.values()] == [0, 1, 0, 1]


class Told(Silent):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def test_rows_that_compute_the_same(tiny_file: Path) -> None:
    """What differs behind the last stage may be meant; a difference that is none is a mistake."""
    told = Told()
    planned(tiny_file, ["refine.crf.alpha=2,3"], progress=told)
    assert told.warnings == ["these rows compute the same up to cam: alpha=2; alpha=3"]
    grids = ["pooling=GAP,GPP", "classifier.dropout=0,0.0"]
    with pytest.raises(UserError, match=r"axis classifier\.dropout has no effect: 0, 0\.0 compute"):
        planned(tiny_file, grids, until=None)
    some = Told()
    planned(tiny_file, ["classifier.dropout=0,0.0,0.5"], until=None, progress=some)
    assert some.warnings == ["these rows compute the same: dropout=0; dropout=0.0"]
