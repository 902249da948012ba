"""RIB: the released code's outputs, the pooling and a step written naively, limits, and what it draws."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import golden
from tiny_cams import SCALES, random_classifier, released, views_of
from wsssbench_baselines.cams.rib import RIB, gndp
from wsssbench_baselines.cams.scales import cam_of

from wsssbench.contract.samples import write_photos
from wsssbench.interfaces import Photos, photo_of
from wsssbench.models.multiscale_cam import MultiScaleCAM

SEEDS = pytest.mark.parametrize("seed", [0, 1])
CLASSES = ("circle", "square", "triangle", "star")
SMALL = {"steps": 3, "others": 2, "resize_long": (24, 40), "crop": 24, "scales": (0.5, 1.0)}


def photo(seed: int = 0, present=(0, 2), id: str = "photo"):
    image = np.random.default_rng(seed).integers(0, 256, (24, 37, 3), dtype=np.uint8)
    labels = np.zeros(4, np.float32)
    labels[list(present)] = 1
    return photo_of(image, labels, id)


@SEEDS
@pytest.mark.parametrize("case", ["full", "stop", "explode"])
def test_the_released_code(case, seed):
    """Maps, weights and the number of steps, of a run with all of them, and of both early ends."""
    given, wanted, parameters = golden(f"rib-{case}-{seed}")
    network = released(given)
    network.backbone.conv1.requires_grad_(False)  # there, what it gives is detached
    images, theirs = (
        torch.from_numpy(given[f"other_{key}"]).double() for key in ("images", "labels")
    )
    batches = list(zip(images, theirs, strict=True))
    method = RIB(
        tuple(map(str, range(20))), photos=Photos(()), steps=parameters["max_step"],
        lr=parameters["lr"], new_layers_lr=parameters["head_multiplier"],
        weight_decay=parameters["weight_decay"], momentum=parameters["momentum"],
        power=parameters["poly_power"], threshold=parameters["threshold"],
        stop=parameters["stop"], spread_level=parameters["explode_threshold"],
        spread=parameters["explode_ratio"],
    )  # fmt: skip
    used = iter(batches)
    at_scales = {scale: views_of(given, scale) for scale in SCALES}
    maps = method.learned(network, at_scales, torch.from_numpy(given["labels"]), used)
    for scale, one in zip(SCALES, maps, strict=True):
        np.testing.assert_allclose(one, wanted[f"accumulated_scale_{scale:g}"], atol=1e-12)
    assert len(batches) - len(list(used)) == wanted["updates"]
    backbone = network.backbone
    weights = {
        "conv1_weight": backbone.conv1.weight, "conv4_weight": backbone.conv4.weight,
        "conv4_bias": backbone.conv4.bias, "head_weight": network.head.weight,
    }  # fmt: skip
    for name, weight in weights.items():
        np.testing.assert_allclose(weight.detach(), wanted[f"final_{name}"], atol=1e-12)
    present = np.flatnonzero(given["labels"])
    cam = cam_of(maps, present, (16, 20), method.multiple)
    high = wanted["cam_high_resolution"]  # its peak is below 1 by 1e-5 of the sum
    np.testing.assert_allclose(cam.maps, high / high.max(axis=(1, 2), keepdims=True), atol=1e-6)


@SEEDS
def test_the_released_pooling(seed):
    given, wanted, parameters = golden(f"rib-gndp-{seed}")
    maps = torch.from_numpy(given["maps"]).requires_grad_()
    own = gndp(maps, torch.from_numpy(given["labels"]), parameters["threshold"])
    np.testing.assert_allclose(own.detach(), wanted["pooled_own_labels"], atol=1e-12)
    (own * torch.from_numpy(given["upstream"])).sum().backward()
    np.testing.assert_allclose(maps.grad, wanted["grad_maps"], atol=1e-12)
    shared = torch.zeros(3, 20)
    shared[:, parameters["shared_classes"]] = 1
    seen = gndp(maps, shared, parameters["threshold"]).detach()
    np.testing.assert_allclose(seen, wanted["pooled_shared_classes"], atol=1e-12)


def test_the_pooling_by_loops():
    f = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    f[1, 2] = -np.abs(f[1, 2])  # a class whose maximum is negative
    labels = np.array([[1, 0, 1], [0, 1, 1]])
    seen = gndp(torch.from_numpy(f), torch.from_numpy(labels), 0.4)
    for n, k in np.ndindex(2, 3):
        kept = [v for v in f[n, k].flat if not labels[n, k] or v / f[n, k].max() < 0.4]
        assert seen[n, k].item() == pytest.approx(sum(kept) / 20, abs=1e-12)
    assert seen[1, 2] == 0


def test_one_step_gives_the_plain_cam():
    """The first maps are those of the trained weights."""
    classifier, given = random_classifier(), photo()
    method = RIB(CLASSES, photos=Photos(()), **{**SMALL, "steps": 1, "multiple": 1})
    cam = method.infer(classifier, given)
    plain = MultiScaleCAM(scales=(0.5, 1.0)).infer(classifier, given)
    np.testing.assert_allclose(cam.maps, plain.maps, atol=1e-6)
    assert cam.classes.tolist() == plain.classes.tolist() == [1, 3]


def test_a_step_raises_the_pooled_logit_of_the_photo():
    classifier = random_classifier()
    images = torch.randn(2, 3, 16, 20)
    labels = torch.tensor([0.0, 1, 0, 0])
    method = RIB(CLASSES, photos=Photos(()), steps=2, lr=1e-3, threshold=10.0)
    before = classifier(images).maps[:, 1].mean().item()
    method.learned(
        classifier, {1.0: images}, labels, iter([(torch.zeros(0, 3, 4, 4), torch.zeros(0, 4))] * 2)
    )
    assert classifier(images).maps[:, 1].mean().item() > before


def test_a_map_that_is_high_everywhere_has_spread():
    method = RIB(CLASSES, photos=Photos(()))
    low, high = torch.zeros(1, 10, 10), torch.ones(1, 10, 10)
    low[0, 0, 0] = 1
    high[0, :, :3] = 0.1  # the rest, 0.7 of it, is not more than 0.7
    assert not method.has_spread(low) and not method.has_spread(high)
    high[0, 0, 0] = 0.5
    assert method.has_spread(high) and method.has_spread(torch.cat([low, high]))
    assert not method.has_spread(torch.zeros(2, 3, 3))


def test_other_photos_share_no_class_and_depend_on_seed_and_id_alone(tmp_path: Path):
    photos = write_photos(tmp_path)  # with the classes 2 and 4, 1, 2 to 4, and none

    def drawn(id: str, seed: int = 0, others: int = 2):
        method = RIB(CLASSES, photos=photos, **{**SMALL, "others": others})
        method.seed = seed
        batches = method._batches(photo(present=(1,), id=id), torch.device("cpu"))
        return [next(batches) for _ in range(3)]

    for images, labels in drawn("a"):
        assert images.shape == (1, 3, 24, 24)  # there is no second one
        assert labels.tolist() == [[1, 0, 0, 0]]
    first = torch.cat([images for images, _ in drawn("a")])
    assert torch.equal(first, torch.cat([images for images, _ in drawn("a")]))
    assert not torch.equal(first[0], first[1])  # each step has crops of its own
    for other in (drawn("b"), drawn("a", seed=1)):
        assert not torch.equal(first, torch.cat([images for images, _ in other]))
    assert drawn("a", others=0)[0][0].shape == (0, 3, 24, 24)


def test_the_order_of_photos_and_a_kill_have_no_say(tmp_path: Path):
    """A fresh instance, as of another process, and one that has seen another photo give the same."""
    photos, classifier = write_photos(tmp_path), random_classifier()
    method = RIB(CLASSES, photos=photos, lr=1e-3, **SMALL)
    fresh = pickle.loads(pickle.dumps(method))
    method.infer(classifier, photo(1, present=(0,), id="other"))
    one, two = (m.infer(classifier, photo(present=(1,))).maps for m in (method, fresh))
    np.testing.assert_array_equal(one, two)
    fresh.seed = 1
    assert not np.array_equal(fresh.infer(classifier, photo(present=(1,))).maps, one)


def test_the_classifier_stays_as_it_is_and_frozen_layers_do(tmp_path: Path):
    classifier = random_classifier()
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    method = RIB(CLASSES, photos=write_photos(tmp_path), lr=0.01, **SMALL)
    with torch.inference_mode():  # whatever the caller does
        method.infer(classifier, photo(present=(1,)))
    assert all(torch.equal(before[name], value) for name, value in classifier.state_dict().items())
    classifier.backbone.conv1.requires_grad_(False)
    groups = method.optimiser(classifier).param_groups
    assert [len(group["params"]) for group in groups] == [2, 1]  # conv4; the head
    assert groups[1]["lr"] == pytest.approx(10 * groups[0]["lr"])


def test_the_passes_are_those_that_are_made(tmp_path: Path):
    classifier, seen = random_classifier(), []
    photos = Photos([write_photos(tmp_path)[1]] * 2)
    sizes = {**SMALL, "crop": 32, "resize_long": (32, 32), "stop": 1e9, "spread": 1.0}
    method = RIB(CLASSES, photos=photos, **sizes)
    classifier.backbone.register_forward_pre_hook(
        lambda module, given: seen.append(given[0].numel() / (3 * 32 * 32))
    )
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    method.infer(classifier, photo_of(image, [0, 1, 0, 0]))
    assert sum(seen) == pytest.approx(method.passes())
    assert RIB(CLASSES, photos=Photos(())).passes() == 350
