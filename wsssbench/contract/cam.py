"""The checks of CAM inference: a trained classifier and one image -> activation maps of the present classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from wsssbench.contract.checks import attempt, need
from wsssbench.contract.modules import need_unchanged
from wsssbench.contract.rig import Subject
from wsssbench.contract.samples import CLASSES, Attention, K, make_classifier, make_photo
from wsssbench.interfaces import (
    Cam,
    CamInference,
    Cams,
    Classifier,
    Photo,
    ScoreMaps,
    Scores,
    photo_of,
)
from wsssbench.interfaces.requirements import need_cam, need_scores

SIZE = (32, 48)
PRESENT = (2, 4)


def declares(subject: Subject) -> None:
    """`gives` is Cams or ScoreMaps, `needs_classifier` and `random` True or False, `quick` values of parameters."""
    gives, needs = subject.cls.gives, subject.cls.needs_classifier  # type: ignore[attr-defined]
    need(
        gives in (Cams, ScoreMaps) and isinstance(needs, bool),
        f"its `gives` is {gives!r} and its `needs_classifier` {needs!r}",
        "wsssbench.interfaces.Cams or ScoreMaps, and True or False, are needed",
    )
    random, quick = subject.cls.random, subject.cls.quick  # type: ignore[attr-defined]
    lost = [name for name in quick if name not in subject.registry.parameters(subject.name)]
    need(
        isinstance(random, bool) and not lost,
        f"its `random` is {random!r} and its `quick` has {' and '.join(lost) or 'parameters alone'}",
        "True or False, and names of its parameters, are needed",
    )
    passes = subject.shared().passes()
    need(
        passes is None or passes > 0,
        f"its passes() gives {passes!r}",
        "a number above 0 is needed, or None",
    )


def maps(subject: Subject) -> None:
    """It returns a Cam: the present classes, maps (K', h, w) float32 in [0, 1] with maximum 1, the image's size.

    Or, if it says so, Scores: planes (1 + K', h, w) float32, not negative, background first.
    """
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
            np.array_equal(_planes(_infer(cam, SIZE, PRESENT, again)), _planes(first)),
            "two CAMs of one image differ",
            "it has to be a function of the image, the labels and the classifier's weights",
        )


def inputs_unchanged(subject: Subject) -> None:
    """Image, labels and the classifier's weights stay as they are."""
    classifier = _classifier()
    photo = _photo(SIZE, PRESENT)
    image, labels = photo.image, photo.labels
    state = {name: value.clone() for name, value in classifier.state_dict().items()}
    before = {"the image": image.copy(), "the labels": labels.copy()}
    with _attempt(SIZE, PRESENT):
        subject.build().infer(_for(subject.cls, classifier), photo)
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
        there.shape == _planes(here).shape and np.allclose(there, _planes(here), atol=1e-4),
        "in a spawned process it gives another CAM",
        "worker processes have to compute the same",
    )


CHECKS = (
    declares,
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


def _photo(size: tuple[int, int], present: tuple[int, ...]) -> Photo:
    labels = np.zeros(K, np.float32)
    labels[[value - 1 for value in present]] = 1
    return photo_of(make_photo(0, *size)[0], labels)


def _for(cls: Any, classifier: Classifier) -> Classifier | None:
    return classifier if cls.needs_classifier else None


def _planes(made: Cam | Scores) -> np.ndarray:
    return made.maps if isinstance(made, Cam) else made.planes


def _attempt(size: tuple[int, int], present: tuple[int, ...]) -> Any:
    return attempt(
        f"infer() of an image {size} with the classes {list(present)}",
        "images of every size with any number of classes, also none, have to be taken",
    )


def _infer(
    cam: Any, size: tuple[int, int], present: tuple[int, ...], classifier: Classifier | None = None
) -> Cam | Scores:
    with _attempt(size, present):
        made: Cam | Scores = cam.infer(
            _for(cam, classifier or _classifier()), _photo(size, present)
        )
    if cam.gives is Cams:
        need_cam(made, size, present)
    else:
        need_scores(made, size, present, method="infer()")
    return made


def _check_peaks(cam: Cam | Scores) -> None:
    if isinstance(cam, Scores):
        return
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
    return _planes(_infer(cls(CLASSES, **parameters), SIZE, PRESENT, classifier))
