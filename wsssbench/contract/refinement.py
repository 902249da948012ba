"""The checks of a refinement: CAM or scores -> better scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from wsssbench.contract.checks import attempt, need
from wsssbench.contract.modules import need_unchanged
from wsssbench.contract.rig import Subject
from wsssbench.contract.samples import K, as_scores, make_cam, make_photo, write_fit_items
from wsssbench.interfaces import Cam, Cams, Photo, Refinement, ScoreMaps, Scores, photo_of
from wsssbench.interfaces.requirements import need_cam, need_scores

SIZE = (48, 64)
PRESENT = (2, 4)


def declares(subject: Subject) -> None:
    """`takes` is a tuple of Cams and ScoreMaps, at least one of them, and `gives` one of them."""
    takes, gives = subject.cls.takes, subject.cls.gives  # type: ignore[attr-defined]
    known = {Cams, ScoreMaps}
    need(
        isinstance(takes, tuple) and bool(takes) and set(takes) <= known and gives in known,
        f"its `takes` is {takes!r} and its `gives` {gives!r}",
        "a tuple of wsssbench.interfaces.Cams and ScoreMaps, and one of them, are needed",
    )


def scores(subject: Subject) -> None:
    """It gives Scores: classes and size kept, planes (1 + K', h, w) float32, finite, not negative.

    Or, if it says so, a Cam: maps (K', h, w) float32 in [0, 1].
    """
    _check(_ready(subject), SIZE, PRESENT)


def all_that_it_takes(subject: Subject) -> None:
    """It refines all that `takes` names: CAMs, the scores of another refinement."""
    refinement = _ready(subject)
    if ScoreMaps not in refinement.takes:
        return
    with attempt(
        "refine() of the scores of another refinement",
        "a chain of refinements is allowed, unless `takes` is (Cams,)",
    ):
        made = refinement.refine(_photo(SIZE), as_scores(make_cam(0, *SIZE)))
    _check_result(refinement, made, SIZE, PRESENT)


def odd_sizes(subject: Subject) -> None:
    """Images may have any size; the CAM is smaller than the image."""
    for size in ((37, 53), (64, 41), (17, 9)):
        _check(_ready(subject), size, PRESENT)


def no_class(subject: Subject) -> None:
    """An image without a class has the background alone, (1, h, w)."""
    _check(_ready(subject), SIZE, ())


def no_activation(subject: Subject) -> None:
    """A class may be activated nowhere."""
    cam = make_cam(0, *SIZE)
    nothing = Cam(cam.classes, np.zeros_like(cam.maps), cam.size)
    refinement = _ready(subject)
    _check_result(refinement, _refine(refinement, SIZE, nothing), SIZE, PRESENT)


def deterministic(subject: Subject) -> None:
    """The same image and CAM have the same scores."""
    refinement = _ready(subject)
    first, second = (_planes(_refine(refinement, SIZE, make_cam(0, *SIZE))) for _ in range(2))
    need(
        np.array_equal(first, second),
        "two calls with one image and CAM give different scores",
        "results are computed once and kept",
    )


def inputs_unchanged(subject: Subject) -> None:
    """Image and CAM stay as they are."""
    refinement, photo, cam = _ready(subject), _photo(SIZE), make_cam(0, *SIZE)
    image = photo.image
    before = {"the image": image.copy(), "the CAM": cam.maps.copy(), "the classes": cam.classes}
    with _attempt(SIZE, cam):
        refinement.refine(photo, _as_taken(refinement, cam))
    need_unchanged(before, {"the image": image, "the CAM": cam.maps, "the classes": cam.classes})


def spawned_process(subject: Subject) -> None:
    """Pickled to a spawned process, where it loads what was fitted, it gives the same scores."""
    directory = _fitted(subject) if subject.cls.fitted else None  # type: ignore[attr-defined]
    there = subject.rig.spawned("an instance", _load_and_refine, subject.build(), directory)
    here = _planes(_refine(_ready(subject), SIZE, make_cam(0, *SIZE)))
    need(
        there.shape == here.shape and np.allclose(there, here, rtol=1e-3, atol=1e-3),
        "in a spawned process it gives other scores",
        "worker processes have to compute the same",
    )


def fits_and_loads(subject: Subject) -> None:
    """It trains on a few CAMs, also on one of no class, and a new instance loads what that left."""
    _ready(subject)


CHECKS = (
    declares,
    scores,
    all_that_it_takes,
    odd_sizes,
    no_class,
    no_activation,
    deterministic,
    inputs_unchanged,
    spawned_process,
)
FITTED = (fits_and_loads,)  # of those that are trained, first


def _fitted(subject: Subject) -> Path:
    """Train on a few items, once: the directory with what `load` needs."""

    def fit() -> Path:
        takes = subject.cls.takes  # type: ignore[attr-defined]
        items = write_fit_items(subject.rig.new_directory(), scores=Cams not in takes)
        context = subject.context()
        with attempt(
            f"fit() on {len(items)} images, one of them without a class",
            "it has to train on whatever images there are",
        ):
            subject.build().fit(items, K, context)
        need(
            any(context.directory.iterdir()),
            "fit() leaves no file",
            "load() reads what it trained, in other processes",
        )
        return context.directory

    return subject.once("what fit() leaves", fit)


def _ready(subject: Subject) -> Refinement:
    """An instance that can refine."""

    def make() -> Refinement:
        refinement: Refinement = subject.build()
        if refinement.fitted:
            _load(refinement, _fitted(subject))
        return refinement

    return subject.once("an instance that is ready", make)


def _load(refinement: Refinement, directory: Path) -> None:
    with attempt("load() in a new instance", "every process loads what fit() left"):
        refinement.load(directory, "cpu")


def _attempt(size: tuple[int, int], given: Cam | Scores) -> Any:
    return attempt(
        f"refine() of an image {size} with the classes {given.classes.tolist()}",
        "images of every size with any number of classes, also none, have to be taken",
    )


def _photo(size: tuple[int, int]) -> Photo:
    return photo_of(make_photo(0, *size)[0])


def _as_taken(refinement: Refinement, cam: Cam) -> Cam | Scores:
    return cam if Cams in refinement.takes else as_scores(cam)


def _refine(refinement: Refinement, size: tuple[int, int], cam: Cam) -> Cam | Scores:
    given = _as_taken(refinement, cam)
    with _attempt(size, given):
        return refinement.refine(_photo(size), given)


def _planes(made: Cam | Scores) -> np.ndarray:
    return made.maps if isinstance(made, Cam) else made.planes


def _check(refinement: Refinement, size: tuple[int, int], present: tuple[int, ...]) -> None:
    made = _refine(refinement, size, make_cam(0, *size, present))
    _check_result(refinement, made, size, present)


def _check_result(
    refinement: Refinement, made: Any, size: tuple[int, int], present: tuple[int, ...]
) -> None:
    if refinement.gives is Cams:
        need_cam(made, size, present, method="refine()")
    else:
        need_scores(made, size, present)


def _load_and_refine(refinement: Refinement, directory: Path | None) -> np.ndarray:
    if directory is not None:
        _load(refinement, directory)
    return _planes(_refine(refinement, SIZE, make_cam(0, *SIZE)))
