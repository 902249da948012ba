"""``examples/notebook.py`` runs from its first cell to its last, on still fewer images than it shows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from warm_processes import WarmProcess

REPOSITORY = Path(__file__).parents[2]
NOTEBOOK = REPOSITORY / "examples" / "notebook.py"
CONFIG = f"""
_base_ = ["{REPOSITORY}/configs/aeft_synthetic.py"]
smoke = {{
    "data.train_images": 6,
    "data.val_images": 2,
    "data.image_size": 64,
    "classifier.transform.crop": 64,
    "classifier.schedule.batch_size": 3,
}}
"""


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "aeft_synthetic.py").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    process = WarmProcess(NOTEBOOK, output=tmp_path / "output.txt")
    assert process.wait() == 0, process.output
    for name in ("aeft_synthetic", "gap"):
        assert f"<Run work/runs/{name}-smoke/" in process.output
    (scores,) = re.findall(
        r"^mIoU (\S+) at threshold \S+, in the ladder (\S+)$", process.output, re.M
    )
    assert scores[0] == scores[1]
    (picture,) = (tmp_path / "pictures").iterdir()
    photo, _, label = np.hsplit(np.asarray(Image.open(picture)), 3)
    (original,) = (tmp_path / "work" / "cache" / "generate").glob(f"*/**/{picture.stem}.jpg")
    np.testing.assert_array_equal(photo, np.asarray(Image.open(original)))
    assert len(np.unique(label.reshape(-1, 3), axis=0)) <= 9


def test_it_needs_nothing_that_is_not_installed() -> None:
    tree = ast.parse(NOTEBOOK.read_text())
    needed = {
        name.partition(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [a.name for a in node.names]
        )
    }
    assert needed == {"pathlib", "numpy", "PIL", "wsssbench"}
    assert NOTEBOOK.read_text().count("\n# %%\n") >= 6
