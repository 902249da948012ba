"""``configs/own_data.py`` on a folder of somebody's photos: planned in moments, and run to its end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from in_process import call
from PIL import Image

from wsssbench.files.images import write_label

CONFIG = Path(__file__).parents[2] / "configs" / "own_data.py"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten images of noise with a bright square, in the layout that the config describes."""
    root = tmp_path / "my_photos"
    lines = ["id,labels,split"]
    rng = np.random.default_rng(0)
    for i in range(10):
        path = root / "images" / ("garden" if i % 2 else "") / f"{i:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo = rng.integers(0, 100, (72, 96, 3), dtype=np.uint8)
        mask = np.zeros((72, 96), np.uint8)
        photo[20:50, 30:70, i % 2], mask[20:50, 30:70] = 255, 1 + i % 2
        Image.fromarray(photo).save(path)
        target = (root / "masks" / path.relative_to(root / "images")).with_suffix(".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        write_label(target, mask)
        name = path.relative_to(root / "images").with_suffix("")
        lines.append(f"{name},{('daisy', 'tulip')[i % 2]},{'train' if i < 7 else 'val'}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def test_it_is_planned(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsssbench.experiment.plan.rehearse", lambda *_: {})  # it takes seconds
    options = ("--set", f"data.root={photos}", "--work-dir", photos.parent / "work")
    outcome = call("run", CONFIG, *options, "--limit", "3", "--dry-run")
    assert (outcome.code, outcome.err) == (0, "") and "own_data-limit3, seed 0" in outcome.out
    for stage in ("classify", "cam", "refine.crf", "label", "segment", "evaluate.predict"):
        assert f"\n {stage} " in outcome.out
    assert not (photos.parent / "work" / "cache").exists()


@pytest.mark.slow
def test_it_runs_and_is_listed_as_a_smoke_run(photos: Path) -> None:
    work = photos.parent / "work"
    options = ("--set", f"data.root={photos}", "--work-dir", work, "--device", "cpu")
    outcome = call("run", CONFIG, *options, "--smoke")
    assert outcome.code == 0, outcome.err
    assert "DeepLab val" in outcome.out and "smoke run" in outcome.out
    assert (
        '"smoke": true' in next((work / "runs" / "own_data-smoke").glob("*/run.json")).read_text()
    )
    assert "own_data-smoke" in call("runs", "list", "--work-dir", work).out
    report = next((work / "runs" / "own_data-smoke").glob("*/report.html")).read_text()
    assert "its numbers mean nothing" in report
