"""The Grad-CAM family: the package's outputs, formulas written naively, what is the plain CAM, and what is missing."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from golden import golden
from tiny_cams import random_classifier, released
from wsssbench_baselines.cams import grad_cam

from wsssbench.errors import MissingPackageError, UserError
from wsssbench.interfaces import photo_of
from wsssbench.models.multiscale_cam import MultiScaleCAM
from wsssbench.plugins import load

CLASSES = ("a", "b", "c", "d")
METHODS = {
    "GradCAM": "grad_cam",
    "GradCAMPlusPlus": "grad_cam_plusplus",
    "LayerCAM": "layer_cam",
    "XGradCAM": "xgrad_cam",
    "HiResCAM": "hires_cam",
    "GradCAMElementWise": "grad_cam_elementwise",
    "ScoreCAM": "score_cam",
}
installed = pytest.mark.skipif(
    importlib.util.find_spec("pytorch_grad_cam") is None,
    reason="the package grad-cam is not installed (its OpenCV is another distribution than mmcv's)",
)


def component(**parameters: Any) -> Any:
    return load().registries.cam.build({"type": "GradCAM", **parameters}, CLASSES)


def photo(present=(0, 2)):
    image = np.random.default_rng(0).integers(0, 256, (24, 37, 3), dtype=np.uint8)
    labels = np.zeros(4, np.float32)
    labels[list(present)] = 1
    return photo_of(image, labels)


@installed
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("method", METHODS)
def test_the_package_of_the_golden_cases(method: str, seed: int) -> None:
    given, wanted, _ = golden(f"grad-cam-family-{seed}")
    classifier = released(given, second="conv2")
    # the head has no bias here: it changes the softmax of Score-CAM by nothing, and no gradient
    for where, layer in (("early", "backbone.relu1"), ("late", "")):
        made = component(method=method, layer=layer)
        final = wanted[f"{METHODS[method]}_{where}_final"]
        for image, c, one in zip(given["image"], given["classes"], final, strict=True):
            seen = made.maps(classifier, torch.from_numpy(image), np.array([c]))
            np.testing.assert_allclose(seen[0], one, atol=1e-6)


@installed
def test_the_formulas_written_naively() -> None:
    """Of Grad-CAM and LayerCAM at an inner layer, from the gradient of a logit; scaled as the package does."""
    classifier = random_classifier().double()
    view = torch.randn(3, 14, 18, dtype=torch.float64)
    A = classifier.backbone.relu1(classifier.backbone.conv1(view[None])).detach().requires_grad_()
    logits = classifier.classify((torch.relu(classifier.backbone.conv4(A)),)).logits
    for c in (1, 3):
        (g,) = torch.autograd.grad(logits[0, c], A, retain_graph=True)
        expected = {
            "GradCAM": (g.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1).relu(),
            "LayerCAM": (g.relu() * A).sum(dim=1).relu(),
        }
        for method, one in expected.items():
            one = one.detach()
            one = (one - one.min()) / (1e-7 + one.max() - one.min())
            large = torch.nn.functional.interpolate(one[None].float(), (14, 18), mode="bilinear")[0]
            large = (large - large.min()) / (large.max() - large.min())
            seen = component(method=method, layer="backbone.relu1").maps(
                classifier, view, np.array([c])
            )
            np.testing.assert_allclose(seen, large, atol=1e-5)


@installed
@pytest.mark.parametrize("method", ["GradCAM", "XGradCAM", "HiResCAM"])
def test_of_the_last_layer_and_an_average_they_are_the_plain_cam(method: str) -> None:
    """But for the minimum, which the package takes off."""
    classifier, given = random_classifier(), photo()
    with torch.no_grad():
        classifier.head.weight[:, 0] -= 0.5
    plain = MultiScaleCAM(scales=(1.0,), flip=False).infer(classifier, given)
    low = plain.maps.min(axis=(1, 2), keepdims=True)
    expected = (plain.maps - low) / (1 - low)
    seen = component(method=method).infer(classifier, given)
    assert seen.classes.tolist() == [1, 3]
    np.testing.assert_allclose(seen.maps, expected, atol=1e-3)


@installed
def test_views_are_summed_and_nothing_is_left_behind() -> None:
    classifier, given = random_classifier(), photo()
    made = component(method="LayerCAM", layer="backbone.relu1", scales=(0.5, 1.0), flip=True)
    with torch.inference_mode():
        cam = made.infer(classifier, given)
    assert cam.maps.shape == (2, 24, 37) and cam.maps.max(axis=(1, 2)).tolist() == [1, 1]
    mirrored = photo_of(np.ascontiguousarray(given.image[:, ::-1]), given.labels)
    np.testing.assert_allclose(
        made.infer(classifier, mirrored).maps[..., ::-1], cam.maps, atol=1e-5
    )
    assert all(one.grad is None and one.requires_grad for one in classifier.parameters())
    assert not any(module._forward_hooks for module in classifier.modules())


@installed
def test_a_part_that_is_not_there_is_told() -> None:
    with pytest.raises(UserError, match=r"layer='backbone\.layer4' is no part .* conv1, relu1"):
        component(layer="backbone.layer4").infer(random_classifier(), photo())
    with pytest.raises(UserError, match=r"layer='pooling', a Mean, gives no feature map"):
        component(layer="pooling").infer(random_classifier(), photo())


def test_without_the_package_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grad_cam, "find_spec", lambda name: None)
    with pytest.raises(
        MissingPackageError, match=r"not installed: pip install \"wsssbench\[grad-cam\]\""
    ):
        component()
