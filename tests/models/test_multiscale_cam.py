from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import tiny_classifier

from wsssbench.errors import UserError
from wsssbench.files.artefacts import write_cam
from wsssbench.interfaces import photo_of
from wsssbench.models.multiscale_cam import MultiScaleCAM

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.fixture
def image() -> np.ndarray:
    """A smooth random photo, (37, 50, 3) uint8."""
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((50, 37), Image.Resampling.BILINEAR))


def labels(*present: int) -> np.ndarray:
    multi_hot = np.zeros(3, np.float32)
    multi_hot[list(present)] = 1
    return multi_hot


def naive(
    classifier, image: np.ndarray, present: list[int], scales, flip: bool, relu: str = "map"
) -> np.ndarray:
    """Each view on its own, at full size, one class at a time."""
    height, width = image.shape[:2]
    total = np.zeros((len(present), height, width))
    for scale in scales:
        size = (round(width * scale), round(height * scale))
        view = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        view = (view / 255 - MEAN) / STD
        for mirrored in (False, True) if flip else (False,):
            given = view[:, ::-1] if mirrored else view
            tensor = torch.tensor(given.transpose(2, 0, 1).copy(), dtype=torch.float32)[None]
            with torch.no_grad():
                maps = classifier.eval()(tensor).maps
            if relu == "map":
                maps = maps.clamp(min=0)
            big = torch.nn.functional.interpolate(maps, (height, width), mode="bilinear")[0].numpy()
            for i, k in enumerate(present):
                total[i] += np.maximum(big[k][:, ::-1] if mirrored else big[k], 0)
    return np.stack([m / m.max() if m.max() > 0 else m for m in total])


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("relu", ["map", "image"])
@pytest.mark.parametrize("scales", [(1.0,), (0.5, 1.0, 1.5, 2.0)])
def test_maps_equal_the_naive_sum_over_views(image, scales, flip, relu):
    classifier = tiny_classifier(seed=3)
    method = MultiScaleCAM(scales=scales, flip=flip, relu=relu)
    cam = method.infer(classifier, photo_of(image, labels(0, 2)))
    expected = naive(classifier, image, [0, 2], scales, flip, relu)
    assert expected.max() == 1
    np.testing.assert_allclose(cam.maps, expected, atol=2e-5)
    assert cam.classes.tolist() == [1, 3]
    assert (cam.classes.dtype, cam.maps.dtype) == (np.uint8, np.float32)
    assert cam.size == (37, 50)
    assert cam.maps.shape == (2, 37, 50)


def test_maps_are_enlarged_to_whole_cells_and_cut(image):
    """37 x 50 pixels in cells of 16 are 48 x 64, whose edge at the right and below is cut off, the maximum too."""
    classifier = tiny_classifier(seed=3)
    photo = photo_of(image, labels(0, 2))
    cam = MultiScaleCAM(scales=(1.0, 0.5), flip=False, multiple=16).infer(classifier, photo)
    whole = np.zeros((2, 48, 64))
    for scale in (1.0, 0.5):
        size = (round(50 * scale), round(37 * scale))
        view = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        given = torch.tensor(((view / 255 - MEAN) / STD).transpose(2, 0, 1), dtype=torch.float32)
        with torch.no_grad():
            maps = classifier.eval()(given[None]).maps[:, [0, 2]].clamp(min=0)
        whole += torch.nn.functional.interpolate(maps, (48, 64), mode="bilinear")[0].numpy()
    expected = whole[:, :37, :50]
    expected /= expected.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(cam.maps, expected, atol=2e-5)
    assert cam.size == (37, 50)
    plain = MultiScaleCAM(scales=(1.0, 0.5), flip=False).infer(classifier, photo)
    assert np.abs(cam.maps - plain.maps).max() > 0.01


def test_range_stretches_from_the_minimum_to_the_maximum(image):
    """The sum over views as before, then SEAM's normalisation of each class."""
    classifier = tiny_classifier(seed=3)
    with torch.no_grad():
        classifier.head.weight.abs_()  # of features that are not negative, so that the minimum is above 0
    photo = photo_of(image, labels(0, 2))
    summed, cam = (
        MultiScaleCAM(scales=(0.5, 1.0), normalisation=how).infer(classifier, photo)
        for how in ("max", "range")
    )
    expected = [(m - m.min()) / (m.max() - m.min()) for m in summed.maps]
    assert summed.maps.min() > 0
    np.testing.assert_allclose(cam.maps, expected, atol=1e-3)  # 1e-5 of a sum that is not scaled
    assert cam.maps.min() == 0 and 0.999 < cam.maps.max() < 1


def test_relu_after_upsampling_makes_smaller_activations(image):
    """Where negative evidence is near, so the two are different."""
    classifier = tiny_classifier(seed=3)
    before, after = (
        MultiScaleCAM(scales=(1.0,), flip=False, relu=relu)
        .infer(classifier, photo_of(image, labels(0, 2)))
        .maps
        for relu in ("map", "image")
    )
    assert (before > 0).sum() > (after > 0).sum()


