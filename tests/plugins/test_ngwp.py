"""nGWP with its size-focal term, and its masks: loops, the released code's outputs, and limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from golden import golden
from tiny_classifier import K, recorder
from torch.nn import functional as F
from wsssbench_baselines.poolings.ngwp import NGWP, NGWPMasks, fused, masks

from wsssbench.interfaces import photo_of
from wsssbench.models.preprocess import normalise, resize_image
from wsssbench.ops.cam import upsample

SEEDS = pytest.mark.parametrize("seed", [0, 1])
CLASSES = ("a", "b", "c", "d")


@SEEDS
@pytest.mark.parametrize(
    ("parameters", "suffix"), [({}, ""), ({"power": 5, "lowest": 0.1}, "_p5_lambda0.1")]
)
def test_the_released_code(seed, parameters, suffix):
    """Its defaults are ours; its gradient passes the masks and their mean."""
    given, wanted, _ = golden(f"ngwp-{seed}")
    maps = torch.from_numpy(given["scores"]).requires_grad_()
    pooled = NGWP(K, **parameters)(maps)
    labels = torch.from_numpy(given["labels"])
    loss = F.binary_cross_entropy_with_logits(pooled.logits, labels)
    loss.backward()
    np.testing.assert_allclose(masks(maps, 1.0).detach(), wanted["masks"], atol=1e-12)
    np.testing.assert_allclose(pooled.attention.detach(), wanted["masks"][:, 1:], atol=1e-12)
    np.testing.assert_allclose(pooled.logits.detach(), wanted[f"total{suffix}"], atol=1e-12)
    assert loss.item() == pytest.approx(wanted[f"loss{suffix}"].item(), abs=1e-12)
    np.testing.assert_allclose(maps.grad, wanted[f"grad_scores{suffix}"], atol=1e-12)
    alone = NGWP(K, focal=0.0)(maps).logits.detach()
    np.testing.assert_allclose(alone, wanted["pooled"], atol=1e-12)


@pytest.mark.parametrize("size", [(3, 5), (1, 1)])
def test_the_formula_by_loops(size):
    f = np.random.default_rng(0).normal(size=(K, *size))
    given = {"background": 0.5, "divisor": 2.0, "focal": 0.7, "power": 2, "lowest": 0.05}
    weighted, total = [0.0] * K, [0.0] * K
    for y, x in np.ndindex(*size):
        below = math.exp(0.5) + sum(math.exp(f[k, y, x]) for k in range(K))
        for k in range(K):
            weighted[k] += math.exp(f[k, y, x]) / below * f[k, y, x]
            total[k] += math.exp(f[k, y, x]) / below
    areas = [one / (size[0] * size[1]) for one in total]
    logits = [
        w / (2 + t) + 0.7 * (1 - a) ** 2 * math.log(0.05 + a)
        for w, t, a in zip(weighted, total, areas, strict=True)
    ]
    seen = NGWP(K, **given)(torch.from_numpy(f)[None]).logits[0]
    np.testing.assert_allclose(seen, logits, atol=1e-12)


def test_the_score_is_the_mean_over_the_pixels_of_the_class():
    """A class that owns its pixels for certain: of few pixels and of many alike, but for the divisor."""
    maps = torch.full((2, 1, 10, 10), -50.0, dtype=torch.float64)
    maps[0, :, :2], maps[1, :, :8] = 30.0, 30.0
    few, many = NGWP(1, divisor=1e-9, focal=0.0)(maps).logits[:, 0]
    assert few == pytest.approx(30) and many == pytest.approx(30)
    small, large = NGWP(1, divisor=1e-9)(maps).logits[:, 0] - 30
    assert small < large < 0  # the size-focal term asks for more than a few
    assert small == pytest.approx(0.8**3 * math.log(0.21))


def test_a_class_with_the_whole_image_has_a_finite_gradient():
    maps = torch.full((1, 1, 4, 4), 60.0, requires_grad=True)
    NGWP(1)(maps).logits.sum().backward()
    assert maps.grad.isfinite().all()


@SEEDS
def test_scales_are_fused_as_released(seed):
    given, wanted, parameters = golden(f"single-stage-multiscale-{seed}")
    views = []
    for i, (view, pad) in enumerate(zip(given["masks"], given["pads"], strict=True)):
        top, left, height, width = pad
        cut = torch.from_numpy(view[:, top : top + height, left : left + width]).double()
        views.append(cut.flip(-1) if i % 2 else cut)
    planes = [0, *(np.flatnonzero(wanted["present"]) + 1)]
    seen = fused(
        (v[planes] for v in views), tuple(parameters["size"]), parameters["background_power"]
    )
    np.testing.assert_allclose(seen, wanted["merged"][planes], atol=1e-7)


def test_the_masks_of_a_photo_view_by_view():
    classifier = recorder(NGWP(K)).float()
    image = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    labels = np.array([0, 1, 0, 1], np.float32)
    scores = NGWPMasks(CLASSES, scales=(1.0, 0.5)).infer(classifier, photo_of(image, labels))
    total = 0
    for size in ((24, 20), (12, 10)):
        for step in (1, -1):
            view = np.ascontiguousarray(normalise(resize_image(image, size))[..., ::step])
            with torch.no_grad():
                f = classifier(torch.from_numpy(view)[None]).maps[0].numpy()
            exp = np.exp(np.concatenate([np.full((1, *f.shape[1:]), 1.0), f]))
            total = total + upsample((exp / exp.sum(axis=0))[..., ::step], (24, 20))[[0, 2, 4]] / 4
    total[0] **= 3
    assert scores.classes.tolist() == [2, 4] and scores.planes.dtype == np.float32
    np.testing.assert_allclose(scores.planes, total, atol=1e-5)


def test_the_masks_are_the_attention_of_the_pooling():
    classifier = recorder(NGWP(K)).float()
    image = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    photo = photo_of(image, np.ones(K, np.float32))
    seen = NGWPMasks(CLASSES, scales=(1.0,), flip=False).infer(classifier, photo).planes[1:]
    with torch.no_grad():
        attention = classifier(torch.from_numpy(normalise(image))[None]).attention[0].numpy()
    np.testing.assert_allclose(seen, upsample(attention, (8, 8)), atol=1e-6)
