"""AdvCAM: the released code's outputs, Grad-CAM and the objective written naively, and limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden import golden
from tiny_cams import SCALES, random_classifier, released, views_of
from wsssbench_baselines.cams.advcam import AdvCAM, climbed, regions_of
from wsssbench_baselines.cams.scales import cam_of

from wsssbench.interfaces import Objective, photo_of

SEEDS = pytest.mark.parametrize("seed", [0, 1])
CLASSES = ("a", "b", "c", "d")


def photo(seed: int = 0, size: tuple[int, int] = (24, 37), present=(0, 2)):
    image = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    labels = np.zeros(4, np.float32)
    labels[list(present)] = 1
    return photo_of(image, labels)


@SEEDS
def test_the_steps_of_the_released_code(seed):
    given, wanted, parameters = golden(f"advcam-steps-{seed}")
    classifier, c = released(given), parameters["class"]
    method = AdvCAM(
        CLASSES, stepsize=parameters["stepsize"], restraint=parameters["lambda"],
        threshold=parameters["mask_threshold"],
    )  # fmt: skip
    images, first, total = torch.from_numpy(given["image"]), None, 0
    for t in range(parameters["steps"]):
        images.requires_grad_()
        output = classifier(images)
        region = regions_of(classifier, output, c)
        np.testing.assert_allclose(region.detach(), wanted["regions"][t, 0], rtol=0, atol=1e-12)
        first = region.detach() if first is None else first
        total = total + region.detach()
        (gradient,) = torch.autograd.grad(method.objective(output.maps, region, first, c), images)
        np.testing.assert_allclose(gradient, wanted["grad_image"][t], rtol=0, atol=1e-12)
        images = climbed(images.detach(), gradient, parameters["stepsize"])
        after = torch.from_numpy(wanted["image_after"][t])
        np.testing.assert_allclose(images, after, atol=2e-7)  # its limits are in float32
        images = after
    np.testing.assert_allclose(total, wanted["accumulated"] / parameters["multiplier"], atol=1e-8)


@SEEDS
def test_an_image_of_the_released_code(seed):
    given, wanted, parameters = golden(f"advcam-image-{seed}")
    classifier, present = released(given), np.flatnonzero(given["labels"])
    labels = torch.from_numpy(given["labels"]).expand(2, -1)
    method = AdvCAM(CLASSES, steps=parameters["iterations"])
    maps = []
    for scale in SCALES:
        start = views_of(given, scale)
        of_classes = [method.regions(classifier, start, labels, int(c), scale) for c in present]
        maps.append(torch.stack(of_classes))
        accumulated = wanted[f"accumulated_scale_{scale:g}"] / 2  # its weight of every scale
        np.testing.assert_allclose(maps[-1], accumulated, atol=1e-7)
    cam = cam_of(maps, present, (parameters["height"], parameters["width"]), method.multiple)
    high = wanted["cam_high_resolution"]  # its peak is below 1 by 1e-5 of the sum
    np.testing.assert_allclose(cam.maps, high / high.max(axis=(1, 2), keepdims=True), atol=1e-6)
    assert cam.classes.tolist() == (present + 1).tolist()


def test_the_regions_are_grad_cam():
    """Gradient of sum ReLU(f_c) w.r.t. the last features, averaged over its positive entries of both views."""
    classifier = random_classifier().double()
    images = torch.randn(2, 3, 12, 15, dtype=torch.float64)
    features = classifier.backbone(images)[-1].detach().requires_grad_()
    output = classifier.classify((features,))
    for c in range(4):
        target = output.maps[:, c].relu().sum()
        (gradient,) = torch.autograd.grad(target, features, retain_graph=True)
        weights = gradient.sum(dim=(2, 3), keepdim=True) / (gradient > 0).sum()
        region = (weights * features).sum(dim=1).relu()
        naive = region[0] + region[1].flip(-1)
        seen = regions_of(classifier, output, c)
        np.testing.assert_allclose(seen.detach(), naive.detach(), atol=1e-12)


def test_the_objective_by_loops():
    generator = np.random.default_rng(0)
    maps = generator.normal(size=(2, 4, 3, 5))
    region, first = generator.uniform(size=(2, 3, 5))
    z = [sum(max(v, 0) for b in range(2) for v in maps[b, k].flat) / 15 for k in range(4)]
    changed = sum(
        abs(region[at] - first[at]) for at in np.ndindex(3, 5) if region[at] > 0.6 * region.max()
    )
    method = AdvCAM(CLASSES, restraint=3.0, threshold=0.6, suppress=0.5)
    seen = method.objective(*(torch.from_numpy(one) for one in (maps, region, first)), 2)
    assert seen.item() == pytest.approx(z[2] - 0.5 * (z[0] + z[1] + z[3]) - 3 * changed)


@pytest.mark.parametrize(("steps", "half"), [(27, 13), (11, 5), (10, 5), (6, 5), (5, 5), (3, 3)])
def test_half_the_steps_at_half_the_scale(steps, half):
    method = AdvCAM(CLASSES, steps=steps)
    assert [method.steps_at(scale) for scale in SCALES] == [half, *[steps] * 3]


def test_the_passes_are_those_that_are_made():
    classifier, seen = random_classifier(), []
    classifier.backbone.register_forward_pre_hook(
        lambda module, given: seen.append(given[0].numel() / (3 * 32 * 32))
    )
    method = AdvCAM(CLASSES, steps=12)
    method.infer(classifier, photo(size=(32, 32), present=(1,)))
    assert sum(seen) == pytest.approx(method.passes())
    assert AdvCAM(CLASSES).passes() == 398


def test_one_step_is_the_plain_cam_with_each_view_by_its_share():
    classifier = random_classifier()
    given = photo()
    cam = AdvCAM(CLASSES, steps=1, scales=(1.0,), multiple=2).infer(classifier, given)
    assert cam.maps.shape == (2, 24, 37) and cam.maps.max(axis=(1, 2)).tolist() == [1, 1]


def test_climbing_raises_the_score_of_the_class():
    classifier, c = random_classifier(), 2
    images = torch.randn(2, 3, 16, 20)
    free = AdvCAM(CLASSES, restraint=0.0, suppress=0.0)

    def score(x):
        return classifier(x).maps[:, c].relu().mean().item()

    start, x = score(images), images
    for _ in range(5):
        x = x.detach().requires_grad_()
        output = classifier(x)
        region = regions_of(classifier, output, c)
        value = free.objective(output.maps, region, region.detach(), c)
        x = climbed(x.detach(), torch.autograd.grad(value, x)[0], 0.08)
    assert score(x) > start
    assert x.max() <= images.max() and x.min() >= images.min()


class Doubled(Objective):
    """Makes the maps of CAMs, as SEAM does."""

    def losses(self, classifier, batch, output):
        raise AssertionError

    def maps(self, classifier, output):
        return output.maps.flip(1)


def test_maps_of_objectives_are_added_up_and_the_image_climbs_on_the_classifiers_own():
    classifier = random_classifier()
    images = torch.randn(2, 3, 12, 12)
    plain = regions_of(classifier, classifier(images), 1)
    classifier.objectives.append(Doubled())
    output = classifier(images)
    shares = (output.maps[:, 1] > 0).sum(dim=(1, 2)).float()
    shares = shares / (shares.sum() * (classifier.head.weight[1] > 0).sum())
    shown = shares[:, None, None] * output.maps[:, 2].relu()
    expected = shown[0] + shown[1].flip(-1)
    seen = regions_of(classifier, output, 1)
    torch.testing.assert_close(seen, expected)
    assert not torch.allclose(seen, plain)


def test_nothing_is_left_in_the_classifier():
    classifier = random_classifier()
    with torch.inference_mode():  # whatever the caller does
        AdvCAM(CLASSES, steps=3, scales=(1.0,)).infer(classifier, photo())
    assert all(one.grad is None for one in classifier.parameters())
