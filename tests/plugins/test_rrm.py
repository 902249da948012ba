"""RRM's reliable labels against the rule by loops and the released code's (tests/golden/rrm-reliable-labels-*.npz)."""

from __future__ import annotations

import numpy as np
import pytest
from golden import golden
from wsssbench_baselines.labellings.reliable_labels import ReliableLabels

from wsssbench.errors import UserError
from wsssbench.interfaces import Cam, photo_of
from wsssbench.plugins import load
from wsssbench.refinements.score_maps import start_scores

SEEDS = pytest.mark.parametrize("seed", [0, 1])


@SEEDS
def test_labels_are_the_released_ones(seed: int) -> None:
    given, wanted, parameters = golden(f"rrm-reliable-labels-{seed}")
    method = ReliableLabels(
        (),
        low=parameters["alpha_low"],
        high=parameters["alpha_high"],
        quantile=parameters["share"],
        floor=parameters["cam_floor"],
        background=parameters["bg_floor"],
        probability=parameters["crf_floor"],
    )
    assert vars(method) == vars(ReliableLabels(()))  # the defaults
    classes = (given["keys"] + 1).astype(np.uint8)
    cam = Cam(classes, given["cam"], given["cam"].shape[1:])
    for alpha in (4, 32):
        planes = start_scores(given["image"], cam, alpha)
        np.testing.assert_allclose(planes, wanted[f"probabilities_alpha{alpha}"], rtol=1e-6)
    rule = method.believed(planes, given["q_alpha4"], given["q_alpha32"], classes)
    np.testing.assert_array_equal(rule, wanted["label"])
    whole = method.label(photo_of(given["image"]), cam)
    assert (whole == wanted["label"]).mean() > 0.995  # the CRF's build may decide ties otherwise


def by_loops(
    planes: np.ndarray, beside: np.ndarray, below: np.ndarray, classes: np.ndarray
) -> np.ndarray:
    """The rule pixel by pixel, with the parameters of the test below."""
    pixels = list(np.ndindex(planes.shape[1:]))
    best = {p: max(range(len(planes)), key=lambda k: planes[(k, *p)]) for p in pixels}
    said = {p: max(range(len(planes)), key=lambda k: beside[(k, *p)]) for p in pixels}
    label = np.full(planes.shape[1:], 255)
    for p in pixels:
        k = best[p]
        if k not in said.values():
            continue
        value = planes[(k, *p)]
        own = sorted(planes[(k, *q)] for q in pixels if best[q] == k and planes[(k, *q)] > 0.2)
        level = 0.6 if k == 0 else own[int(0.5 * len(own))] if own else 1
        background = all(below[(0, *p)] >= one for one in below[:, p[0], p[1]])
        probable = max([below[(0, *p)], *beside[1:, p[0], p[1]]]) >= 0.5
        if value > level and probable and (background or said[p]):
            label[p] = 0 if background else classes[said[p] - 1]
    return label


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_rule_by_loops(count: int) -> None:
    random = np.random.default_rng(count)
    classes = np.array([2, 3, 7][:count], np.uint8)
    method = ReliableLabels((), quantile=0.5, floor=0.2, background=0.6, probability=0.5)
    seen: set[int] = set()
    for sharp in (1, 3, 6):
        planes, *posteriors = random.random((3, 1 + count, 6, 7))
        beside, below = (q**sharp / (q**sharp).sum(axis=0) for q in posteriors)
        label = method.believed(planes, beside, below, classes)
        np.testing.assert_array_equal(label, by_loops(planes, beside, below, classes))
        seen |= set(label.ravel().tolist())
    assert seen == {0, 255, *classes.tolist()}


def test_the_stronger_the_demands_the_fewer_labels() -> None:
    given, _, _ = golden("rrm-reliable-labels-0")
    classes = (given["keys"] + 1).astype(np.uint8)
    cam = Cam(classes, given["cam"], given["cam"].shape[1:])
    photo = photo_of(given["image"])
    plain = ReliableLabels(()).label(photo, cam)
    for stronger in ({"quantile": 0.9}, {"background": 0.95}, {"probability": 0.99}):
        label = ReliableLabels((), **stronger).label(photo, cam)
        assert (label != 255).sum() < (plain != 255).sum()
        np.testing.assert_array_equal(label[label != 255], plain[label != 255])


def test_exponents_are_in_order() -> None:
    with pytest.raises(UserError, match=r"low=40\.0 has to be at most high=32\.0"):
        load().registries.labelling.build({"type": "ReliableLabels", "low": 40}, ("a",))
