"""The stage scores a run's files at the chosen and the best threshold, and keeps the counts of every image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from naive_evaluation import bilinear, predicted_at, scores_of

from wsssbench.errors import CorruptArtefactError, LeakError, UserError
from wsssbench.evaluation.boundary import boundary_counts, boundary_scores
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.evaluation.image_counts import read_image_counts, write_image_counts
from wsssbench.evaluation.score_folder import evaluate
from wsssbench.files.artefacts import write_cam
from wsssbench.files.ground_truth import allow_masks
from wsssbench.files.images import write_label
from wsssbench.interfaces import Cam, Dataset, RunContext
from wsssbench.progress import Silent
from wsssbench.stages.evaluate import Evaluate
from wsssbench.stages.handles import CamFiles, LabelFiles
from wsssbench.stages.stage import StageWork

K, SIZE, IDS = 4, (8, 10), ["a", "b", "c", "none"]


class Folder(Dataset):
    """Masks in a folder."""

    classes = ("cat", "dog", "cow", "bus")

    def __init__(self, root: Path) -> None:
        self.root = root

    def ids(self, split: str) -> list[str]:
        return IDS

    def labels(self, split: str) -> np.ndarray:
        raise AssertionError("an evaluation needs no image-level labels")

    def image_path(self, id: str) -> Path:
        raise AssertionError("an evaluation needs no images")

    def mask_path(self, id: str, split: str) -> Path | None:
        return self.root / f"{id}.png"

    def mask_directories(self) -> tuple[Path, ...]:
        return (self.root,)


def test_the_stage_reports_the_fixed_and_the_best_threshold(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(1)
    masks = {id: rng.choice([0, 0, 1, 2, 3, 255], SIZE).astype(np.uint8) for id in IDS}
    present = {"a": [1, 3], "b": [2], "c": [1, 2, 4], "none": []}
    maps = {
        id: {value: rng.integers(0, 256, (4, 5)).astype(np.float32) / 255 for value in values}
        for id, values in present.items()
    }
    for folder in ("masks", "given"):
        (tmp_path / folder).mkdir()
    full = {id: {k: bilinear(p, SIZE) for k, p in planes.items()} for id, planes in maps.items()}
    for id, mask in masks.items():
        write_label(tmp_path / "masks" / f"{id}.png", mask)
        stacked = np.array(list(maps[id].values()), np.float32).reshape(-1, 4, 5)
        cam = Cam(np.array(list(maps[id]), np.uint8), stacked, SIZE)
        write_cam(tmp_path / "given" / f"{id}.npz", cam)
    config = {"split": "train", "threshold": 0.4321, "thresholds": (0.0503, 0.65, 0.0501)}
    context = RunContext(tmp_path, "cpu", 1, 0, Silent())
    given = {"given": CamFiles(tmp_path / "given")}
    work = StageWork("evaluate.cam", config, given, {}, Folder(tmp_path / "masks"), context)
    with pytest.raises(LeakError):
        Evaluate().run(work)
    with allow_masks("evaluate"):
        result = Evaluate().run(work)
    chosen, oracle = result["chosen"], result["oracle"]
    wanted = scores_of((predicted_at(full[id], 0.4321, SIZE), masks[id]) for id in IDS)
    assert (chosen["threshold"], chosen["threshold_choice"]) == (0.4321, "fixed")
    assert chosen["miou"] == pytest.approx(wanted["miou"])
    assert list(chosen["iou"]) == ["background", "cat", "dog", "cow"]
    assert oracle["miou"] == max(point["miou"] for point in chosen["curve"]) >= chosen["miou"]
    assert len(chosen["curve"]) == 13  # the fixed one is on the curve, too
    counts = read_image_counts(tmp_path / "image_counts.npz")
    for choice, point in (("chosen", chosen), ("oracle", oracle)):
        found = counts[choice]
        assert list(found.ids) == IDS
        for row, id in enumerate(IDS):  # each image by itself, against the definition
            predicted = predicted_at(full[id], point["threshold"], SIZE)
            valid = masks[id] != 255
            for k in range(K + 1):
                assert found.counts.true[row, k] == (masks[id] == k).sum()
                assert found.counts.predicted[row, k] == ((predicted == k) & valid).sum()
                assert found.counts.correct[row, k] == ((predicted == k) & (masks[id] == k)).sum()


def test_label_maps_have_boundaries_and_classes_their_rates(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    masks = {id: rng.choice([0, 0, 1, 2, 3, 255], SIZE).astype(np.uint8) for id in IDS}
    labels = {
        id: np.where(rng.random(SIZE) < 0.7, right(m), 4).astype(np.uint8)
        for id, m in masks.items()
    }
    for folder, maps in (("masks", masks), ("given", labels)):
        (tmp_path / folder).mkdir()
        for id, label in maps.items():
            write_label(tmp_path / folder / f"{id}.png", label)
    given = {"given": LabelFiles(tmp_path / "given")}
    context = RunContext(tmp_path, "cpu", 1, 0, Silent())
    work = StageWork(
        "evaluate.x", {"split": "train"}, given, {}, Folder(tmp_path / "masks"), context
    )
    with allow_masks("evaluate"):
        result = Evaluate().run(work)
    found = read_image_counts(tmp_path / "image_counts.npz")["boundary"]
    parts = [boundary_counts(labels[id], masks[id], K) for id in IDS]
    for name in ("correct", "predicted", "true"):
        expected = np.stack([getattr(part, name) for part in parts])
        assert np.array_equal(getattr(found.counts, name), expected)
    assert result["boundary"] == boundary_scores(found.counts)
    chosen = result["chosen"]
    assert np.mean(list(chosen["class_precision"].values())) == pytest.approx(chosen["precision"])
    assert np.mean(list(chosen["class_recall"].values())) == pytest.approx(chosen["recall"])
    assert list(chosen["class_recall"]) == ["background", "cat", "dog", "cow"]
    # the command says the same of the same files
    scores = evaluate(tmp_path / "given", tmp_path / "masks", ids=IDS, classes=Folder.classes)
    assert scores["boundary"] == result["boundary"]["miou"]
    assert scores["class_recall"] == chosen["class_recall"]


def right(mask: np.ndarray) -> np.ndarray:
    return np.where(mask == 255, 0, mask)


SITUATIONS: dict[str, tuple[str, Any]] = {
    "sound": ("", right),
    "a class that is in no mask": (r"class 4 \(bus\) is predicted in all 4 images", lambda m: 4 * (m > 0)),
    "nothing predicted": ("", lambda m: m * 0),
    "shifted": ("100% if their class indices are lowered by 1", lambda m: right(m) + 1),
    "white masks": (r"masks/a\.png: were they drawn as 0/255", None),
}  # fmt: skip


@pytest.mark.parametrize("kind", [CamFiles, LabelFiles])
@pytest.mark.parametrize("name", list(SITUATIONS))
def test_a_run_and_the_command_say_the_same_of_the_same_files(
    tmp_path: Path, kind: Any, name: str
) -> None:
    rng = np.random.default_rng(2)
    said, draw = SITUATIONS[name]
    for folder in ("masks", "given"):
        (tmp_path / folder).mkdir()
    for id in IDS:
        mask = rng.choice([0, 0, 1, 2, 3, 255], SIZE).astype(np.uint8)
        label = (right(mask) if draw is None else draw(mask)).astype(np.uint8)
        mask = np.where(mask > 0, 255, 0).astype(np.uint8) if draw is None else mask
        write_label(tmp_path / "masks" / f"{id}.png", mask)
        if kind is LabelFiles:
            write_label(tmp_path / "given" / f"{id}.png", label)
            continue
        classes = np.setdiff1d(label, [0]) if label.any() else np.array([1], np.uint8)
        maps = (label == classes[:, None, None]).astype(np.float32)
        write_cam(tmp_path / "given" / f"{id}.npz", Cam(classes, maps, SIZE), exact=True)
    config: dict[str, Any] = {"split": "train"}
    if kind is CamFiles:
        config |= {"threshold": 0.25, "thresholds": (0.0, 0.6, 0.01)}
    given = {"given": kind(tmp_path / "given")}
    context = RunContext(tmp_path, "cpu", 1, 0, Silent())
    work = StageWork("evaluate.x", config, given, {}, Folder(tmp_path / "masks"), context)
    with allow_masks("evaluate"):
        result = Evaluate().run(work)
    form = "cam" if kind is CamFiles else "png"
    how = {"format": form, "classes": Folder.classes}
    arguments = (tmp_path / "given", tmp_path / "masks")
    if name in ("shifted", "white masks"):
        assert re.search(said, result["warnings"][0])
        with pytest.raises(UserError) as error:
            evaluate(*arguments, **how)
        assert error.value.whole == result["warnings"][0]
        return
    found = evaluate(*arguments, **how)
    assert found["warnings"] == result["warnings"] and len(found["warnings"]) == (name != "sound")
    assert re.search(said, " ".join(found["warnings"]))
    best = result["oracle"] or result["chosen"]
    for key in ("miou", "precision", "recall", "iou", "threshold", "curve"):
        assert found[key] == best[key], key
    if kind is CamFiles:
        fixed = evaluate(*arguments, threshold=0.25, **how)
        assert all(fixed[key] == result["chosen"][key] for key in ("miou", "recall", "iou"))


@pytest.mark.parametrize("damage", ["cut", "text", "ids"])
def test_damaged_counts_are_told(tmp_path: Path, damage: str) -> None:
    counts = ClassCounts(*np.ones((3, 2, K + 1), np.int32))
    path = tmp_path / "image_counts.npz"
    write_image_counts(path, ["a", "b"] if damage != "ids" else ["a"], {"chosen": counts})
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "text":
        path.write_text("no archive")
    with pytest.raises(CorruptArtefactError):
        read_image_counts(path)
