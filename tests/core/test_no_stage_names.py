"""Outside of stages/ no string names a kind of stage, a node or a section: whoever wants to know something asks.

A new kind of stage is one file and one word; a table or a comparison of names elsewhere would be a second place.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import wsssbench
from wsssbench.experiment.graph import STAGES
from wsssbench.stages.segment import PREDICTIONS

ROOT = Path(wsssbench.__file__).parent
# They show plugin authors a made-up experiment, with names.
EXAMPLES = ("contract", "scaffold")

COMMAND = "names a command, or what its progress is called"
FORMAT = "names a format of files"
COMPONENT = "names a kind of component"
FIGURE = "a key of the figures that are written as JSON"
SPLIT = "a key of the config's `splits`"
SENTENCE = "says in an error which section is meant"
ALLOWED: dict[str, dict[str, str]] = {
    "__init__.py": {"evaluate": COMMAND},
    "api.py": {"evaluate": COMMAND},
    "builtin/tensorboard.py": {"threshold": FIGURE},
    "cli/__init__.py": {"evaluate": COMMAND, "data": COMMAND, "predict": COMMAND},
    "cli/check_data.py": {"data": FIGURE},
    "cli/evaluate.py": {"threshold": FIGURE},
    "cli/predict.py": {"threshold": FIGURE},
    "cli/runs.py": {"stages": FIGURE},
    "evaluation/boundary.py": {"threshold": FIGURE},
    "evaluation/confusion.py": {"threshold": FIGURE},
    "evaluation/score_files.py": {"cam": FORMAT, "threshold": FIGURE, "evaluate": COMMAND},
    "experiment/cache.py": {"data": FIGURE},
    "experiment/config.py": {"evaluate": SPLIT},
    "files/artefacts.py": {"cam": FORMAT, "label": FORMAT},
    "files/cam_formats.py": {"cam": FORMAT},
    "labelling/from_scores.py": {"threshold": FIGURE},
    "models/classifier.py": {"classifier": SENTENCE},
    "pages/gallery.py": {"evaluate": SPLIT},
    "registry/components.py": {"cam": COMPONENT, "segmenter": COMPONENT},
    "results/finished_run.py": {"evaluate": SPLIT},
    "results/card.py": {"threshold": FIGURE},
    "results/collect.py": {"stages": FIGURE, "threshold": FIGURE},
    "results/convergence.py": {"data": "compares a section of the configs"},
    "results/ladder.py": {"threshold": FIGURE},
    "results/new_photos.py": {"threshold": FIGURE},
    "results/protocol.py": {"threshold": FIGURE},
    "results/started.py": {"stages": FIGURE},
    "results/run_files.py": {"data": SENTENCE},
    "segmenters/predictor.py": {"data": "an attribute of mmseg's samples"},
    "segmenters/run.py": {"predict": COMMAND, "segment": COMMAND},
}


def stage_names() -> set[str]:
    """Kinds, sections, nodes, and what the names of nodes begin with."""
    names = {"", *PREDICTIONS}
    for kind in STAGES:
        names |= {kind.name, kind.section, kind.prefix}
        constants = vars(importlib.import_module(type(kind).__module__))
        names.add(constants.get("NODE", ""))
        names |= {v for v in constants.values() if isinstance(v, str) and v.endswith(".")}
    return names - {""}


def literals(path: Path) -> Iterator[str]:
    """The strings in the file at `path` that are no docstrings."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_no_string_names_a_stage() -> None:
    names = stage_names()
    unexpected, needed = [], set()
    for path in sorted(ROOT.rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(("stages/", *(f"{room}/" for room in EXAMPLES))):
            continue
        for text in set(literals(path)) & names:
            needed.add((place, text))
            if text not in ALLOWED.get(place, {}):
                unexpected.append(f"{place}: '{text}'")
    assert unexpected == []
    assert needed == {(place, text) for place, texts in ALLOWED.items() for text in texts}


def test_the_names_are_those_of_today() -> None:
    """The set that is searched for is not empty by mistake."""
    assert {"classify", "cam", "refine", "refine.", "evaluate.", "predict.test"} < stage_names()
    assert {"data", "classifier", "segmenter", "stages", "threshold", "fit"} < stage_names()
