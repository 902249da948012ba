"""The checks of an augmentation: a photo -> V photos, before these are resized and cropped."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from wsssbench.contract.checks import attempt, need
from wsssbench.contract.modules import need_unchanged
from wsssbench.contract.rig import Subject
from wsssbench.contract.samples import write_photos
from wsssbench.interfaces import Augmentation, Photo, Photos
from wsssbench.interfaces.augmentation import need_views


def count(subject: Subject) -> None:
    """`count`, the number of views, is an integer of at least 1."""
    number = subject.build().count
    need(
        type(number) is int and number >= 1,
        f"its `count` is {number!r}",
        "a batch has that many views of each photo",
    )


def views(subject: Subject) -> None:
    """It makes `count` photos with legal images, labels and planes of photos of any size and number of classes."""
    augmentation = subject.build()
    for photo in _photos(subject):
        need_views(_views(augmentation, photo, 0), photo, augmentation.count)


def only_the_generator(subject: Subject) -> None:
    """All its random draws are from the generator that it is given."""
    augmentation = subject.build()
    for photo in _photos(subject):
        results = []
        for seed in (0, 1):
            with _global_seed(seed):
                before = _global_draws()
            with _global_seed(seed):
                results.append(_arrays(_views(augmentation, photo, 5)))
                after = _global_draws()
            need(
                after == before,
                "it draws from a global generator of Python, NumPy or torch",
                "draw from `random`, which depends on the seed and the position in the training",
            )
        need(
            all(np.array_equal(a, b) for a, b in zip(*results, strict=True)),
            f"with generators of the same seed it makes different views of photo '{photo.id}'",
            "loading processes, ranks and resumed trainings have to make the same views",
        )


def inputs_unchanged(subject: Subject) -> None:
    """The photo that it is given stays as it is."""
    augmentation = subject.build()
    for photo in _photos(subject):
        planes = {"a": np.zeros(photo.image.shape[:2], np.uint8)}
        held = photo.changed(image=photo.image, labels=photo.labels.copy(), planes=planes)
        before = _inputs(held.changed(image=held.image.copy(), labels=held.labels.copy()))
        before["its plane"] = planes["a"].copy()
        _views(augmentation, held, 0)
        need_unchanged(before, _inputs(held))


def spawned_process(subject: Subject) -> None:
    """Pickled to a spawned process it makes the same views."""
    augmentation, photo = subject.build(), _photos(subject)[0]
    there = subject.rig.spawned("an instance", _arrays_of, augmentation, photo)
    here = _arrays_of(augmentation, photo)
    need(
        len(there) == len(here)
        and all(np.array_equal(a, b) for a, b in zip(there, here, strict=True)),
        "in a spawned process it makes other views",
        "photos are loaded in worker processes, from its attributes and no global variables",
    )


CHECKS = (count, views, only_the_generator, inputs_unchanged, spawned_process)


def _photos(subject: Subject) -> Photos:
    return subject.once("photos", lambda: write_photos(subject.rig.new_directory()))


def _views(augmentation: Augmentation, photo: Photo, seed: int) -> Sequence[Photo]:
    height, width = photo.image.shape[:2]
    with attempt(
        f"views() of a photo of {height} x {width} with {int(photo.labels.sum())} classes",
        "photos of every size and number of classes have to be taken",
    ):
        return augmentation.views(photo, np.random.default_rng(seed))


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    """Seed the global generators; afterwards they are as they were (the rig sees to that of torch)."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - what must not be used
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def _global_draws() -> tuple[float, float, float]:
    return random.random(), np.random.random(), torch.rand(()).item()  # noqa: NPY002


def _arrays_of(augmentation: Augmentation, photo: Photo) -> list[np.ndarray]:
    return _arrays(augmentation.views(photo, np.random.default_rng(0)))


def _arrays(made: Sequence[Photo]) -> list[np.ndarray]:
    """The images, labels and planes of photos."""
    return [
        array
        for photo in made
        for array in (photo.image, photo.labels, *(photo.planes[k] for k in sorted(photo.planes)))
    ]


def _inputs(photo: Photo) -> dict[str, np.ndarray]:
    return {"the image": photo.image, "the labels": photo.labels, "its plane": photo.planes["a"]}
