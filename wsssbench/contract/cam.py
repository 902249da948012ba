"""The checks of CAM inference: a trained classifier and one image -> activation maps of the present classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from wsssbench.contract.checks import attempt, need
from wsssbench.contract.modules import need_unchanged
from wsssbench.contract.rig import Subject
from wsssbench.contract.samples import Attention, K, make_classifier, make_photo
from wsssbench.interfaces import Cam, CamInference, Classifier
from wsssbench.interfaces.requirements import need_cam

SIZE = (32, 48)
PRESENT = (2, 4)


def maps(subject: Subject) -> None:
    """It returns a Cam: the present classes, maps (K', h, w) float32 in [0, 1] with maximum 1, the image's size."""
    cam = _infer(subject.build(), SIZE, PRESENT)
    _check_peaks(cam)


def odd_sizes(subject: Subject) -> None:
    """Images may have any size."""
    for size in ((37, 52), (33, 71), (16, 16)):
        _infer(subject.build(), size, PRESENT)


def class_counts(subject: Subject) -> None:
    """An image may show one class, or all of them."""
    for present in ((3,), tuple(range(1, K + 1))):
        _infer(subject.build(), SIZE, present)


def no_class(subject: Subject) -> None:
    """An image without a class has no maps, (0, h, w)."""
    _infer(subject.build(), SIZE, ())


def no_activation(subject: Subject) -> None:
    """A class that is activated nowhere has a map of zeros."""
    classifier = _classifier()
    with torch.no_grad():
        classifier.head.weight[PRESENT[0] - 1] = 0
    cam = _infer(subject.build(), SIZE, PRESENT, classifier)
    _check_peaks(cam)


def deterministic(subject: Subject) -> None:
    """The same image has the same CAM, from whatever mode the classifier was in."""
    cam = subject.build()
    classifier = _classifier()
    classifier.dropout.p = 0.5
    first = _infer(cam, SIZE, PRESENT, classifier.eval())
    for again in (classifier, classifier.train()):
        need(
            np.array_equal(_infer(cam, SIZE, PRESENT, again).maps, first.maps),
            "two CAMs of one image differ",
            "it has to be a function of the image, the labels and the classifier's weights",
        )


def inputs_unchanged(subject: Subject) -> None:
    """Image, labels and the classifier's weights stay as they are."""
    classifier = _classifier()
    image, labels = make_photo(0, *SIZE)[0], _labels(PRESENT)
    state = {name: value.clone() for name, value in classifier.state_dict().items()}
    before = {"the image": image.copy(), "the labels": labels.copy()}
    with _attempt(SIZE, PRESENT):
        subject.build().infer(classifier, image, labels)
    need_unchanged(before, {"the image": image, "the labels": labels})
    need_unchanged(
        {f"the classifier's '{name}'": value for name, value in state.items()},
        {f"the classifier's '{name}'": v for name, v in classifier.state_dict().items()},
    )


def spawned_process(subject: Subject) -> None:
    """Built in a spawned process, as CAMs are inferred by several, it gives the same CAM."""
    here = _infer(subject.build(), SIZE, PRESENT)
    there = subject.rig.spawned(
        "an instance", _build_and_infer, subject.cls, _parameters(subject), _classifier()
    )
    need(
        there.shape == here.maps.shape and np.allclose(there, here.maps, atol=1e-4),
        "in a spawned process it gives another CAM",
        "worker processes have to compute the same",
    )


CHECKS = (
    maps,
    odd_sizes,
    class_counts,
    no_class,
    no_activation,
    deterministic,
    inputs_unchanged,
    spawned_process,
)


def _classifier() -> Classifier:
    classifier = make_classifier(Attention()).eval()
    with torch.no_grad():
        classifier.head.weight.abs_()  # every class is activated somewhere
    return classifier


def _labels(present: tuple[int, ...]) -> np.ndarray:
    labels = np.zeros(K, np.float32)
    labels[[value - 1 for value in present]] = 1
    return labels


def _attempt(size: tuple[int, int], present: tuple[int, ...]) -> Any:
    return attempt(
        f"infer() of an image {size} with the classes {list(present)}",
        "images of every size with any number of classes, also none, have to be taken",
    )


def _infer(
    cam: Any, size: tuple[int, int], present: tuple[int, ...], classifier: Classifier | None = None
) -> Cam:
    with _attempt(size, present):
        made: Cam = cam.infer(
            classifier or _classifier(), make_photo(0, *size)[0], _labels(present)
        )
    need_cam(made, size, present)
    return made


def _check_peaks(cam: Cam) -> None:
    peaks = cam.maps.max(axis=(1, 2))
    need(
        bool((peaks <= 1).all() and ((peaks > 1 - 1e-3) | (peaks == 0)).all()),
        f"the maxima of its maps are {' and '.join(f'{peak:.4g}' for peak in peaks)}",
        "maps are in [0, 1], and each has the maximum 1 or is 0 everywhere",
    )


def _parameters(subject: Subject) -> dict[str, Any]:
    resolved = subject.registry.resolve(subject.config(), "cam")
    return {name: value for name, value in resolved.items() if name != "type"}


def _build_and_infer(
    cls: Callable[..., CamInference], parameters: dict[str, Any], classifier: Classifier
) -> np.ndarray:
    return _infer(cls(**parameters), SIZE, PRESENT, classifier).maps
