"""The checks of a labelling: a photo with its CAM or scores -> a label map."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wsssbench.contract.checks import attempt, need
from wsssbench.contract.modules import need_unchanged
from wsssbench.contract.rig import Subject
from wsssbench.contract.samples import as_scores, cam_of, write_photos
from wsssbench.interfaces import Cam, Cams, Labelling, Photo, Photos, ScoreMaps, Scores
from wsssbench.interfaces.requirements import need_label_map

_THRESHOLD = 0.3  # where the toolkit gives one, as for ``evaluate.threshold``


def declares(subject: Subject) -> None:
    """`takes` is a tuple of Cams and ScoreMaps, or empty; `levels` are parameters for what it takes."""
    takes, levels = subject.cls.takes, subject.cls.levels  # type: ignore[attr-defined]
    need(
        isinstance(takes, tuple) and set(takes) <= {Cams, ScoreMaps},
        f"its `takes` is {takes!r}",
        "a tuple of wsssbench.interfaces.Cams and ScoreMaps is needed",
    )
    parameters = subject.registry.parameters(subject.name)
    need(
        set(levels) <= set(takes) and set(levels.values()) <= set(parameters),
        f"its `levels` are {levels!r}",
        "artefacts of `takes` and names of its parameters are needed",
    )


def label_maps(subject: Subject) -> None:
    """Of all that it takes it makes label maps (H, W) uint8 of 0, the photo's classes and 255."""
    photo = _photos(subject)[0]
    for given in _given(subject, photo):
        _label(subject, photo, given)


def odd_sizes(subject: Subject) -> None:
    """Photos may have any size and number of classes; CAM and scores are smaller than the photo."""
    for photo in _photos(subject):
        for given in _given(subject, photo):
            _label(subject, photo, given)


def no_class(subject: Subject) -> None:
    """A photo without a class is background, or ignored."""
    photo = next(photo for photo in _photos(subject) if not photo.labels.any())
    for given in _given(subject, photo):
        _label(subject, photo, given)


def no_activation(subject: Subject) -> None:
    """A class may be activated nowhere."""
    photo = _photos(subject)[0]
    for given in _given(subject, photo):
        if isinstance(given, Cam):
            _label(subject, photo, Cam(given.classes, np.zeros_like(given.maps), given.size))
        elif given is not None:
            planes = given.planes.copy()
            planes[1:] = 0
            _label(subject, photo, Scores(given.classes, planes, given.size))


def deterministic(subject: Subject) -> None:
    """The same photo and CAM or scores have the same label map."""
    photo = _photos(subject)[0]
    for given in _given(subject, photo):
        first, second = (_label(subject, photo, given) for _ in range(2))
        need(
            np.array_equal(first, second),
            "two calls with one photo give different label maps",
            "results are computed once and kept",
        )


def inputs_unchanged(subject: Subject) -> None:
    """The photo's labels and the CAM or scores stay as they are."""
    photo = _photos(subject)[0]
    for given in _given(subject, photo):
        before = {name: array.copy() for name, array in _arrays(photo, given).items()}
        _label(subject, photo, given)
        need_unchanged(before, _arrays(photo, given))


def spawned_process(subject: Subject) -> None:
    """Pickled to a spawned process it makes the same label map."""
    photo = _photos(subject)[0]
    for given in _given(subject, photo):
        there = subject.rig.spawned("an instance", _label_there, _ready(subject), photo, given)
        need(
            np.array_equal(there, _label(subject, photo, given)),
            "in a spawned process it makes another label map",
            "worker processes have to compute the same",
        )


CHECKS = (
    declares,
    label_maps,
    odd_sizes,
    no_class,
    no_activation,
    deterministic,
    inputs_unchanged,
    spawned_process,
)


def _photos(subject: Subject) -> Photos:
    return subject.once("photos", lambda: write_photos(subject.rig.new_directory()))


def _ready(subject: Subject) -> Labelling:
    """An instance, with a number where the toolkit gives the threshold."""

    def make() -> Labelling:
        level = subject.cls.levels.get(Cams)  # type: ignore[attr-defined]
        if level in subject.registry.parameters(subject.name):
            subject.parameters.setdefault(level, _THRESHOLD)
        labelling: Labelling = subject.build()
        return labelling

    return subject.once("an instance", make)


def _given(subject: Subject, photo: Photo) -> Iterator[Cam | Scores | None]:
    """Yield what it takes of `photo`: a CAM, scores, or None if it takes neither."""
    takes = subject.cls.takes  # type: ignore[attr-defined]
    cam = cam_of(photo)
    if Cams in takes:
        yield cam
    if ScoreMaps in takes:
        yield as_scores(cam)
    if not takes:
        yield None


def _label(subject: Subject, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
    size, present = photo.image.shape[:2], (np.flatnonzero(photo.labels) + 1).tolist()
    what = {Cam: "the CAM", Scores: "scores"}.get(type(given), "a photo")
    with attempt(
        f"label() from {what} of an image {size} with the classes {present}",
        "images of every size with any number of classes, also none, have to be taken",
    ):
        label = _ready(subject).label(photo, given)
    need_label_map(label, size, (0, *present))
    return label


def _arrays(photo: Photo, given: Cam | Scores | None) -> dict[str, np.ndarray]:
    arrays = {"the photo's labels": photo.labels}
    if isinstance(given, Cam):
        arrays |= {"the CAM": given.maps, "the classes": given.classes}
    elif given is not None:
        arrays |= {"the scores": given.planes, "the classes": given.classes}
    return arrays


def _label_there(labelling: Labelling, photo: Photo, given: Cam | Scores | None) -> np.ndarray:
    return labelling.label(photo, given)
