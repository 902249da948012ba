"""Files whose numbers mean something else are told, and sound files that only look odd are not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsssbench.errors import UserError
from wsssbench.evaluation.doubts import shifted
from wsssbench.evaluation.score_folder import evaluate
from wsssbench.files.images import write_label
from wsssbench.files.npy import save_array_dict

SIZE = (12, 16)
# Class indices of the masks, several images to a class.
CLASSES = {"a": [1], "b": [2], "c": [1, 3], "d": [4], "e": []}


def masks_of(classes: Mapping[str, list[int]], ignored: bool = True) -> dict[str, np.ndarray]:
    """A box per class, and a row of 255."""
    masks = {}
    for id, values in classes.items():
        mask = np.zeros(SIZE, np.uint8)
        for i, value in enumerate(values):
            mask[2:9, 8 * i + 1 : 8 * i + 7] = value
        mask[0] = 255 if ignored else 0
        masks[id] = mask
    return masks


MASKS = masks_of(CLASSES)


def score(
    folder: Path,
    predictions: Mapping[str, Any],
    masks: Mapping[str, np.ndarray] = MASKS,
    **how: Any,
) -> dict[str, Any]:
    """`evaluate` for label maps, or for dicts of class index -> map."""
    for name in ("gt", "pred"):
        (folder / name).mkdir()
    for id, mask in masks.items():
        write_label(folder / "gt" / f"{id}.png", mask)
        given = predictions[id]
        if isinstance(given, dict):
            save_array_dict(folder / "pred" / f"{id}.npy", given)
        else:
            write_label(folder / "pred" / f"{id}.png", given.astype(np.uint8))
    form = "psa" if isinstance(given, dict) else "png"
    return evaluate(folder / "pred", folder / "gt", format=form, **how)


def cams_of(masks: Mapping[str, np.ndarray], add: int = 0) -> dict[str, dict[int, np.ndarray]]:
    """Good CAMs of the masks' classes, as AffinityNet's class indices, to which `add` is added."""
    noise = np.random.default_rng(0).random(SIZE, np.float32) * np.float32(0.2)
    return {
        id: {int(k) - 1 + add: (mask == k) * np.float32(0.7) + noise for k in np.unique(mask) if k not in (0, 255)}
        for id, mask in masks.items()
    }  # fmt: skip


def crf_of(masks: Mapping[str, np.ndarray]) -> dict[str, dict[int, np.ndarray]]:
    """Scores of the background (0) and the classes (k + 1) that sum to 1, of the masks with classes."""
    found = {}
    for id, mask in masks.items():
        values = [0, *(int(k) for k in np.unique(mask) if k not in (0, 255))]
        own = {k: (mask == k) * np.float32(5) for k in values}
        total = sum(np.exp(plane) for plane in own.values())
        found[id] = {k: (np.exp(plane) / total).astype(np.float32) for k, plane in own.items()}
    return found


def test_masks_without_any_class(tmp_path: Path) -> None:
    drawn = {id: np.where(mask == 0, 0, 255).astype(np.uint8) for id, mask in MASKS.items()}
    with pytest.raises(UserError, match=r"no class 1\.\.K at all.*gt/a\.png.*0/255 instead of 0/1"):
        score(tmp_path, dict.fromkeys(drawn, np.zeros(SIZE)), drawn, num_classes=1)


def test_masks_of_background_only_are_scored_with_a_warning(tmp_path: Path) -> None:
    empty = {id: np.zeros(SIZE, np.uint8) for id in MASKS}
    found = score(tmp_path, empty, empty)
    assert found["miou"] == 100 and "background (0) only" in found["warnings"][0]


@pytest.mark.parametrize("border", [254, 220])
def test_a_border_that_is_a_class(tmp_path: Path, border: int) -> None:
    masks = {id: np.where(mask == 255, border, mask).astype(np.uint8) for id, mask in MASKS.items()}
    (said,) = score(tmp_path, MASKS, masks)["warnings"]
    assert f"label {border} is in 5 of 5 masks, e.g. {tmp_path}/gt/a.png" in said
    assert "(the next is 4)" in said and "only 255 is ignored" in said
    with pytest.raises(UserError, match=rf"gt/a\.png has the label {border}.*255, which alone"):
        evaluate(tmp_path / "pred", tmp_path / "gt", num_classes=20)


def test_a_border_in_the_predictions(tmp_path: Path) -> None:
    predictions = {id: mask.copy() for id, mask in MASKS.items()}
    predictions["b"][1] = 254
    (said,) = score(tmp_path, predictions)["warnings"]
    assert f"label 254 is in 1 of 5 predictions, e.g. {tmp_path}/pred/b.png" in said


def test_masks_in_grey_values_of_colours(tmp_path: Path) -> None:
    """VOC's colours of the classes 1 to 4, converted to grey."""
    grey = np.arange(256).astype(np.uint8)
    grey[1:5] = [38, 75, 113, 14]
    masks = {id: grey[mask] for id, mask in MASKS.items()}
    (said,) = score(tmp_path, MASKS, masks)["warnings"]
    assert (
        said
        == "the predictions' classes 1, 2, 3, 4 are none of the masks', 14, 38, 75, 113: other class indices?"
    )


def test_many_classes_are_no_border(tmp_path: Path) -> None:
    masks = masks_of({"a": [3], "b": [90], "c": [150, 171]})
    assert score(tmp_path, masks, masks)["warnings"] == []


