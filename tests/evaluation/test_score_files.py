"""Scoring files equals the definition, threshold by threshold; what cannot be scored is named."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from naive_evaluation import bilinear, predicted_at, scores_of

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.evaluation.confusion import metrics_of_counts
from wsssbench.evaluation.score_files import (
    ConfusionAccumulator,
    score_files,
    summarise,
    threshold_grid,
)
from wsssbench.files.artefacts import write_cam, write_scores
from wsssbench.files.images import write_label
from wsssbench.files.npy import save_array_dict
from wsssbench.interfaces import Cam, Scores
from wsssbench.progress import Silent

K, SIZE, IDS = 4, (8, 10), ["a", "b", "c", "none"]
GRID = threshold_grid(0.0503, 0.65, 0.0501)  # between the values of 8-bit maps
Maps = Mapping[int, np.ndarray]


@pytest.fixture
def masks() -> dict[str, np.ndarray]:
    """Masks with 255; class 4 never occurs."""
    rng = np.random.default_rng(1)
    return {id: rng.choice([0, 0, 1, 2, 3, 255], SIZE).astype(np.uint8) for id in IDS}


@pytest.fixture
def maps() -> dict[str, Maps]:
    """Coarse maps by label-map value; image "none" has no class, and class 4 is predicted in vain."""
    rng = np.random.default_rng(2)
    present = {"a": [1, 3], "b": [2], "c": [1, 2, 4], "none": []}
    return {
        id: {value: rng.integers(0, 256, (4, 5)).astype(np.float32) / 255 for value in values}
        for id, values in present.items()
    }


def accumulate(
    directory: Path, kind: str, masks: Mapping[str, np.ndarray], **changes: Any
) -> ConfusionAccumulator:
    how = {"ids": list(masks), "num_classes": K, "thresholds": GRID, **changes}
    return score_files(
        directory, how["ids"], masks.__getitem__, kind, how["num_classes"], how["thresholds"],
        Silent(),
    )  # fmt: skip


def check_curve(result: Mapping[str, Any], full: Mapping[str, Maps], masks: Any) -> None:
    """Every point of the curve, and the chosen one, against the definition."""
    assert len(result["curve"]) == len(GRID) == 12
    expected = [
        scores_of((predicted_at(full[id], t, SIZE), masks[id]) for id in full) for t in GRID
    ]
    for point, t, wanted in zip(result["curve"], GRID, expected, strict=True):
        assert point["threshold"] == pytest.approx(float(t), abs=1e-7)
        for name in ("miou", "precision", "recall"):
            assert point[name] == pytest.approx(wanted[name]), (t, name)
    top = max(range(len(GRID)), key=lambda i: expected[i]["miou"])
    assert result["threshold"] == result["curve"][top]["threshold"]
    assert result["threshold_choice"] == "oracle"
    assert result["miou"] == pytest.approx(expected[top]["miou"])
    assert result["iou"] == pytest.approx({str(k): v for k, v in expected[top]["iou"].items()})
    assert "4" not in result["iou"]
    assert len({point["miou"] for point in result["curve"]}) > 6  # the thresholds matter


def write_psa(directory: Path, maps: Mapping[str, Maps]) -> None:
    for id, planes in maps.items():
        save_array_dict(directory / f"{id}.npy", {k - 1: plane for k, plane in planes.items()})


def test_cams_against_the_definition(
    tmp_path: Path, maps: dict[str, Maps], masks: dict[str, np.ndarray]
) -> None:
    for id, planes in maps.items():
        stacked = np.array(list(planes.values()), np.float32).reshape(-1, 4, 5)
        write_cam(tmp_path / f"{id}.npz", Cam(np.array(list(planes), np.uint8), stacked, SIZE))
    full = {id: {k: bilinear(p, SIZE) for k, p in planes.items()} for id, planes in maps.items()}
    for classes in (K, None):
        check_curve(summarise(accumulate(tmp_path, "cam", masks, num_classes=classes), None), full,
                    masks)  # fmt: skip


def test_affinitynet_files_against_the_definition(
    tmp_path: Path, masks: dict[str, np.ndarray]
) -> None:
    rng = np.random.default_rng(3)
    present = {"a": [1, 3], "b": [2], "c": [1, 2, 4], "none": [3]}
    full: dict[str, Maps] = {
        id: {k: rng.random(SIZE, np.float32) * 0.8 for k in values}
        for id, values in present.items()
    }
    write_psa(tmp_path, full)
    check_curve(summarise(accumulate(tmp_path, "psa", masks), None), full, masks)


def test_irnet_files_are_scored_as_the_same_maps_of_affinitynet(
    tmp_path: Path, masks: dict[str, np.ndarray]
) -> None:
    rng = np.random.default_rng(4)
    full: dict[str, Maps] = {id: {k: rng.random(SIZE, np.float32) for k in (1, 3)} for id in masks}
    for name in ("psa", "irn"):
        (tmp_path / name).mkdir()
    write_psa(tmp_path / "psa", full)
    for id, planes in full.items():
        coarse = np.zeros((2, 2, 3), np.float32)
        maps = {
            "keys": np.array([0, 2]),
            "cam": coarse,
            "high_res": np.stack(list(planes.values())),
        }
        save_array_dict(tmp_path / "irn" / f"{id}.npy", maps)
    both = [accumulate(tmp_path / kind, kind, masks) for kind in ("psa", "irn")]
    assert summarise(both[0], None) == summarise(both[1], None)


def test_a_score_equal_to_the_threshold_is_background(tmp_path: Path) -> None:
    mask = np.array([[0, 1], [1, 1]], np.uint8)
    plane = np.array([[0.3, 0.3], [0.30000003, 0.9]], np.float32)
    save_array_dict(tmp_path / "x.npy", {0: plane})
    accumulator = accumulate(tmp_path, "psa", {"x": mask}, thresholds=np.array([0.3], np.float32))
    result = summarise(accumulator, 0.3)
    assert (result["threshold"], result["threshold_choice"]) == (0.3, "fixed")
    assert result["iou"] == pytest.approx({"0": 50.0, "1": 200 / 3})


def test_label_maps_against_the_definition(tmp_path: Path, masks: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(4)
    labels = {id: rng.choice([0, 1, 2, 4, 255], SIZE).astype(np.uint8) for id in masks}
    for id, label in labels.items():
        write_label(tmp_path / f"{id}.png", label)
    expected = scores_of((labels[id], masks[id]) for id in masks)
    result = summarise(accumulate(tmp_path, "png", masks), None, ("cat", "dog", "cow", "bus"))
    assert (result["threshold"], result["threshold_choice"], result["curve"]) == (None, "none", [])
    for name in ("miou", "precision", "recall"):
        assert result[name] == pytest.approx(expected[name])
    names = ["background", "cat", "dog", "cow"]
    assert result["iou"] == pytest.approx(dict(zip(names, expected["iou"].values(), strict=True)))
    assert result["iou"]["cow"] == 0  # occurs, never predicted


def test_scores_against_the_definition(tmp_path: Path, masks: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(5)
    labels = {}
    for id, classes in {"a": [1, 3], "b": [2], "c": [1, 2, 4], "none": []}.items():
        planes = rng.random((1 + len(classes), 4, 5), np.float32)
        write_scores(tmp_path / f"{id}.npz", Scores(np.array(classes, np.uint8), planes, SIZE))
        full = [bilinear(plane, SIZE) for plane in planes]
        labels[id] = np.array([0, *classes])[np.argmax(full, axis=0)]
    expected = scores_of((labels[id], masks[id]) for id in masks)
    result = summarise(accumulate(tmp_path, "scores", masks), None)
    assert result["miou"] == pytest.approx(expected["miou"])
    assert result["iou"] == pytest.approx({str(k): v for k, v in expected["iou"].items()})


def test_parts_of_a_data_set_add_up(tmp_path: Path, masks: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(6)
    write_psa(tmp_path, {id: {1: rng.random(SIZE), 2: rng.random(SIZE)} for id in masks})
    whole = accumulate(tmp_path, "psa", masks)
    part = accumulate(tmp_path, "psa", masks, ids=["a", "b"])
    part.merge(accumulate(tmp_path, "psa", masks, ids=["c", "none"]))
    assert summarise(part, None) == summarise(whole, None)


def test_grid_of_thresholds() -> None:
    grid = threshold_grid(0, 0.6, 0.01)
    assert grid.dtype == np.float32 and len(grid) == 61
    np.testing.assert_array_equal(grid, np.array([i / 100 for i in range(61)], np.float32))
    assert threshold_grid(0.1, 0.35, 0.1).tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert threshold_grid(0.25, 0.25, 0.5).tolist() == [0.25]


class Bomb:
    def __reduce__(self) -> Any:
        return Path.write_text, (Path("bomb.txt"), "gone off")


def test_a_pickle_that_runs_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "x.npy", {0: Bomb()}, allow_pickle=True)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="could run code"):
        accumulate(tmp_path, "psa", {"x": np.zeros((2, 2), np.uint8)})
    (tmp_path / "x.npy").write_bytes(pickle.dumps({0: np.zeros((2, 2))}))
    with pytest.raises(UserError, match=r"cannot be read as a \.npy"):
        accumulate(tmp_path, "psa", {"x": np.zeros((2, 2), np.uint8)})
    assert not (tmp_path / "bomb.txt").exists()


def test_missing_folders_and_files(tmp_path: Path, masks: dict[str, np.ndarray]) -> None:
    with pytest.raises(UserError, match=r"nowhere does not exist"):
        accumulate(tmp_path / "nowhere", "png", masks)
    write_label(tmp_path / "a.png", masks["a"])
    with pytest.raises(UserError, match=r"no prediction for 3 images of the list.*b\.png"):
        accumulate(tmp_path, "png", masks)
    (tmp_path / "b.npz").write_bytes(b"")
    with pytest.raises(CorruptArtefactError, match=r"b\.npz"):
        accumulate(tmp_path, "cam", {"b": masks["b"]})


def test_another_size_than_the_mask(tmp_path: Path, masks: dict[str, np.ndarray]) -> None:
    cam = Cam(np.array([1], np.uint8), np.ones((1, 4, 5), np.float32), (10, 8))
    write_cam(tmp_path / "a.npz", cam)
    save_array_dict(tmp_path / "a.npy", {0: np.ones((4, 5))})
    write_label(tmp_path / "a.png", masks["a"].T.copy())
    for kind, size in (("cam", "8 x 10"), ("png", "8 x 10"), ("psa", "5 x 4")):
        with pytest.raises(UserError, match=f"a.* is {size}, but its mask is 10 x 8 pixels"):
            accumulate(tmp_path, kind, {"a": masks["a"]})


def test_classes_outside_the_range(tmp_path: Path, masks: dict[str, np.ndarray]) -> None:
    only = {"a": masks["a"]}
    save_array_dict(tmp_path / "a.npy", {K: np.ones(SIZE)})
    with pytest.raises(UserError, match=rf"a\.npy.*predicted class {K + 1} is outside 1\.\.{K}"):
        accumulate(tmp_path, "psa", only)
    label = np.zeros(SIZE, np.uint8)
    label[0, 0] = K + 1
    write_label(tmp_path / "a.png", label)
    with pytest.raises(UserError, match=rf"predicted label {K + 1} is outside 0\.\.{K}"):
        accumulate(tmp_path, "png", only)
    write_label(tmp_path / "a.png", masks["a"])
    with pytest.raises(UserError, match=r"its mask.*true label 5 is outside 0\.\.4 \(1 pixels\)"):
        accumulate(tmp_path, "png", {"a": label})
    save_array_dict(tmp_path / "a.npy", {0: np.full(SIZE, np.nan)})
    with pytest.raises(UserError, match="NaN"):
        accumulate(tmp_path, "psa", only)


def test_the_counts_of_label_maps_and_of_several_ranks(
    tmp_path: Path, masks: dict[str, np.ndarray]
) -> None:
    rng = np.random.default_rng(4)
    for id in IDS:
        write_label(tmp_path / f"{id}.png", rng.choice([0, 1, 2, 255], SIZE).astype(np.uint8))
    grid = np.zeros(1, np.float32)
    parts = [
        score_files(tmp_path, ids, masks.__getitem__, "png", K, grid, Silent(), per_image=True)
        for ids in (IDS, IDS[::2], IDS[1::2])
    ]
    parts[1].merge(parts[2])
    whole, merged = (part.image_counts(IDS, 0) for part in parts[:2])
    for name in ("correct", "predicted", "true"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(merged, name))
    total = metrics_of_counts(ClassCounts(*(x.sum(axis=0) for x in vars(whole).values())))
    assert total.miou == summarise(parts[0], None)["miou"]
