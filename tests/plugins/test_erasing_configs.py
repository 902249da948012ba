"""The configs of GAIN, ACoL, SeeNet and P-NOC: what they share with the plain experiments, and a run of each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from in_process import call

from wsssbench.experiment.config import read_config, resolve
from wsssbench.experiment.overrides import apply_overrides

CONFIGS = Path(__file__).parents[2] / "configs"
PLAIN = {
    "gain": "gap_part",
    "acol": "gap_part",
    "seenet": "gap_context",
    "p_noc": "gap_part",
}


@pytest.mark.parametrize("method", PLAIN)
def test_without_the_method_the_classifier_is_the_plain_one(method: str) -> None:
    off = ("classifier.erasing=none", "classifier.objectives=none")
    given = read_config(CONFIGS / "methods" / f"{method}_synthetic.py")
    assert resolve(given)["classifier"]["erasing"]
    plain = resolve(read_config(CONFIGS / f"{PLAIN[method]}.py"))
    without = resolve(apply_overrides(given, off))
    for section in ("data", "classifier", "cam"):
        assert without[section] == plain[section]


@pytest.mark.slow
@pytest.mark.parametrize("method", PLAIN)
def test_a_smoke_run_up_to_the_cams(method: str, tmp_path: Path) -> None:
    name = f"configs/methods/{method}_synthetic.py"
    arguments = ("run", name, "--smoke", "--until", "cam", "--work-dir", tmp_path)
    outcome = call(*arguments)
    assert outcome.code == 0, outcome
    assert re.search(r"^ CAM ", outcome.out, re.MULTILINE), outcome.out
    again = call(*arguments)
    assert ": computed" not in again.out + again.err and ": reused" in again.out + again.err
