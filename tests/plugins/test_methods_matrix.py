"""configs/methods.py: every method has a row, which is the same on every base of the same data and backbone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from in_process import call
from method_rows import BASES, CONFIGS, methods, row_config, types

from wsssbench.experiment.config import read_config, resolve
from wsssbench.experiment.plan import Settings, make_plan
from wsssbench.plugins import load
from wsssbench.progress import Silent
from wsssbench.sweep.cells import with_earlier

ROWS = [row.name for row in methods().rows]
WITHOUT_THRESHOLD = ("nGWP, its own masks", "ICD")  # CAMs that need none
EXTRA = {"GradCAM"}  # needs a package that the tests do not install
PMM = {"RelabelledCrops", "MultiCropCAM"}  # need photos cut in another way than the base's
KINDS = ("pooling", "erasing", "objective", "augmentation", "cam")  # what tells CAMs apart
# A base with something in everything that a method can be made of.
FULL = """
_base_ = ["{configs}/gap_synthetic.py"]
name = "full"
rounds = 2
stages = dict(bank=dict(type="InstanceBank", labels="label"))
before = dict(plain=dict(classifier=dict(init=None, objectives=[], erasing=[], augment=[])))
classifier = dict(
    pooling=dict(type="GPP", bins=(2,)),
    erasing=[dict(type="OCCSE", guide="plain.classify")],
    objectives=[dict(type="SEAM")],
    augment=[dict(type="ContextDecoupling", bank="previous.bank")],
    init="plain.classify",
)
cam = dict(normalisation="range")
"""


def test_every_method_that_changes_cams_has_a_row() -> None:
    there = {name for row in ROWS for name in types(resolve(row_config(row)))}
    for kind in KINDS:
        components = load().registries[kind].components.values()
        ours = {one.name for one in components if one.plugin in ("core", "aeft", "baselines")}
        missing = ours - there - EXTRA - PMM
        assert not missing, f"configs/methods.py has no row with these: {kind} {missing}"


@pytest.mark.parametrize("base", BASES)
def test_every_row_is_an_experiment_on_every_base(base: str) -> None:
    written = resolve(read_config(methods(base).base))
    for row in ROWS:
        resolved = resolve(row_config(row, base))
        for section in ("data", "segmenter"):
            assert resolved[section] == written[section]
        for key in ("backbone", "transform"):
            assert resolved["classifier"][key] == written["classifier"][key]
        if row != "ReCAM":  # which goes on from a trained classifier
            assert resolved["classifier"]["schedule"] == written["classifier"]["schedule"]
        if row not in WITHOUT_THRESHOLD:
            assert resolved["evaluate"]["selection"] == "heldout"


def test_a_base_with_a_method_gives_the_same_rows(tmp_path: Path) -> None:
    full = tmp_path / "full.py"
    full.write_text(FULL.format(configs=CONFIGS))
    assert resolve(read_config(full))["rounds"] == 2
    others = [CONFIGS / "aeft_synthetic.py", CONFIGS / "rigid_synthetic.py", full]
    for other in others:
        base, matrix = read_config(other), methods("synthetic")
        for row in matrix.rows:
            ours, theirs = (
                {k: v for k, v in resolve(with_earlier(one, row)).items() if k != "name"}
                for one in (read_config(matrix.base), base)
            )
            assert theirs == ours, (other.name, row.name)


@pytest.mark.parametrize(
    ("row", "chain"),
    [
        ("OC-CSE", "ordinary"),
        ("NOC", "ordinary"),
        ("ReCAM", "plain"),
        ("AE-PSL", "round1"),
        ("SC-CAM", "round1"),
        ("CDA", "round1"),
    ],
)
def test_earlier_chains_are_the_row_gap(row: str, chain: str, tmp_path: Path) -> None:
    def hashes(name: str) -> dict[str, str]:
        settings = Settings(tmp_path, "cpu", 0, Silent(), until="cam")
        plan = make_plan(resolve(row_config(name)), settings)
        return {step.node.name: step.entry.key.hash for step in plan.steps}

    plain, ours = hashes("GAP"), hashes(row)
    assert ours[f"{chain}.classify"] == plain["classify"] != ours["classify"]
    if chain == "round1":
        assert ours["round1.cam"] == plain["cam"]


@pytest.mark.slow
def test_a_smoke_run_of_the_matrix(tmp_path: Path) -> None:
    arguments = ("sweep", "configs/methods.py", "--smoke", "--seeds", "0", "--work-dir", tmp_path)
    outcome = call(*arguments)
    assert outcome.code == 0, outcome
    (record,) = tmp_path.glob("sweeps/*/sweep.json")
    cells = json.loads(record.read_text())["cells"]
    assert len(cells) == len(ROWS) and not any(cell["impossible"] for cell in cells)
    for cell in cells:
        assert (record.parent / cell["run"] / "metrics.json").is_file(), cell