def as_first(mask: np.ndarray, background: int) -> np.ndarray:
    """Label maps in which 0 is the first class."""
    return np.where(mask == 0, background, np.where(mask == 255, 255, mask.astype(int) - 1))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "CRF scores": (crf_of(MASKS), r"pred/a\.npy, hold scores of the background"),
    "label-map values as class indices": (cams_of(MASKS, 1), "0% of.*100% if.*lowered by 1; keys of psa"),
    "0 as the first class": ({k: as_first(m, 255) for k, m in MASKS.items()}, "100% if.*raised by 1; in label maps"),
    "0 as the first class and the background": (
        {k: as_first(m, 0) for k, m in MASKS.items()}, "raised by 1"
    ),
    "1 as the background": ({k: np.where(m < 255, m + 1, 255) for k, m in MASKS.items()}, "lowered by 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(WRONG))
def test_shifted_classes_are_refused(tmp_path: Path, name: str) -> None:
    predictions, said = WRONG[name]
    with pytest.raises(UserError, match=said):
        score(tmp_path, predictions)


def test_a_shift_that_one_class_speaks_for_is_told_with_both_shares(tmp_path: Path) -> None:
    """A network that takes all cats for dogs is bad, and no mistake in the files."""
    masks = masks_of({"a": [1], "b": [1], "c": [1]})
    predictions = {id: np.where(mask == 1, 2, mask) for id, mask in masks.items()}
    found = score(tmp_path, predictions, masks, classes=("cat", "dog"))
    assert found["warnings"] == [
        "class 2 (dog) is predicted in all 3 images and occurs in no mask; the predictions agree with 0% of the "
        "masks' classes, and with 100% if their class indices are lowered by 1: other class indices?"
    ]
    assert found["iou"] == {"background": 100.0, "cat": 0.0}


def test_a_class_that_occurs_in_no_mask(tmp_path: Path) -> None:
    predictions = {id: np.where(mask > 0, 9, 0) for id, mask in MASKS.items()}
    (said,) = score(tmp_path, predictions)["warnings"]
    assert (
        said == "class 9 is predicted in 4 of 5 images and occurs in no mask: other class indices?"
    )


def test_cams_that_are_zero(tmp_path: Path) -> None:
    cams = cams_of(MASKS)
    cams["d"] = {3: np.zeros(SIZE, np.float32)}
    (said,) = score(tmp_path, cams)["warnings"]
    assert said.startswith(f"1 of 4 CAM files are zero everywhere, e.g. {tmp_path}/pred/d.npy")


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 1.5, 255])
def test_a_cam_with_another_value(tmp_path: Path, value: float) -> None:
    cams = cams_of(MASKS)
    cams["c"][2][3, 3] = value
    with pytest.raises(UserError, match=r"pred/c\.npy (holds NaN|has values from)"):
        score(tmp_path, cams)


def test_predictions_without_any_class(tmp_path: Path) -> None:
    (said,) = score(tmp_path, {id: np.zeros(SIZE) for id in MASKS})["warnings"]
    assert said == "no prediction has any class 1..K, only background"
    (tmp_path / "drawn").mkdir()
    drawn = {id: np.where(mask > 0, 255, 0) for id, mask in MASKS.items()}
    (said,) = score(tmp_path / "drawn", drawn)["warnings"]
    assert "255 (ignored): were they drawn as 0/255" in said


ODD_BUT_SOUND: dict[str, tuple[dict[str, Any], dict[str, np.ndarray]]] = {
    "perfect": (MASKS, MASKS),
    "CAMs": (cams_of(MASKS), MASKS),
    "one class": (masks_of({"a": [1]}), masks_of({"a": [1]})),
    "one class as a CAM": (cams_of(masks_of({"a": [1], "b": []})), masks_of({"a": [1], "b": []})),
    "an image of background": (MASKS, {**MASKS, "a": np.zeros(SIZE, np.uint8)}),
    "classes that are missed": ({k: np.where(m == 1, 1, 0) for k, m in MASKS.items()}, MASKS),
    "maps of a single image that sum to 1": (
        {"a": crf_of({"a": MASKS["b"]})["a"]}, {"a": np.where(MASKS["b"] == 0, 1, MASKS["b"] + 1)}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(ODD_BUT_SOUND))
def test_sound_files_are_scored_without_a_word(tmp_path: Path, name: str) -> None:
    assert score(tmp_path, *ODD_BUT_SOUND[name])["warnings"] == []


@pytest.mark.parametrize("seed", range(20))
def test_bad_predictions_are_never_refused(tmp_path: Path, seed: int) -> None:
    """Noise, one class everywhere, or two: numbers as low as they are."""
    rng = np.random.default_rng(seed)
    masks = masks_of({str(i): [int(rng.integers(1, 4))] for i in range(3)})
    some = rng.choice([0, 1, 2, 3], 1 + seed % 3, replace=False)
    predictions = {id: rng.choice(some, SIZE) for id in masks}
    assert score(tmp_path, predictions, masks)["miou"] < 60


def test_shares_against_loops() -> None:
    rng = np.random.default_rng(1)
    hits = rng.integers(0, 30, (6, 6))
    totals = hits.sum(axis=0) * np.array([1, 1, 0, 1, 1, 1])
    for zero in (False, True):
        shares, best, _ = shifted(hits, totals, first_is_zero=zero)
        for d in (-1, 0, 1):
            parts = []
            for k in (1, 3, 4, 5):
                j = k + d
                inside = j <= 5 and (j >= 1 or zero)
                parts.append(hits[j, k] / totals[k] if inside else 0)
            assert shares[d] == pytest.approx(sum(parts) / 4)
        assert shares[best] == max(shares[-1], shares[1])
