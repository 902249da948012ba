from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from two_colours import blob

from wsssbench.errors import UserError
from wsssbench.interfaces import Cam, Scores, photo_of
from wsssbench.ops import crf
from wsssbench.ops.cam import upsample
from wsssbench.ops.crf import PRESETS, dense_crf
from wsssbench.plugins import load
from wsssbench.refinements.dense_crf import DenseCRF
from wsssbench.refinements.score_maps import Background, start_scores

SIZE = (45, 61)


def iou(label: np.ndarray, truth: np.ndarray) -> float:
    return float(((label > 0) & (truth > 0)).sum() / ((label > 0) | (truth > 0)).sum())


def test_cam_gets_the_alpha_background_and_the_preset_s_crf() -> None:
    image, _, cam = blob(0, SIZE)
    maps = upsample(cam.maps, SIZE)
    planes = np.concatenate([(1 - maps.max(axis=0, keepdims=True)) ** 6, maps])
    scores = DenseCRF(alpha=6).refine(photo_of(image), cam)
    np.testing.assert_allclose(scores.planes, dense_crf(image, planes, PRESETS["psa"]), atol=1e-4)
    assert scores.planes.shape == (2, *SIZE)
    assert scores.size == SIZE
    assert scores.classes.tolist() == [2]


class Recorder:
    """In place of pydensecrf's CRF: writes down what it is given."""

    calls: list[tuple[Any, ...]]

    def __init__(self, width: int, height: int, labels: int) -> None:
        Recorder.calls = [("size", width, height, labels)]
        self.shape = labels, height * width

    def setUnaryEnergy(self, unary: np.ndarray) -> None:
        self.calls.append(("unary", unary.copy()))

    def addPairwiseGaussian(self, sxy: float, compat: float) -> None:
        self.calls.append(("gaussian", sxy, compat))

    def addPairwiseBilateral(
        self, sxy: float, srgb: float, rgbim: np.ndarray, compat: float
    ) -> None:
        self.calls.append(("bilateral", sxy, srgb, compat, rgbim.copy()))

    def inference(self, iterations: int) -> np.ndarray:
        self.calls.append(("inference", iterations))
        return np.full(self.shape, 1 / self.shape[0], np.float32)