def test_with_flip_the_mirrored_image_has_the_mirrored_cam(image):
    classifier = tiny_classifier(seed=3)
    method = MultiScaleCAM()
    one = method.infer(classifier, photo_of(image, labels(0, 1, 2)))
    mirrored = method.infer(
        classifier, photo_of(np.ascontiguousarray(image[:, ::-1]), labels(0, 1, 2))
    )
    # the resized photos may differ by one grey level of rounding
    np.testing.assert_allclose(mirrored.maps, one.maps[:, :, ::-1], atol=0.02)
    without = MultiScaleCAM(flip=False)
    one = without.infer(classifier, photo_of(image, labels(0)))
    mirrored = without.infer(classifier, photo_of(np.ascontiguousarray(image[:, ::-1]), labels(0)))
    assert np.abs(mirrored.maps - one.maps[:, :, ::-1]).max() > 0.1


def test_the_scale_of_the_head_and_the_number_of_equal_views_do_not_matter(image):
    classifier = tiny_classifier(seed=3)
    method = MultiScaleCAM(scales=(0.5, 1.0))
    before = method.infer(classifier, photo_of(image, labels(0, 2))).maps
    twice = (
        MultiScaleCAM(scales=(0.5, 1.0, 0.5, 1.0))
        .infer(classifier, photo_of(image, labels(0, 2)))
        .maps
    )
    np.testing.assert_allclose(twice, before, atol=1e-6)
    with torch.no_grad():
        classifier.head.weight.mul_(37.0)
    after = method.infer(classifier, photo_of(image, labels(0, 2))).maps
    np.testing.assert_allclose(after, before, atol=1e-5)
    with torch.no_grad():
        classifier.head.weight.neg_()
    assert np.abs(method.infer(classifier, photo_of(image, labels(0, 2))).maps - before).max() > 0.5


def test_a_class_s_map_does_not_depend_on_the_other_labels(image):
    classifier = tiny_classifier(seed=3)
    both = MultiScaleCAM().infer(classifier, photo_of(image, labels(0, 2)))
    alone = MultiScaleCAM().infer(classifier, photo_of(image, labels(2)))
    np.testing.assert_array_equal(alone.maps[0], both.maps[1])


def test_it_is_deterministic_and_leaves_evaluation_mode(image):
    classifier = tiny_classifier(dropout=0.5).train()
    before = {n: v.clone() for n, v in classifier.state_dict().items()}
    one = MultiScaleCAM().infer(classifier, photo_of(image, labels(1)))
    assert not classifier.training
    classifier.train()
    again = MultiScaleCAM().infer(classifier, photo_of(image, labels(1)))
    assert one.maps.tobytes() == again.maps.tobytes()
    assert all(torch.equal(v, before[n]) for n, v in classifier.state_dict().items())


def test_without_a_present_class_there_are_no_maps(image):
    cam = MultiScaleCAM().infer(tiny_classifier(), photo_of(image, labels()))
    assert cam.maps.shape == (0, 37, 50)
    assert cam.classes.shape == (0,)
    assert (cam.classes.dtype, cam.maps.dtype) == (np.uint8, np.float32)


def test_a_class_without_evidence_has_a_zero_map(image):
    classifier = tiny_classifier()
    with torch.no_grad():
        classifier.head.weight[1] = -classifier.head.weight[1].abs()  # features are not negative
    cam = MultiScaleCAM().infer(classifier, photo_of(image, labels(1)))
    assert cam.classes.tolist() == [2]
    assert cam.maps.max() == 0


def test_images_of_few_pixels_work():
    cam = MultiScaleCAM(scales=(0.1, 1.0)).infer(
        tiny_classifier(), photo_of(np.full((1, 3, 3), 200, np.uint8), labels(0))
    )
    assert cam.maps.shape == (1, 1, 3)
    assert np.isfinite(cam.maps).all()


@pytest.mark.parametrize("scales", [(), (0.5, 0.0), (-1.0,)])
def test_scales_out_of_range_are_refused(scales):
    with pytest.raises(ValueError, match="scales="):
        MultiScaleCAM(scales=scales)


@pytest.mark.parametrize("value", [float("nan"), 1e38])
def test_a_diverged_classifier_has_no_cam(image, tmp_path, value):
    """NaN weights, and finite ones whose maps overflow, both of which would look like background."""
    classifier = tiny_classifier(seed=3)
    with torch.no_grad():
        classifier.head.weight[:] = value
    cam = MultiScaleCAM(scales=(1.0, 2.0)).infer(classifier, photo_of(image, labels(0, 2)))
    with pytest.raises(UserError, match=r"the CAM for a is not valid: .*did the training diverge"):
        write_cam(tmp_path / "a.npz", cam)


def test_in_bfloat16_maps_are_the_same_to_its_precision(image):
    classifier = tiny_classifier(seed=3)
    full = MultiScaleCAM(scales=(1.0,)).infer(classifier, photo_of(image, labels(0, 2))).maps
    mixed = (
        MultiScaleCAM(scales=(1.0,), amp="bfloat16")
        .infer(classifier, photo_of(image, labels(0, 2)))
        .maps
    )
    assert mixed.dtype == np.float32
    assert not np.array_equal(full, mixed)
    assert np.abs(full - mixed).max() < 0.1
