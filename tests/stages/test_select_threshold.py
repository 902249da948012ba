"""Thresholds that are selected without the scored split's masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsssbench.errors import CorruptArtefactError
from wsssbench.files.artefacts import read_cam, write_cam
from wsssbench.files.images import write_label
from wsssbench.interfaces import Cam, RunContext
from wsssbench.ops.cam import upsample
from wsssbench.plugins import load
from wsssbench.progress import Silent
from wsssbench.stages.handles import CamFiles
from wsssbench.stages.select_threshold import SelectThreshold, read_selected
from wsssbench.stages.stage import StageWork

GRID = (0.0, 0.9, 0.05)
IDS = ("a1", "b2", "c3")
SIZE = (24, 36)


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A VOC-like data set of three images with CAMs and masks; all of them random."""
    from PIL import Image

    rng = np.random.default_rng(3)
    root = tmp_path / "VOC"
    for name in ("JPEGImages", "ImageSets/Segmentation", "SegmentationClass", "cams"):
        (root / name).mkdir(parents=True)
    (root / "ImageSets/Segmentation/held.txt").write_text("\n".join(IDS))
    (root / "labels.csv").write_text("id,labels\n" + "".join(f"{id},1;2\n" for id in IDS))
    for id in IDS:
        Image.fromarray(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(
            root / "JPEGImages" / f"{id}.jpg"
        )
        maps = upsample(rng.random((2, 4, 5)).astype(np.float32) ** 2, (12, 18))
        classes = np.array([1, 2], np.uint8)
        write_cam(root / "cams" / f"{id}.npz", Cam(classes, maps / maps.max(), SIZE))
        write_label(root / "SegmentationClass" / f"{id}.png", _noisy_truth(maps, rng))
    return root


def _noisy_truth(maps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    full = upsample(maps, SIZE)
    label = np.where(full.max(0) > 0.3, 1 + full.argmax(0), 0).astype(np.uint8)
    noise = rng.random(SIZE)
    label[noise < 0.1] = 2
    label[noise > 0.95] = 255
    return label


def select(root: Path, directory: Path, method: str) -> dict[str, Any]:
    directory.mkdir(exist_ok=True)
    dataset = load().registries.dataset.build({"type": "VOC2012", "root": str(root)})
    config = {"method": method, "split": "held", "thresholds": GRID}
    inputs = {"given": CamFiles(root / "cams")}
    context = RunContext(directory, "cpu", 0, 0, Silent())
    return SelectThreshold().run(StageWork("threshold", config, inputs, {}, dataset, context))


def naive(root: Path, truth_of: Callable[[str], np.ndarray]) -> float:
    """The threshold of `GRID` with the best mean IoU over the classes of the truth; the lowest of equal ones."""
    best, at = -1.0, 0.0
    for threshold in np.round(np.arange(GRID[0], GRID[1] + 1e-6, GRID[2]), 9).astype(np.float32):
        intersection, union, occurs = np.zeros(3), np.zeros(3), np.zeros(3)
        for id in IDS:
            cam = read_cam(root / "cams" / f"{id}.npz")
            full = upsample(cam.maps, SIZE)
            found = np.where(full.max(0) > threshold, cam.classes[full.argmax(0)], 0)
            truth = truth_of(id)
            counted = truth != 255
            for k in range(3):
                intersection[k] += (counted & (found == k) & (truth == k)).sum()
                union[k] += (counted & ((found == k) | (truth == k))).sum()
                occurs[k] += (truth == k).sum()
        value = np.mean([intersection[k] / union[k] for k in range(3) if occurs[k]])
        if value > best + 1e-12:
            best, at = value, float(str(threshold))
    return at


def test_heldout_takes_the_best_on_masks(given: Path, tmp_path: Path) -> None:
    from wsssbench.files.ground_truth import allow_masks
    from wsssbench.files.images import read_label

    with allow_masks("test"):
        found = select(given, tmp_path / "out", "heldout")
    expected = naive(given, lambda id: read_label(given / "SegmentationClass" / f"{id}.png"))
    assert found == {"threshold": expected, "choice": "heldout"}
    assert read_selected(tmp_path / "out") == (expected, "heldout")


def test_otsu_looks_at_the_activations_only(given: Path, tmp_path: Path) -> None:
    """Against the criterion written for single pixels: the smallest sum of squares within the two parts."""
    from wsssbench.files.ground_truth import forbid

    with forbid((given / "SegmentationClass",), "threshold"):  # opening a mask would raise
        found = select(given, tmp_path / "out", "otsu")
    cams = [read_cam(given / "cams" / f"{id}.npz") for id in IDS]
    pixels = np.concatenate([upsample(cam.maps, SIZE).max(0).ravel() for cam in cams])
    within = [
        sum(p.var() * p.size for p in (pixels[pixels > t], pixels[pixels <= t]) if p.size)
        for t in np.arange(1, 99) / 100
    ]
    assert found["choice"] == "otsu"
    assert found["threshold"] == pytest.approx(0.01 + np.argmin(within) / 100, abs=0.011)


def test_a_damaged_selection_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(CorruptArtefactError):
        read_selected(tmp_path)
    (tmp_path / "threshold.json").write_text('{"threshold": ')
    with pytest.raises(CorruptArtefactError):
        read_selected(tmp_path)
