"""What is read from the source of the stages agrees with the stages themselves, and needs no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from wsssbench.experiment.graph import STAGES
from wsssbench.stages import family, places, short_name


@pytest.mark.parametrize("attribute", ["slots", "lists"])
def test_places_are_those_of_the_kinds(attribute: str) -> None:
    declared = {place: c for kind in STAGES for place, c in getattr(kind, attribute).items()}
    assert places(attribute) == declared and declared


def test_nodes_are_called_without_the_prefix_of_their_kind() -> None:
    assert [kind.prefix for kind in STAGES if kind.prefix] == ["refine."]
    assert short_name("refine.crf") == "crf"
    assert short_name("evaluate.crf") == "evaluate.crf"
    assert short_name("refined") == "refined"


def test_all_evaluations_are_one_family() -> None:
    assert family("evaluate.cam") == family("evaluate.predict.test") == "evaluate"
    assert family("evaluated_by_a_plugin") == "evaluated_by_a_plugin"
    assert family("cam") == "cam"


def test_torch_is_not_imported() -> None:
    code = (
        "import sys; from wsssbench.stages import places, short_name; places('slots'); "
        "short_name('refine.crf'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=300).returncode == 0
