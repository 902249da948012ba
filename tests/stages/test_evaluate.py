"""Scoring files equals the definition, threshold by threshold; what cannot be scored is named."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from naive_evaluation import bilinear, predicted_at, scores_of

from wsssbench.errors import CorruptArtefactError, LeakError, UserError
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.evaluation.confusion import metrics_of_counts
from wsssbench.evaluation.image_counts import read_image_counts, write_image_counts
from wsssbench.files.artefacts import write_cam, write_scores
from wsssbench.files.ground_truth import allow_masks
from wsssbench.files.images import write_label
from wsssbench.files.npy import save_array_dict
from wsssbench.interfaces import Cam, Dataset, RunContext, Scores
from wsssbench.progress import Silent
from wsssbench.stages import evaluate
from wsssbench.stages.evaluate import score_files, summarise, threshold_grid
from wsssbench.stages.work import StageWork

K, SIZE, IDS = 4, (8, 10), ["a", "b", "c", "none"]
GRID = threshold_grid(0.0503, 0.65, 0.0501)  # between the values of 8-bit maps
Maps = Mapping[int, np.ndarray]


@pytest.fixture
def truths() -> dict[str, np.ndarray]:
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


def tally_of(
    directory: Path, kind: str, truths: Mapping[str, np.ndarray], **changes: Any
) -> evaluate.Tally:
    how = {"ids": list(truths), "num_classes": K, "thresholds": GRID, **changes}
    return score_files(
        directory, how["ids"], truths.__getitem__, kind, how["num_classes"], how["thresholds"],
        Silent(),
    )  # fmt: skip


def check_curve(found: Mapping[str, Any], full: Mapping[str, Maps], truths: Any) -> None:
    """Every point of the curve, and the chosen one, against the definition."""
    assert len(found["curve"]) == len(GRID) == 12
    expected = [
        scores_of((predicted_at(full[id], t, SIZE), truths[id]) for id in full) for t in GRID
    ]
    for point, t, wanted in zip(found["curve"], GRID, expected, strict=True):
        assert point["threshold"] == pytest.approx(float(t), abs=1e-7)
        for name in ("miou", "precision", "recall"):
            assert point[name] == pytest.approx(wanted[name]), (t, name)
    top = max(range(len(GRID)), key=lambda i: expected[i]["miou"])
    assert found["threshold"] == found["curve"][top]["threshold"]
    assert found["threshold_choice"] == "oracle"
    assert found["miou"] == pytest.approx(expected[top]["miou"])
    assert found["iou"] == pytest.approx({str(k): v for k, v in expected[top]["iou"].items()})
    assert "4" not in found["iou"]
    assert len({point["miou"] for point in found["curve"]}) > 6  # the thresholds matter


def write_psa(directory: Path, maps: Mapping[str, Maps]) -> None:
    for id, planes in maps.items():
        save_array_dict(directory / f"{id}.npy", {k - 1: plane for k, plane in planes.items()})


def test_cams_against_the_definition(
    tmp_path: Path, maps: dict[str, Maps], truths: dict[str, np.ndarray]
) -> None:
    for id, planes in maps.items():
        stacked = np.array(list(planes.values()), np.float32).reshape(-1, 4, 5)
        write_cam(tmp_path / f"{id}.npz", Cam(np.array(list(planes), np.uint8), stacked, SIZE))
    full = {id: {k: bilinear(p, SIZE) for k, p in planes.items()} for id, planes in maps.items()}
    for classes in (K, None):
        check_curve(summarise(tally_of(tmp_path, "cam", truths, num_classes=classes), None), full,
                    truths)  # fmt: skip


def test_affinitynet_files_against_the_definition(
    tmp_path: Path, truths: dict[str, np.ndarray]
) -> None:
    rng = np.random.default_rng(3)
    present = {"a": [1, 3], "b": [2], "c": [1, 2, 4], "none": [3]}
    full: dict[str, Maps] = {
        id: {k: rng.random(SIZE, np.float32) * 0.8 for k in values}
        for id, values in present.items()
    }
    write_psa(tmp_path, full)
    check_curve(summarise(tally_of(tmp_path, "psa", truths), None), full, truths)


def test_irnet_files_are_scored_as_the_same_maps_of_affinitynet(
    tmp_path: Path, truths: dict[str, np.ndarray]
) -> None:
    rng = np.random.default_rng(4)
    full: dict[str, Maps] = {id: {k: rng.random(SIZE, np.float32) for k in (1, 3)} for id in truths}
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
    tallies = [tally_of(tmp_path / kind, kind, truths) for kind in ("psa", "irn")]
    assert summarise(tallies[0], None) == summarise(tallies[1], None)


def test_a_score_equal_to_the_threshold_is_background(tmp_path: Path) -> None:
    truth = np.array([[0, 1], [1, 1]], np.uint8)
    plane = np.array([[0.3, 0.3], [0.30000003, 0.9]], np.float32)
    save_array_dict(tmp_path / "x.npy", {0: plane})
    tally = tally_of(tmp_path, "psa", {"x": truth}, thresholds=np.array([0.3], np.float32))
    found = summarise(tally, 0.3)
    assert (found["threshold"], found["threshold_choice"]) == (0.3, "fixed")
    assert found["iou"] == pytest.approx({"0": 50.0, "1": 200 / 3})


def test_label_maps_against_the_definition(tmp_path: Path, truths: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(4)
    labels = {id: rng.choice([0, 1, 2, 4, 255], SIZE).astype(np.uint8) for id in truths}
    for id, label in labels.items():
        write_label(tmp_path / f"{id}.png", label)
    expected = scores_of((labels[id], truths[id]) for id in truths)
    found = summarise(tally_of(tmp_path, "png", truths), None, ("cat", "dog", "cow", "bus"))
    assert (found["threshold"], found["threshold_choice"], found["curve"]) == (None, "none", [])
    for name in ("miou", "precision", "recall"):
        assert found[name] == pytest.approx(expected[name])
    names = ["background", "cat", "dog", "cow"]
    assert found["iou"] == pytest.approx(dict(zip(names, expected["iou"].values(), strict=True)))
    assert found["iou"]["cow"] == 0  # occurs, never predicted


def test_scores_against_the_definition(tmp_path: Path, truths: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(5)
    labels = {}
    for id, classes in {"a": [1, 3], "b": [2], "c": [1, 2, 4], "none": []}.items():
        planes = rng.random((1 + len(classes), 4, 5), np.float32)
        write_scores(tmp_path / f"{id}.npz", Scores(np.array(classes, np.uint8), planes, SIZE))
        full = [bilinear(plane, SIZE) for plane in planes]
        labels[id] = np.array([0, *classes])[np.argmax(full, axis=0)]
    expected = scores_of((labels[id], truths[id]) for id in truths)
    found = summarise(tally_of(tmp_path, "scores", truths), None)
    assert found["miou"] == pytest.approx(expected["miou"])
    assert found["iou"] == pytest.approx({str(k): v for k, v in expected["iou"].items()})


def test_parts_of_a_data_set_add_up(tmp_path: Path, truths: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(6)
    write_psa(tmp_path, {id: {1: rng.random(SIZE), 2: rng.random(SIZE)} for id in truths})
    whole = tally_of(tmp_path, "psa", truths)
    part = tally_of(tmp_path, "psa", truths, ids=["a", "b"])
    part.merge(tally_of(tmp_path, "psa", truths, ids=["c", "none"]))
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
        tally_of(tmp_path, "psa", {"x": np.zeros((2, 2), np.uint8)})
    (tmp_path / "x.npy").write_bytes(pickle.dumps({0: np.zeros((2, 2))}))
    with pytest.raises(UserError, match="not a readable"):
        tally_of(tmp_path, "psa", {"x": np.zeros((2, 2), np.uint8)})
    assert not (tmp_path / "bomb.txt").exists()


def test_missing_folders_and_files(tmp_path: Path, truths: dict[str, np.ndarray]) -> None:
    with pytest.raises(UserError, match=r"nowhere does not exist"):
        tally_of(tmp_path / "nowhere", "png", truths)
    write_label(tmp_path / "a.png", truths["a"])
    with pytest.raises(UserError, match=r"no prediction for 3 images of the list.*b\.png"):
        tally_of(tmp_path, "png", truths)
    (tmp_path / "b.npz").write_bytes(b"")
    with pytest.raises(CorruptArtefactError, match=r"b\.npz"):
        tally_of(tmp_path, "cam", {"b": truths["b"]})


def test_another_size_than_the_mask(tmp_path: Path, truths: dict[str, np.ndarray]) -> None:
    cam = Cam(np.array([1], np.uint8), np.ones((1, 4, 5), np.float32), (10, 8))
    write_cam(tmp_path / "a.npz", cam)
    save_array_dict(tmp_path / "a.npy", {0: np.ones((4, 5))})
    write_label(tmp_path / "a.png", truths["a"].T.copy())
    for kind, size in (("cam", "8 x 10"), ("png", "8 x 10"), ("psa", "5 x 4")):
        with pytest.raises(UserError, match=f"a.* is {size}, but its mask is 10 x 8 pixels"):
            tally_of(tmp_path, kind, {"a": truths["a"]})


def test_classes_outside_the_range(tmp_path: Path, truths: dict[str, np.ndarray]) -> None:
    only = {"a": truths["a"]}
    save_array_dict(tmp_path / "a.npy", {K: np.ones(SIZE)})
    with pytest.raises(UserError, match=rf"a\.npy.*predicted class {K + 1} is outside 1\.\.{K}"):
        tally_of(tmp_path, "psa", only)
    label = np.zeros(SIZE, np.uint8)
    label[0, 0] = K + 1
    write_label(tmp_path / "a.png", label)
    with pytest.raises(UserError, match=rf"predicted label {K + 1} is outside 0\.\.{K}"):
        tally_of(tmp_path, "png", only)
    write_label(tmp_path / "a.png", truths["a"])
    with pytest.raises(UserError, match=r"its mask.*true label 5 is outside 0\.\.4 \(1 pixels\)"):
        tally_of(tmp_path, "png", {"a": label})
    save_array_dict(tmp_path / "a.npy", {0: np.full(SIZE, np.nan)})
    with pytest.raises(UserError, match="NaN"):
        tally_of(tmp_path, "psa", only)


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
    tmp_path: Path, maps: dict[str, Maps], truths: dict[str, np.ndarray]
) -> None:
    for folder in ("masks", "given"):
        (tmp_path / folder).mkdir()
    full = {id: {k: bilinear(p, SIZE) for k, p in planes.items()} for id, planes in maps.items()}
    for id, truth in truths.items():
        write_label(tmp_path / "masks" / f"{id}.png", truth)
        stacked = np.array(list(maps[id].values()), np.float32).reshape(-1, 4, 5)
        cam = Cam(np.array(list(maps[id]), np.uint8), stacked, SIZE)
        write_cam(tmp_path / "given" / f"{id}.npz", cam)
    config = {"format": "cam", "split": "train", "folder": "", "threshold": 0.4321,
              "thresholds": (0.0503, 0.65, 0.0501)}  # fmt: skip
    context = RunContext(tmp_path, "cpu", 1, 0, Silent())
    work = StageWork(config, {"given": tmp_path / "given"}, Folder(tmp_path / "masks"), context)
    with pytest.raises(LeakError):
        evaluate.run(work)
    with allow_masks("evaluate"):
        result = evaluate.run(work)
    chosen, oracle = result["chosen"], result["oracle"]
    wanted = scores_of((predicted_at(full[id], 0.4321, SIZE), truths[id]) for id in IDS)
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
            valid = truths[id] != 255
            for k in range(K + 1):
                assert found.counts.true[row, k] == (truths[id] == k).sum()
                assert found.counts.predicted[row, k] == ((predicted == k) & valid).sum()
                assert found.counts.correct[row, k] == ((predicted == k) & (truths[id] == k)).sum()


def test_the_counts_of_label_maps_and_of_several_ranks(
    tmp_path: Path, truths: dict[str, np.ndarray]
) -> None:
    rng = np.random.default_rng(4)
    for id in IDS:
        write_label(tmp_path / f"{id}.png", rng.choice([0, 1, 2, 255], SIZE).astype(np.uint8))
    grid = np.zeros(1, np.float32)
    parts = [
        score_files(tmp_path, ids, truths.__getitem__, "png", K, grid, Silent(), per_image=True)
        for ids in (IDS, IDS[::2], IDS[1::2])
    ]
    parts[1].merge(parts[2])
    whole, merged = (part.image_counts(IDS, 0) for part in parts[:2])
    for name in ("correct", "predicted", "true"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(merged, name))
    total = metrics_of_counts(ClassCounts(*(x.sum(axis=0) for x in vars(whole).values())))
    assert total.miou == summarise(parts[0], None)["miou"]


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
