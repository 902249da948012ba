"""configs/refinements.py: every refinement, labelling and loss has a row, and all rows start from the same CAMs."""

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

MATRIX = "refinements"
ROWS = [row.name for row in methods(matrix=MATRIX).rows]
KINDS = ("refinement", "labelling", "loss")
# These have a row in configs/methods.py, because they work on a method's own CAMs or regions only.
ELSEWHERE = {"MinedRegions", "MinedOrBackground", "ICDSeeds"}
CHANGES_NO_LABEL = {"BalancedCrossEntropy"}


def test_every_method_that_changes_what_becomes_of_cams_has_a_row() -> None:
    there = {name for row in ROWS for name in types(resolve(row_config(row, matrix=MATRIX)))}
    for kind in KINDS:
        components = load().registries[kind].components.values()
        ours = {one.name for one in components if one.plugin in ("core", "aeft", "baselines")}
        missing = ours - there - ELSEWHERE - CHANGES_NO_LABEL
        assert not missing, f"configs/refinements.py has no row with these: {kind} {missing}"
    assert not there & ELSEWHERE
    others = {name for row in methods().rows for name in types(resolve(row_config(row.name)))}
    assert others >= ELSEWHERE


@pytest.mark.parametrize("base", BASES)
def test_rows_differ_from_the_base_after_the_cams_only(base: str) -> None:
    written = resolve(read_config(methods(base, MATRIX).base))
    for row in ROWS:
        resolved = resolve(row_config(row, base, matrix=MATRIX))
        for section in ("data", "segmenter"):
            assert resolved[section] == written[section], row
        for key in ("backbone", "transform", "schedule"):
            assert resolved["classifier"][key] == written["classifier"][key], row
        assert resolved["cam"]["scales"] == written["cam"]["scales"], row
        # What is read: the components of other rows are not computed beside.
        read = resolved["label"].get("input", "cam")
        assert not resolved["refine"] or list(resolved["refine"])[-1] == read, row


def test_all_rows_have_the_same_cams_and_different_labels(tmp_path: Path) -> None:
    cams, labels = set(), set()
    for row in ROWS:
        settings = Settings(tmp_path, "cpu", 0, Silent(), until="label")
        plan = make_plan(resolve(row_config(row, matrix=MATRIX)), settings)
        hashes = {step.node.name: step.entry.key.hash for step in plan.steps}
        # A cycle's own CAMs are read by its first chain alone.
        cams.add(hashes["cam"] if "cam" in hashes else hashes["once.cam"])
        labels.add(hashes["label"])
    assert (len(cams), len(labels)) == (1, len(ROWS))


def test_a_base_with_a_method_gives_the_same_rows() -> None:
    matrix = methods("synthetic", MATRIX)
    ours, theirs = read_config(matrix.base), read_config(CONFIGS / "aeft_synthetic.py")
    for row in matrix.rows:
        plain, other = (resolve(with_earlier(base, row)) for base in (ours, theirs))
        assert {**plain, "name": ""} == {**other, "name": ""}, row.name


@pytest.mark.parametrize("name", ["irn", "bes", "ssdd"])
def test_rows_on_voc_have_the_values_of_the_papers_recipe(name: str) -> None:
    """Of what has to be learnt; the classifier is the base's, and its CAMs may ask for other background exponents."""
    row = {"irn": "IRNet", "bes": "BES", "ssdd": "SSDD"}[name]
    ours = resolve(row_config(row, "voc", matrix=MATRIX))["refine"][name]
    theirs = resolve(read_config(CONFIGS / "methods" / f"{name}_voc.py"))["refine"][name]
    assert ours == theirs


@pytest.mark.slow
def test_a_smoke_run_of_the_matrix(tmp_path: Path) -> None:
    """Every row to the last rung on a handful of images; again, nothing is left to do."""
    arguments = ("sweep", "configs/refinements.py", "--smoke", "--seeds", "0")
    arguments += ("--until", "evaluate.predict", "--work-dir", str(tmp_path))
    outcome = call(*arguments)
    assert outcome.code == 0, outcome
    (record,) = tmp_path.glob("sweeps/*/sweep.json")
    cells = json.loads(record.read_text())["cells"]
    assert len(cells) == len(ROWS) and not any(cell["impossible"] for cell in cells)
    for cell in cells:
        rungs = json.loads((record.parent / cell["run"] / "metrics.json").read_text())["rungs"]
        assert rungs[-1]["name"] == "DeepLab val", cell
    assert f"{len(ROWS)} done, 0 to run" in call(*arguments).out