@pytest.mark.parametrize(("preset", "alpha", "iterations"), [("psa", 4, 10), ("psa_rw", 24, 1)])
def test_the_crf_gets_what_affinitynet_gives_it(
    monkeypatch: pytest.MonkeyPatch, preset: str, alpha: int, iterations: int
) -> None:
    """For CAMs at full size: -log of background (1 - max A)^alpha and of A_k, clipped, not renormalised."""
    monkeypatch.setattr(crf.densecrf, "DenseCRF2D", Recorder)
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    maps = rng.random((3, *SIZE), np.float32)
    maps[:, :5], maps[0, 5:9], maps[1:, 20:] = 0, 1, 1e-7
    DenseCRF(preset=preset, alpha=alpha).refine(
        photo_of(image), Cam(np.array([1, 8, 20], np.uint8), maps, SIZE)
    )
    size, unary, gaussian, bilateral, inference = Recorder.calls
    assert size == ("size", SIZE[1], SIZE[0], 4)
    assert gaussian == ("gaussian", 3, 3) and bilateral[:4] == ("bilateral", 80, 13, 10)
    assert np.array_equal(bilateral[4], image) and inference == ("inference", iterations)
    expected = np.zeros((4, SIZE[0] * SIZE[1]))
    for place in range(SIZE[0] * SIZE[1]):
        values = [float(plane[place // SIZE[1], place % SIZE[1]]) for plane in maps]
        for label, p in enumerate([(1 - max(values)) ** alpha, *values]):
            expected[label, place] = -math.log(min(max(p, 1e-5), 1))
    assert unary[1].dtype == np.float32 and unary[1].shape == expected.shape
    # float32 keeps (1 - max)^alpha to a relative 1e-7 / (1 - max) * alpha
    np.testing.assert_allclose(unary[1], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(unary[1][1:], expected[1:], rtol=1e-6, atol=1e-6)
    assert abs(np.exp(-unary[1]).sum(axis=0) - 1).max() > 0.5  # they do not sum to 1


def test_crf_moves_the_cam_to_the_colours() -> None:
    image, truth, cam = blob(1, SIZE)
    before = np.concatenate([np.full((1, *SIZE), 0.5), upsample(cam.maps, SIZE)]).argmax(axis=0)
    after = DenseCRF(bilateral_sxy=20).refine(photo_of(image), cam).planes.argmax(axis=0)
    assert iou(after, truth) > max(0.95, iou(before, truth) + 0.1)


def test_scores_are_refined_as_they_are() -> None:
    image, _, cam = blob(2, SIZE)
    planes = np.random.default_rng(0).random((2, 12, 16)).astype(np.float32)
    given = Scores(cam.classes, planes, SIZE)
    one = DenseCRF(preset="psa_rw", alpha=3).refine(photo_of(image), given)
    expected = dense_crf(image, upsample(planes, SIZE), PRESETS["psa_rw"])
    np.testing.assert_array_equal(one.planes, expected)
    again = DenseCRF(preset="psa", iterations=1, alpha=9).refine(photo_of(image), given)
    np.testing.assert_array_equal(again.planes, expected)


def test_overrides_change_their_own_parameter() -> None:
    changed = DenseCRF(preset="deeplab", gaussian_sxy=2, bilateral_srgb=7).parameters
    assert (changed.gaussian_sxy, changed.bilateral_srgb) == (2, 7)
    assert (changed.gaussian_compat, changed.bilateral_sxy, changed.iterations) == (3, 67, 10)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_runs_and_image_without_class_is_background(preset: str) -> None:
    image, _, cam = blob(3, SIZE)
    assert np.isfinite(DenseCRF(preset=preset).refine(photo_of(image), cam).planes).all()
    nothing = Cam(cam.classes[:0], cam.maps[:0], SIZE)
    scores = DenseCRF(preset=preset).refine(photo_of(image), nothing)
    assert (scores.planes == np.ones((1, *SIZE))).all()
    again = DenseCRF(preset=preset).refine(photo_of(image), scores)
    assert (again.planes == 1).all()


def test_wrong_parameters_and_inputs() -> None:
    with pytest.raises(ValueError, match="unknown CRF preset 'psa_rv': did you mean psa_rw"):
        DenseCRF(preset="psa_rv")
    for name in ("alpha", "iterations", "bilateral_srgb"):
        with pytest.raises(ValueError, match=f"{name}=0 has to be greater than 0"):
            DenseCRF(**{name: 0})
    image, _, cam = blob(4, SIZE)
    with pytest.raises(UserError, match=r"40 x 61 pixels.*45 x 61"):
        DenseCRF().refine(photo_of(image[:40]), cam)
    with pytest.raises(UserError, match="did you mean irn"):
        load().registries.refinement.build({"type": "DenseCRF", "preset": "irnn"})


def test_pickles() -> None:
    image, _, cam = blob(5, SIZE)
    one = load().registries.refinement.build({"type": "DenseCRF", "preset": "afa", "alpha": 8})
    copy = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(
        copy.refine(photo_of(image), cam).planes, one.refine(photo_of(image), cam).planes
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_constant_backgrounds_give_irn_s_two_maps(seed: int) -> None:
    """Numbers of jiwoon-ahn/irn a2ece00, step/cam_to_ir_label.py: argmax beside 0.30 and 0.05, then the CRF."""
    case = np.load(Path(__file__).parents[1] / "golden" / f"irnet-seeds-{seed}.npz")
    image, maps = case["in.image"], case["in.cam"]
    cam = Cam(np.arange(1, len(maps) + 1, dtype=np.uint8), maps, image.shape[:2])
    for background, name in ((0.30, "fg"), (0.05, "bg")):
        start = start_scores(image, cam, Background(constant=background))
        np.testing.assert_array_equal(start.argmax(axis=0), case[f"out.{name}_hard"])
        scores = DenseCRF(preset="irn", background=background).refine(photo_of(image), cam)
        labels = scores.planes.argmax(axis=0)
        assert (labels == case[f"in.{name}_after_crf"]).mean() > 0.999


def test_a_background_is_of_one_kind() -> None:
    with pytest.raises(ValueError, match=r"alpha=9\.0 has no effect, since background=0\.3"):
        DenseCRF(alpha=9.0, background=0.3)
